// How the nodes of a graph hang together: edges, clones, updates of executable graphs, captures into a graph.
#include <cstring>

#include "worker/handlers/graph_counts.hpp"
#include "worker/handlers/handlers.gen.hpp"
#include "worker/handlers/new_handle.hpp"
#include "worker/handlers/node_lists.hpp"

namespace vgpu::worker::handlers {
namespace {

constexpr size_t kLink = 2 * sizeof(uint64_t) + sizeof(CUgraphEdgeData);

/// Edges between nodes of the client's.
struct Links {
  NodeList from, to;

  CUresult read(Session& session, wire::Bytes bytes) {
    if (bytes.size() % kLink != 0) return session.violation("a part of a graph's edge");
    for (size_t at = 0; at < bytes.size(); at += kLink) {
      uint8_t first[NodeList::kEntry], second[NodeList::kEntry];
      std::memcpy(first, &bytes[at], 8);
      std::memcpy(first + 8, &bytes[at + 16], 8);
      std::memcpy(second, &bytes[at + 8], 16);
      if (const CUresult result = from.read(session, first); result != CUDA_SUCCESS) return result;
      if (const CUresult result = to.read(session, second); result != CUDA_SUCCESS) return result;
    }
    return CUDA_SUCCESS;
  }
};

/// The graphs that a node held are gone with it, and those inside of them.
void drop_held(Objects& objects, uint64_t node) {
  std::vector<uint64_t> gone;
  objects.graphs.for_each([&](uint64_t handle, const Graph& graph) {
    if (graph.holder == node) gone.push_back(handle);
  });
  for (const uint64_t handle : gone) forget_graph(objects, handle);
}

}  // namespace

void graph_link(Session& session, const api::ops::GraphLink& op, Call& call) {
  const DriverTable& driver = session.driver();
  const auto change = op.remove != 0 ? driver.cuGraphRemoveDependencies_v2 : driver.cuGraphAddDependencies_v2;
  const Graph* graph = session.objects().graphs.find(op.id.value);
  if (change == nullptr) return call.finish(CUDA_ERROR_NOT_SUPPORTED);
  if (graph == nullptr) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  Links links;
  if (const CUresult result = links.read(session, op.links); result != CUDA_SUCCESS) return call.finish(result);
  call.finish(change(graph->real, links.from.nodes(), links.to.nodes(), links.from.edges(), links.from.size()));
}

void graph_destroy_node(Session& session, const api::ops::GraphDestroyNode& op, Call& call) {
  const auto destroy = session.driver().cuGraphDestroyNode;
  CUgraphNode node = nullptr;
  if (destroy == nullptr) return call.finish(CUDA_ERROR_NOT_SUPPORTED);
  if (!session.objects().find(op.what.value, node)) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  const CUresult result = destroy(node);
  if (result == CUDA_SUCCESS) {
    // The graph's count stays: it bounds what the client makes, not what it has.
    session.objects().nodes.drop(op.what.value);
    drop_held(session.objects(), op.what.value);
  }
  call.finish(result);
}

void graph_clone(Session& session, const api::ops::GraphClone& op, Call& call) {
  const auto clone = session.driver().cuGraphClone;
  const Graph* graph = session.objects().graphs.find(op.id.value);
  if (clone == nullptr) return call.finish(CUDA_ERROR_NOT_SUPPORTED);
  if (graph == nullptr) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  if (graph->count > kMostNodes - session.objects().node_count) return call.finish(CUDA_ERROR_OUT_OF_MEMORY);
  if (const CUresult refused =
          check_new(session, session.objects().graphs, op.result.value, "a graph handle that cannot be made");
      refused != CUDA_SUCCESS)
    return call.finish(refused);
  CUgraph copy = nullptr;
  const CUresult result = clone(&copy, graph->real);
  if (result == CUDA_SUCCESS) {
    session.objects().node_count += graph->count;
    const Graph made{copy, graph->count, graph->depth};
    session.objects().graphs.bind(op.result.value, made);
  }
  call.finish(result);
}

void graph_find_in_clone(Session& session, const api::ops::GraphFindInClone& op, Call& call) {
  const auto find = session.driver().cuGraphNodeFindInClone;
  const Graph* graph = session.objects().graphs.find(op.id.value);
  CUgraphNode node = nullptr, found = nullptr;
  if (find == nullptr) return call.finish(CUDA_ERROR_NOT_SUPPORTED);
  if (graph == nullptr || !session.objects().find(op.what.value, node)) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  const CUresult result = find(&found, node, graph->real);
  if (result == CUDA_SUCCESS)
    api::ops::GraphFindInCloneReply{{session.objects().nodes.number_of(found, op.id.value)}}.encode(call.reply());
  call.finish(result);
}

void graph_child(Session& session, const api::ops::GraphChild& op, Call& call) {
  const auto get = session.driver().cuGraphChildGraphNodeGetGraph;
  CUgraphNode node = nullptr;
  CUgraph child = nullptr;
  if (get == nullptr) return call.finish(CUDA_ERROR_NOT_SUPPORTED);
  if (!session.objects().find(op.what.value, node)) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  if (const CUresult refused =
          check_new(session, session.objects().graphs, op.result.value, "a graph handle that cannot be made");
      refused != CUDA_SUCCESS)
    return call.finish(refused);
  const uint64_t owner = session.objects().nodes.graph_of(op.what.value);
  if (owner == 0) return call.finish(CUDA_ERROR_INVALID_VALUE);
  const CUresult result = get(node, &child);
  if (result == CUDA_SUCCESS) {
    Graph inner{child};  // counted with the graph that holds it
    inner.owner = owner;
    inner.holder = op.what.value;
    inner.inside = kDeepestGraph;  // nothing is built inside of it
    session.objects().graphs.bind(op.result.value, inner);
  }
  call.finish(result);
}

void exec_update(Session& session, const api::ops::ExecUpdate& op, Call& call) {
  const auto update = session.driver().cuGraphExecUpdate_v2;
  const Graph* graph = session.objects().graphs.find(op.id_graph.value);
  Exec* exec = session.objects().execs.find(op.id.value);
  if (update == nullptr) return call.finish(CUDA_ERROR_NOT_SUPPORTED);
  if (exec == nullptr || graph == nullptr) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  CUgraphExecUpdateResultInfo info{};
  const CUresult result = update(exec->real, graph->real, &info);
  const auto number = [&](CUgraphNode node) {
    return node == nullptr ? 0 : session.objects().nodes.number_of(node, 0);
  };
  api::ops::ExecUpdateReply{
      static_cast<uint32_t>(result), info.result, {number(info.errorNode)}, {number(info.errorFromNode)}}
      .encode(call.reply());
  session.observe(result);
  call.finish(CUDA_SUCCESS);  // the reply says how it went
}

void graph_node_links(Session& session, const api::ops::GraphNodeLinks& op, Call& call) {
  const DriverTable& driver = session.driver();
  const auto get = op.dependents != 0 ? driver.cuGraphNodeGetDependentNodes_v2 : driver.cuGraphNodeGetDependencies_v2;
  CUgraphNode node = nullptr;
  if (get == nullptr) return call.finish(CUDA_ERROR_NOT_SUPPORTED);
  if (!session.objects().find(op.what.value, node)) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  size_t count = 0;
  CUresult result = get(node, nullptr, nullptr, &count);
  std::vector<CUgraphNode> nodes(result == CUDA_SUCCESS ? count : 0);
  std::vector<CUgraphEdgeData> edges(nodes.size());
  if (!nodes.empty()) result = get(node, nodes.data(), edges.data(), &count);
  if (result != CUDA_SUCCESS) return call.finish(result);
  constexpr size_t kMost = 50;
  uint8_t bytes[kMost * NodeList::kEntry];
  wire::Writer out{std::span<uint8_t>(bytes)};
  const uint64_t graph = session.objects().nodes.graph_of(op.what.value);
  for (uint64_t i = op.first; i < nodes.size() && i - op.first < kMost; ++i) {
    out.put(session.objects().nodes.number_of(nodes[i], graph));
    out.raw(&edges[i], sizeof edges[i]);
  }
  api::ops::GraphNodeLinksReply{nodes.size(), out.written()}.encode(call.reply());
  call.finish(CUDA_SUCCESS);
}

void graph_edges(Session& session, const api::ops::GraphEdges& op, Call& call) {
  const auto get = session.driver().cuGraphGetEdges_v2;
  const Graph* graph = session.objects().graphs.find(op.id.value);
  if (get == nullptr) return call.finish(CUDA_ERROR_NOT_SUPPORTED);
  if (graph == nullptr) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  size_t count = 0;
  CUresult result = get(graph->real, nullptr, nullptr, nullptr, &count);
  std::vector<CUgraphNode> from(result == CUDA_SUCCESS ? count : 0), to(from.size());
  std::vector<CUgraphEdgeData> edges(from.size());
  if (!from.empty()) result = get(graph->real, from.data(), to.data(), edges.data(), &count);
  if (result != CUDA_SUCCESS) return call.finish(result);
  constexpr size_t kMost = 34;
  uint8_t bytes[kMost * kLink];
  wire::Writer out{std::span<uint8_t>(bytes)};
  for (uint64_t i = op.first; i < from.size() && i - op.first < kMost; ++i) {
    out.put(session.objects().nodes.number_of(from[i], op.id.value));
    out.put(session.objects().nodes.number_of(to[i], op.id.value));
    out.raw(&edges[i], sizeof edges[i]);
  }
  api::ops::GraphEdgesReply{from.size(), out.written()}.encode(call.reply());
  call.finish(CUDA_SUCCESS);
}

// Captures.

void stream_begin_capture_to(Session& session, const api::ops::StreamBeginCaptureTo& op, Call& call) {
  const auto begin = session.driver().cuStreamBeginCaptureToGraph;
  const Graph* graph = session.objects().graphs.find(op.id.value);
  CUstream stream = nullptr;
  if (begin == nullptr) return call.finish(CUDA_ERROR_NOT_SUPPORTED);
  if (graph == nullptr || !session.objects().find(op.on.value, stream)) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  NodeList after;
  CUresult result = after.read(session, op.after);
  if (result == CUDA_SUCCESS) result = begin(stream, graph->real, after.nodes(), after.edges(), after.size(), op.mode);
  if (result == CUDA_SUCCESS) ++session.context_of(op.on.value).open_captures;
  call.finish(result);
}

void capture_graph(Session& session, const api::ops::CaptureGraph& op, Call& call) {
  CUstream stream = nullptr;
  if (!session.objects().find(op.on.value, stream)) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  CUgraph graph = nullptr;
  if (const CUresult result = graph_of_capture(session, stream, graph); result != CUDA_SUCCESS)
    return call.finish(result);
  if (graph == nullptr) return call.finish(CUDA_ERROR_ILLEGAL_STATE);
  if (session.objects().graphs.find(op.made.value) != nullptr) return call.finish(CUDA_SUCCESS);
  if (const CUresult refused =
          check_new(session, session.objects().graphs, op.made.value, "a graph handle that cannot be made");
      refused != CUDA_SUCCESS)
    return call.finish(refused);
  Graph made{graph};
  made.capturing = op.on.value;
  session.objects().graphs.bind(op.made.value, made);
  call.finish(CUDA_SUCCESS);
}

void stream_update_dependencies(Session& session, const api::ops::StreamUpdateDependencies& op, Call& call) {
  const auto update = session.driver().cuStreamUpdateCaptureDependencies_v2;
  CUstream stream = nullptr;
  if (update == nullptr) return call.finish(CUDA_ERROR_NOT_SUPPORTED);
  if (!session.objects().find(op.on.value, stream)) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  NodeList after;
  CUresult result = after.read(session, op.after);
  if (result == CUDA_SUCCESS) result = update(stream, after.nodes(), after.edges(), after.size(), op.flags);
  call.finish(result);
}

}  // namespace vgpu::worker::handlers
