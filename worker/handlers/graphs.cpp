// Graphs made by capture or of empty nodes, and their launches. Nodes are counted, so that a client stays within
// worker/objects/limits.hpp.
#include <algorithm>
#include <cstring>
#include <vector>

#include "worker/handlers/graph_counts.hpp"
#include "worker/handlers/graph_memory.hpp"
#include "worker/handlers/handlers.gen.hpp"
#include "worker/handlers/new_handle.hpp"
#include "worker/session.hpp"

namespace vgpu::worker::handlers {
namespace {

bool is_capturing(Session& session, CUstream stream) {
  unsigned status = CU_STREAM_CAPTURE_STATUS_NONE;
  return session.driver().cuStreamIsCapturing(stream, &status) == CUDA_SUCCESS &&
         status != CU_STREAM_CAPTURE_STATUS_NONE;
}

/// A launch into a capture puts the whole graph into the new one: twice a graph that holds another twice makes four,
/// and so on.
CUresult put_inside(ContextState& context, const Exec& exec) {
  if (exec.depth >= kDeepestGraph || exec.count > kMostNodesOfGraph - std::min(context.captured, kMostNodesOfGraph))
    return CUDA_ERROR_OUT_OF_MEMORY;
  context.captured += exec.count;
  context.captured_inside += exec.count;
  context.captured_depth = std::max(context.captured_depth, exec.depth + 1);
  return CUDA_SUCCESS;
}

/// Whether the graph may become an executable one with this handle; `count`: the nodes that it will have.
CUresult check_exec(Session& session, uint64_t graph, uint64_t handle, uint64_t& count) {
  Objects& objects = session.objects();
  count = count_all(objects, graph, *objects.graphs.find(graph));
  if (count > kMostNodes - objects.node_count) return CUDA_ERROR_OUT_OF_MEMORY;
  return check_new(session, objects.execs, handle, "an executable graph handle that cannot be made");
}

Exec made(CUgraphExec exec, uint64_t count, const Graph& from) {
  Exec out{exec, count, from.depth};
  out.made_from = from.real;
  return out;
}

void keep_exec(Objects& objects, uint64_t handle, const Exec& exec) {
  objects.execs.bind(handle, exec);
  objects.node_count += exec.count;
}

}  // namespace

void graph_create(Session& session, const api::ops::GraphCreate& op, Call& call) {
  if (const CUresult refused =
          check_new(session, session.objects().graphs, op.result.value, "a graph handle that cannot be made");
      refused != CUDA_SUCCESS)
    return call.finish(refused);
  const auto create = session.driver().cuGraphCreate;
  CUgraph graph = nullptr;
  const CUresult result = create == nullptr ? CUDA_ERROR_NOT_SUPPORTED : create(&graph, op.flags);
  if (result == CUDA_SUCCESS) session.objects().graphs.bind(op.result.value, {graph});
  call.finish(result);
}

void graph_destroy(Session& session, const api::ops::GraphDestroy& op, Call& call) {
  const Graph* graph = session.objects().graphs.find(op.id.value);
  if (graph == nullptr || graph->owner != 0 || graph->capturing != 0) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  const CUresult result = session.driver().cuGraphDestroy(graph->real);
  forget_graph(session.objects(), op.id.value);
  forget_graph_memory(session);
  call.finish(result);
}

void graph_instantiate(Session& session, const api::ops::GraphInstantiate& op, Call& call) {
  const Graph* graph = session.objects().graphs.find(op.id.value);
  if (graph == nullptr) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  uint64_t count = 0;
  if (const CUresult refused = check_exec(session, op.id.value, op.result.value, count); refused != CUDA_SUCCESS)
    return call.finish(refused);
  const auto instantiate = session.driver().cuGraphInstantiateWithFlags;
  CUgraphExec exec = nullptr;
  const CUresult result = instantiate == nullptr ? CUDA_ERROR_NOT_SUPPORTED : instantiate(&exec, graph->real, op.flags);
  if (result == CUDA_SUCCESS) keep_exec(session.objects(), op.result.value, made(exec, count, *graph));
  call.finish(result);
}

void graph_instantiate_with_outcome(Session& session, const api::ops::GraphInstantiateWithOutcome& op, Call& call) {
  const auto instantiate = session.driver().cuGraphInstantiateWithParams;
  const Graph* graph = session.objects().graphs.find(op.id.value);
  if (instantiate == nullptr) return call.finish(CUDA_ERROR_NOT_SUPPORTED);
  if (graph == nullptr) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  uint64_t count = 0;
  if (const CUresult refused = check_exec(session, op.id.value, op.made.value, count); refused != CUDA_SUCCESS)
    return call.finish(refused);
  CUDA_GRAPH_INSTANTIATE_PARAMS params{};
  params.flags = op.flags;
  CUgraphExec exec = nullptr;
  const CUresult result = instantiate(&exec, graph->real, &params);
  if (result == CUDA_SUCCESS) keep_exec(session.objects(), op.made.value, made(exec, count, *graph));
  const uint64_t at =
      params.hErrNode_out == nullptr ? 0 : session.objects().nodes.number_of(params.hErrNode_out, op.id.value);
  api::ops::GraphInstantiateWithOutcomeReply{static_cast<uint32_t>(result), params.result_out, {at}}.encode(
      call.reply());
  session.observe(result);
  call.finish(CUDA_SUCCESS);  // the reply says how it went
}

void graph_launch(Session& session, const api::ops::GraphLaunch& op, Call& call) {
  const Exec* exec = session.objects().execs.find(op.id.value);
  CUstream stream = nullptr;
  if (exec == nullptr || !session.objects().find(op.on.value, stream)) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  ContextState& context = session.context_of(op.on.value);
  if (context.open_captures != 0 && op.on.value != 1 && is_capturing(session, stream)) {
    if (const CUresult refused = put_inside(context, *exec); refused != CUDA_SUCCESS) return call.finish(refused);
  }
  const CUresult result = session.driver().cuGraphLaunch(exec->real, stream);
  if (result == CUDA_SUCCESS) session.dispatcher().count(op.on.value);
  call.finish(result);
}

void graph_upload(Session& session, const api::ops::GraphUpload& op, Call& call) {
  const Exec* exec = session.objects().execs.find(op.id.value);
  CUstream stream = nullptr;
  if (exec == nullptr || !session.objects().find(op.on.value, stream)) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  const auto upload = session.driver().cuGraphUpload;
  const CUresult result = upload == nullptr ? CUDA_ERROR_NOT_SUPPORTED : upload(exec->real, stream);
  if (result == CUDA_SUCCESS) session.dispatcher().count(op.on.value);
  call.finish(result);
}

void exec_destroy(Session& session, const api::ops::ExecDestroy& op, Call& call) {
  const Exec* exec = session.objects().execs.find(op.id.value);
  if (exec == nullptr) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  const CUresult result = session.driver().cuGraphExecDestroy(exec->real);
  session.objects().node_count -= exec->count;
  session.objects().execs.drop(op.id.value);
  forget_graph_memory(session);
  call.finish(result);
}

void exec_flags(Session& session, const api::ops::ExecFlags& op, Call& call) {
  const auto get = session.driver().cuGraphExecGetFlags;
  const Exec* exec = session.objects().execs.find(op.id.value);
  if (get == nullptr) return call.finish(CUDA_ERROR_NOT_SUPPORTED);
  if (exec == nullptr) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  cuuint64_t flags = 0;
  const CUresult result = get(exec->real, &flags);
  api::ops::ExecFlagsReply{flags}.encode(call.reply());
  call.finish(result);
}

void graph_node_count(Session& session, const api::ops::GraphNodeCount& op, Call& call) {
  const Graph* graph = session.objects().graphs.find(op.id.value);
  if (graph == nullptr) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  const auto nodes = op.roots != 0 ? session.driver().cuGraphGetRootNodes : session.driver().cuGraphGetNodes;
  size_t count = 0;
  const CUresult result = nodes == nullptr ? CUDA_ERROR_NOT_SUPPORTED : nodes(graph->real, nullptr, &count);
  api::ops::GraphNodeCountReply{count}.encode(call.reply());
  call.finish(result);
}

void graph_nodes(Session& session, const api::ops::GraphNodes& op, Call& call) {
  const Graph* graph = session.objects().graphs.find(op.id.value);
  if (graph == nullptr) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  const auto get = op.roots != 0 ? session.driver().cuGraphGetRootNodes : session.driver().cuGraphGetNodes;
  size_t count = 0;
  CUresult result = get == nullptr ? CUDA_ERROR_NOT_SUPPORTED : get(graph->real, nullptr, &count);
  std::vector<CUgraphNode> nodes(result == CUDA_SUCCESS ? count : 0);
  if (!nodes.empty()) result = get(graph->real, nodes.data(), &count);
  if (result != CUDA_SUCCESS) return call.finish(result);
  constexpr size_t kMost = 100;
  uint64_t numbers[kMost] = {};
  size_t written = 0;
  for (uint64_t i = op.first; i < nodes.size() && written < kMost; ++i, ++written)
    numbers[written] = session.objects().nodes.number_of(nodes[i], op.id.value);
  const auto* bytes = reinterpret_cast<const uint8_t*>(numbers);
  api::ops::GraphNodesReply{nodes.size(), {bytes, written * sizeof numbers[0]}}.encode(call.reply());
  call.finish(CUDA_SUCCESS);
}

void graph_add_empty_node(Session& session, const api::ops::GraphAddEmptyNode& op, Call& call) {
  Graph* graph = session.objects().graphs.find(op.id.value);
  if (graph == nullptr) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  if (graph->count >= kMostNodesOfGraph || session.objects().node_count >= kMostNodes)
    return call.finish(CUDA_ERROR_OUT_OF_MEMORY);
  if (op.after.size() % sizeof(uint64_t) != 0) return call.finish(session.violation("a part of a graph node's handle"));
  std::vector<CUgraphNode> after(op.after.size() / sizeof(uint64_t));
  for (size_t i = 0; i < after.size(); ++i) {
    uint64_t number = 0;
    std::memcpy(&number, op.after.data() + i * sizeof number, sizeof number);
    if (!session.objects().find(number, after[i])) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  }
  const auto add = session.driver().cuGraphAddEmptyNode;
  CUgraphNode node = nullptr;
  const CUresult result =
      add == nullptr ? CUDA_ERROR_NOT_SUPPORTED : add(&node, graph->real, after.data(), after.size());
  if (result == CUDA_SUCCESS) {
    ++graph->count;
    ++session.objects().node_count;
    api::ops::GraphAddEmptyNodeReply{{session.objects().nodes.number_of(node, op.id.value)}}.encode(call.reply());
  }
  call.finish(result);
}

}  // namespace vgpu::worker::handlers
