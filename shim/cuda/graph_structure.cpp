// How nodes hang together: edges, clones, updates of executable graphs, and captures into a graph that is there.
#include <algorithm>
#include <cstring>
#include <mutex>
#include <vector>

#include "shim/client/capture_state.hpp"
#include "shim/client/child_graphs.hpp"
#include "shim/client/default_stream.hpp"
#include "shim/client/handles.hpp"
#include "shim/client/named_lookup.hpp"
#include "shim/client/node_lists.hpp"
#include "shim/client/request.hpp"
#include "shim/client/user_objects.hpp"
#include "shim/cuda/calls.gen.hpp"
#include "shim/cuda/capture_begin.hpp"

namespace vgpu::shim::calls {
namespace {

CUresult change_links(CUgraph graph, const CUgraphNode* from, const CUgraphNode* to, const CUgraphEdgeData* edges,
                      size_t count, bool remove) {
  if (graph == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (count == 0) return CUDA_SUCCESS;
  if (from == nullptr || to == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (count > kMostLinks) return CUDA_ERROR_NOT_SUPPORTED;
  const std::vector<uint8_t> links = pack_links(from, to, edges, count);
  Request request(api::Op::graph_link, api::ops::GraphLink::kNeedsContext);
  request.put(graph);
  request.body().put(static_cast<uint32_t>(remove));
  request.body().put(static_cast<uint32_t>(links.size()));
  return request.call(links);
}

/// All entries of a list that comes in pieces, of `entry` bytes each.
template <typename Reply, typename MakeOp>
CUresult fetch(size_t entry, MakeOp make_op, std::vector<uint8_t>& all, size_t& count) {
  all.clear();
  for (count = 1; all.size() / entry < count;) {
    const auto op = make_op(all.size() / entry);
    Request request(op.kOp, op.kNeedsContext);
    Reply reply;
    const CUresult result = call(request, op, reply);
    if (result != CUDA_SUCCESS) return result;
    count = reply.count;
    if (reply.links.empty()) break;
    all.insert(all.end(), reply.links.begin(), reply.links.end());
  }
  return CUDA_SUCCESS;
}

/// Where a list of edges goes: arrays of *count elements, or none if only the count is asked for.
struct Out {
  CUgraphNode* first;
  CUgraphNode* second;
  CUgraphEdgeData* edges;
  size_t* count;
};

/// Fills the arrays, with null behind the last entry. Edges that say more than "after" are lost on who does not take
/// them.
CUresult give(const std::vector<uint8_t>& all, size_t entry, size_t total, const Out& out) {
  const size_t nodes = entry == kLinkBytes ? 2 : 1;
  const size_t room = *out.count;
  if (out.first == nullptr) {
    *out.count = total;
    return CUDA_SUCCESS;
  }
  for (size_t i = 0; i < room; ++i) {
    CUgraphNode first = nullptr, second = nullptr;
    CUgraphEdgeData edge{};
    if (i < total) {
      const uint8_t* at = &all[i * entry];
      std::memcpy(&first, at, sizeof(uint64_t));
      if (nodes == 2) std::memcpy(&second, at + 8, sizeof(uint64_t));
      std::memcpy(&edge, at + 8 * nodes, sizeof edge);
    }
    if (out.edges == nullptr && !is_plain(edge)) return CUDA_ERROR_LOSSY_QUERY;
    out.first[i] = first;
    if (out.second != nullptr) out.second[i] = second;
    if (out.edges != nullptr) out.edges[i] = edge;
  }
  *out.count = std::min(room, total);
  return CUDA_SUCCESS;
}

CUresult list_links(CUgraphNode node, bool dependents, const Out& out) {
  if (node == nullptr || out.count == nullptr) return CUDA_ERROR_INVALID_VALUE;
  std::vector<uint8_t> all;
  size_t total = 0;
  const CUresult result = fetch<api::ops::GraphNodeLinksReply>(
      kDependencyBytes,
      [&](uint64_t first) {
        return api::ops::GraphNodeLinks{{number(node)}, static_cast<uint32_t>(dependents), first};
      },
      all, total);
  return result != CUDA_SUCCESS ? result : give(all, kDependencyBytes, all.size() / kDependencyBytes, out);
}

CUresult list_edges(CUgraph graph, const Out& out) {
  if (graph == nullptr || out.count == nullptr || (out.first == nullptr) != (out.second == nullptr))
    return CUDA_ERROR_INVALID_VALUE;
  std::vector<uint8_t> all;
  size_t total = 0;
  const CUresult result = fetch<api::ops::GraphEdgesReply>(
      kLinkBytes,
      [&](uint64_t first) {
        return api::ops::GraphEdges{{number(graph)}, first};
      },
      all, total);
  return result != CUDA_SUCCESS ? result : give(all, kLinkBytes, all.size() / kLinkBytes, out);
}

}  // namespace

CUresult cuGraphAddDependencies(CUgraph hGraph, const CUgraphNode* from, const CUgraphNode* to,
                                size_t numDependencies) {
  return change_links(hGraph, from, to, nullptr, numDependencies, false);
}
CUresult cuGraphAddDependencies_v2(CUgraph hGraph, const CUgraphNode* from, const CUgraphNode* to,
                                   const CUgraphEdgeData* edgeData, size_t numDependencies) {
  return change_links(hGraph, from, to, edgeData, numDependencies, false);
}
CUresult cuGraphRemoveDependencies(CUgraph hGraph, const CUgraphNode* from, const CUgraphNode* to,
                                   size_t numDependencies) {
  return change_links(hGraph, from, to, nullptr, numDependencies, true);
}
CUresult cuGraphRemoveDependencies_v2(CUgraph hGraph, const CUgraphNode* from, const CUgraphNode* to,
                                      const CUgraphEdgeData* edgeData, size_t numDependencies) {
  return change_links(hGraph, from, to, edgeData, numDependencies, true);
}
CUresult cuGraphNodeGetDependencies(CUgraphNode hNode, CUgraphNode* dependencies, size_t* numDependencies) {
  return list_links(hNode, false, {dependencies, nullptr, nullptr, numDependencies});
}
CUresult cuGraphNodeGetDependencies_v2(CUgraphNode hNode, CUgraphNode* dependencies, CUgraphEdgeData* edgeData,
                                       size_t* numDependencies) {
  return list_links(hNode, false, {dependencies, nullptr, edgeData, numDependencies});
}
CUresult cuGraphNodeGetDependentNodes(CUgraphNode hNode, CUgraphNode* dependentNodes, size_t* numDependentNodes) {
  return list_links(hNode, true, {dependentNodes, nullptr, nullptr, numDependentNodes});
}
CUresult cuGraphNodeGetDependentNodes_v2(CUgraphNode hNode, CUgraphNode* dependentNodes, CUgraphEdgeData* edgeData,
                                         size_t* numDependentNodes) {
  return list_links(hNode, true, {dependentNodes, nullptr, edgeData, numDependentNodes});
}
CUresult cuGraphGetEdges(CUgraph hGraph, CUgraphNode* from, CUgraphNode* to, size_t* numEdges) {
  return list_edges(hGraph, {from, to, nullptr, numEdges});
}
CUresult cuGraphGetEdges_v2(CUgraph hGraph, CUgraphNode* from, CUgraphNode* to, CUgraphEdgeData* edgeData,
                            size_t* numEdges) {
  return list_edges(hGraph, {from, to, edgeData, numEdges});
}

CUresult cuGraphDestroyNode(CUgraphNode hNode) {
  return hNode == nullptr ? CUDA_ERROR_INVALID_VALUE : call(api::ops::GraphDestroyNode{{number(hNode)}});
}

CUresult cuGraphClone(CUgraph* phGraphClone, CUgraph originalGraph) {
  using Op = api::ops::GraphClone;
  if (phGraphClone == nullptr || originalGraph == nullptr) return CUDA_ERROR_INVALID_VALUE;
  Request request(Op::kOp, Op::kNeedsContext);
  NewHandle id(request, wire::Kind::graph);
  if (id.value() == 0) return id.why();
  Op{{number(originalGraph)}, {id.value()}}.encode(request.body());
  const CUresult result = request.call();
  if (result != CUDA_SUCCESS) return result;
  user_objects::graph_copied(number(originalGraph), id.value());
  *phGraphClone = reinterpret_cast<CUgraph>(id.keep());
  return CUDA_SUCCESS;
}

CUresult cuGraphNodeFindInClone(CUgraphNode* phNode, CUgraphNode hOriginalNode, CUgraph hClonedGraph) {
  using Op = api::ops::GraphFindInClone;
  if (phNode == nullptr || hOriginalNode == nullptr || hClonedGraph == nullptr) return CUDA_ERROR_INVALID_VALUE;
  Request request(Op::kOp, Op::kNeedsContext);
  api::ops::GraphFindInCloneReply reply;
  const CUresult result = call(request, Op{{number(hOriginalNode)}, {number(hClonedGraph)}}, reply);
  if (result == CUDA_SUCCESS) *phNode = reinterpret_cast<CUgraphNode>(reply.found.value);
  return result;
}

CUresult cuGraphChildGraphNodeGetGraph(CUgraphNode hNode, CUgraph* phGraph) {
  using Op = api::ops::GraphChild;
  if (phGraph == nullptr || hNode == nullptr) return CUDA_ERROR_INVALID_VALUE;
  static constinit std::mutex mutex;  // two threads get the same handle
  const std::lock_guard lock(mutex);
  if (const CUgraph known = find_child_graph(hNode); known != nullptr) {
    *phGraph = known;
    return CUDA_SUCCESS;
  }
  Request request(Op::kOp, Op::kNeedsContext);
  NewHandle id(request, wire::Kind::graph);
  if (id.value() == 0) return id.why();
  Op{{number(hNode)}, {id.value()}}.encode(request.body());
  const CUresult result = request.call();
  if (result == CUDA_SUCCESS) note_child_graph(hNode, *phGraph = reinterpret_cast<CUgraph>(id.keep()));
  return result;
}

CUresult cuGraphExecUpdate_v2(CUgraphExec hGraphExec, CUgraph hGraph, CUgraphExecUpdateResultInfo* resultInfo) {
  using Op = api::ops::ExecUpdate;
  if (hGraphExec == nullptr || hGraph == nullptr || resultInfo == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (const CUresult refused = refuse_if_capturing(); refused != CUDA_SUCCESS) return refused;
  Request request(Op::kOp, Op::kNeedsContext);
  api::ops::ExecUpdateReply reply;
  const CUresult result = call(request, Op{{number(hGraphExec)}, {number(hGraph)}}, reply);
  if (result != CUDA_SUCCESS) return result;
  *resultInfo = {reply.outcome, reinterpret_cast<CUgraphNode>(reply.at.value),
                 reinterpret_cast<CUgraphNode>(reply.from.value)};
  const auto updated = static_cast<CUresult>(reply.result);
  if (updated == CUDA_SUCCESS) user_objects::updated(number(hGraphExec), number(hGraph));
  return updated;
}

CUresult cuGraphExecUpdate(CUgraphExec hGraphExec, CUgraph hGraph, CUgraphNode* hErrorNode_out,
                           CUgraphExecUpdateResult* updateResult_out) {
  CUgraphExecUpdateResultInfo info{};
  if (updateResult_out == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const CUresult result = cuGraphExecUpdate_v2(hGraphExec, hGraph, &info);
  if (hErrorNode_out != nullptr) *hErrorNode_out = info.errorNode;
  *updateResult_out = info.result;
  return result;
}

CUresult cuGraphExecGetFlags(CUgraphExec hGraphExec, cuuint64_t* flags) {
  using Op = api::ops::ExecFlags;
  if (hGraphExec == nullptr || flags == nullptr) return CUDA_ERROR_INVALID_VALUE;
  Request request(Op::kOp, Op::kNeedsContext);
  api::ops::ExecFlagsReply reply;
  const CUresult result = call(request, Op{{number(hGraphExec)}}, reply);
  if (result == CUDA_SUCCESS) *flags = reply.flags;
  return result;
}

CUresult cuStreamBeginCaptureToGraph(CUstream hStream, CUgraph hGraph, const CUgraphNode* dependencies,
                                     const CUgraphEdgeData* dependencyData, size_t numDependencies,
                                     CUstreamCaptureMode mode) {
  if (mode > CU_STREAM_CAPTURE_MODE_RELAXED || hGraph == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (dependencies == nullptr && numDependencies != 0) return CUDA_ERROR_INVALID_VALUE;
  if (numDependencies > kMostDependencies) return CUDA_ERROR_NOT_SUPPORTED;
  uint64_t stream = 0;
  if (const CUresult result = resolve_stream(hStream, stream); result != CUDA_SUCCESS) return result;
  const std::vector<uint8_t> after = pack_dependencies(dependencies, dependencyData, numDependencies);
  Request request(api::Op::stream_begin_capture_to, true);
  request.body().put(stream);
  request.put(hGraph);
  request.body().put(uint32_t{mode});
  request.body().put(static_cast<uint32_t>(after.size()));
  if (const CUresult result = request.call(after); result != CUDA_SUCCESS) return result;
  return note_capture(stream, mode, number(hGraph));
}

CUresult cuStreamUpdateCaptureDependencies_v2(CUstream hStream, CUgraphNode* dependencies,
                                              const CUgraphEdgeData* dependencyData, size_t numDependencies,
                                              unsigned flags) {
  if (dependencies == nullptr && numDependencies != 0) return CUDA_ERROR_INVALID_VALUE;
  if (numDependencies > kMostDependencies) return CUDA_ERROR_NOT_SUPPORTED;
  uint64_t stream = 0;
  if (const CUresult result = resolve_stream(hStream, stream); result != CUDA_SUCCESS) return result;
  const std::vector<uint8_t> after = pack_dependencies(dependencies, dependencyData, numDependencies);
  Request request(api::Op::stream_update_dependencies, true);
  request.body().put(stream);
  request.body().put(uint32_t{flags});
  request.body().put(static_cast<uint32_t>(after.size()));
  return request.call(after);
}
CUresult cuStreamUpdateCaptureDependencies(CUstream hStream, CUgraphNode* dependencies, size_t numDependencies,
                                           unsigned flags) {
  return cuStreamUpdateCaptureDependencies_v2(hStream, dependencies, nullptr, numDependencies, flags);
}

}  // namespace vgpu::shim::calls
