// Graphs made by capture or of empty nodes, and their launches.
#include <cstring>
#include <vector>

#include "worker/handlers/handlers.gen.hpp"
#include "worker/session.hpp"

namespace vgpu::worker::handlers {

void graph_create(Session& session, const api::ops::GraphCreate& op, Call& call) {
  if (!session.objects().graphs.can_bind(op.result.value))
    return call.finish(session.violation("a graph handle that cannot be made"));
  const auto create = session.driver().cuGraphCreate;
  CUgraph graph = nullptr;
  const CUresult result = create == nullptr ? CUDA_ERROR_NOT_SUPPORTED : create(&graph, op.flags);
  if (result == CUDA_SUCCESS) session.objects().graphs.bind(op.result.value, graph);
  call.finish(result);
}

void graph_destroy(Session& session, const api::ops::GraphDestroy& op, Call& call) {
  const CUgraph* graph = session.objects().graphs.find(op.id.value);
  if (graph == nullptr) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  const CUresult result = session.driver().cuGraphDestroy(*graph);
  session.objects().graphs.drop(op.id.value);
  session.objects().nodes.forget(op.id.value);
  call.finish(result);
}

void graph_instantiate(Session& session, const api::ops::GraphInstantiate& op, Call& call) {
  const CUgraph* graph = session.objects().graphs.find(op.id.value);
  if (graph == nullptr) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  if (!session.objects().execs.can_bind(op.result.value))
    return call.finish(session.violation("an executable graph handle that cannot be made"));
  const auto instantiate = session.driver().cuGraphInstantiateWithFlags;
  CUgraphExec exec = nullptr;
  const CUresult result = instantiate == nullptr ? CUDA_ERROR_NOT_SUPPORTED : instantiate(&exec, *graph, op.flags);
  if (result == CUDA_SUCCESS) session.objects().execs.bind(op.result.value, exec);
  call.finish(result);
}

void graph_launch(Session& session, const api::ops::GraphLaunch& op, Call& call) {
  const CUgraphExec* exec = session.objects().execs.find(op.id.value);
  CUstream stream = nullptr;
  if (exec == nullptr || !session.objects().find(op.on.value, stream)) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  const CUresult result = session.driver().cuGraphLaunch(*exec, stream);
  if (result == CUDA_SUCCESS) session.dispatcher().count(op.on.value);
  call.finish(result);
}

void graph_upload(Session& session, const api::ops::GraphUpload& op, Call& call) {
  const CUgraphExec* exec = session.objects().execs.find(op.id.value);
  CUstream stream = nullptr;
  if (exec == nullptr || !session.objects().find(op.on.value, stream)) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  const auto upload = session.driver().cuGraphUpload;
  const CUresult result = upload == nullptr ? CUDA_ERROR_NOT_SUPPORTED : upload(*exec, stream);
  if (result == CUDA_SUCCESS) session.dispatcher().count(op.on.value);
  call.finish(result);
}

void exec_destroy(Session& session, const api::ops::ExecDestroy& op, Call& call) {
  const CUgraphExec* exec = session.objects().execs.find(op.id.value);
  if (exec == nullptr) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  const CUresult result = session.driver().cuGraphExecDestroy(*exec);
  session.objects().execs.drop(op.id.value);
  call.finish(result);
}

void graph_node_count(Session& session, const api::ops::GraphNodeCount& op, Call& call) {
  const CUgraph* graph = session.objects().graphs.find(op.id.value);
  if (graph == nullptr) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  const auto nodes = op.roots != 0 ? session.driver().cuGraphGetRootNodes : session.driver().cuGraphGetNodes;
  size_t count = 0;
  const CUresult result = nodes == nullptr ? CUDA_ERROR_NOT_SUPPORTED : nodes(*graph, nullptr, &count);
  api::ops::GraphNodeCountReply{count}.encode(call.reply());
  call.finish(result);
}

void graph_nodes(Session& session, const api::ops::GraphNodes& op, Call& call) {
  const CUgraph* graph = session.objects().graphs.find(op.id.value);
  if (graph == nullptr) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  const auto get = op.roots != 0 ? session.driver().cuGraphGetRootNodes : session.driver().cuGraphGetNodes;
  size_t count = 0;
  CUresult result = get == nullptr ? CUDA_ERROR_NOT_SUPPORTED : get(*graph, nullptr, &count);
  std::vector<CUgraphNode> nodes(result == CUDA_SUCCESS ? count : 0);
  if (!nodes.empty()) result = get(*graph, nodes.data(), &count);
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
  const CUgraph* graph = session.objects().graphs.find(op.id.value);
  if (graph == nullptr) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  if (op.after.size() % sizeof(uint64_t) != 0) return call.finish(session.violation("a part of a graph node's handle"));
  std::vector<CUgraphNode> after(op.after.size() / sizeof(uint64_t));
  for (size_t i = 0; i < after.size(); ++i) {
    uint64_t number = 0;
    std::memcpy(&number, op.after.data() + i * sizeof number, sizeof number);
    if (!session.objects().find(number, after[i])) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  }
  const auto add = session.driver().cuGraphAddEmptyNode;
  CUgraphNode node = nullptr;
  const CUresult result = add == nullptr ? CUDA_ERROR_NOT_SUPPORTED : add(&node, *graph, after.data(), after.size());
  if (result == CUDA_SUCCESS)
    api::ops::GraphAddEmptyNodeReply{{session.objects().nodes.number_of(node, op.id.value)}}.encode(call.reply());
  call.finish(result);
}

}  // namespace vgpu::worker::handlers
