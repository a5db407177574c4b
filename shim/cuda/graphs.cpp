// cuGraph*: graphs and their executable forms, made, launched and destroyed.
#include <algorithm>
#include <cstring>

#include "shim/client/capture_state.hpp"
#include "shim/client/checked_launches.hpp"
#include "shim/client/child_graphs.hpp"
#include "shim/client/handles.hpp"
#include "shim/client/named_lookup.hpp"
#include "shim/client/request.hpp"
#include "shim/client/user_objects.hpp"
#include "shim/cuda/calls.gen.hpp"

namespace vgpu::shim::calls {
namespace {

/// Flag of cuGraphInstantiateWithParams: upload on the given stream at once. The shim does that itself.
constexpr cuuint64_t kUploadAtOnce = 2;

/// How many dependencies of a new node fit into its record (the cap of graph_add_empty_node).
constexpr size_t kMostDependencies = 32768 / sizeof(CUgraphNode);

template <typename Handle>
bool is_kind(Handle* handle, wire::Kind kind) {
  return wire::kind_of(reinterpret_cast<uint64_t>(handle)) == kind;
}

CUresult instantiate(CUgraphExec* exec, CUgraph graph, cuuint64_t flags) {
  if (exec == nullptr || !is_kind(graph, wire::Kind::graph)) return CUDA_ERROR_INVALID_VALUE;
  const CUresult refused = refuse_if_capturing();
  if (refused != CUDA_SUCCESS) return refused;
  Request request(api::ops::GraphInstantiate::kOp, api::ops::GraphInstantiate::kNeedsContext);
  NewHandle id(request, wire::Kind::exec);
  if (id.value() == 0) return id.why();
  api::ops::GraphInstantiate{.id = {reinterpret_cast<uint64_t>(graph)}, .result = {id.value()}, .flags = flags}.encode(
      request.body());
  const CUresult result = request.call();
  if (result != CUDA_SUCCESS) return result;
  user_objects::instantiated(reinterpret_cast<uint64_t>(graph), id.value());
  *exec = reinterpret_cast<CUgraphExec>(id.keep());
  note_exec(*exec, flags);
  return CUDA_SUCCESS;
}

/// Says what is wrong with the graph, and where.
CUresult instantiate_with_outcome(CUgraphExec* exec, CUgraph graph, CUDA_GRAPH_INSTANTIATE_PARAMS& params) {
  using Op = api::ops::GraphInstantiateWithOutcome;
  constexpr unsigned kFailed = 1;
  params.hErrNode_out = nullptr;
  params.result_out = kFailed;
  if (exec == nullptr || !is_kind(graph, wire::Kind::graph)) return CUDA_ERROR_INVALID_VALUE;
  if (const CUresult refused = refuse_if_capturing(); refused != CUDA_SUCCESS) return refused;
  Request request(Op::kOp, Op::kNeedsContext);
  NewHandle id(request, wire::Kind::exec);
  if (id.value() == 0) return id.why();
  api::ops::GraphInstantiateWithOutcomeReply reply;
  CUresult result =
      call(request, Op{{reinterpret_cast<uint64_t>(graph)}, {id.value()}, params.flags & ~kUploadAtOnce}, reply);
  if (result != CUDA_SUCCESS) return result;
  params.result_out = reply.outcome;
  params.hErrNode_out = reinterpret_cast<CUgraphNode>(reply.at.value);
  result = static_cast<CUresult>(reply.result);
  if (result != CUDA_SUCCESS) {
    handles(wire::Kind::exec).discard(id.keep());
    return result;
  }
  user_objects::instantiated(number(graph), id.value());
  *exec = reinterpret_cast<CUgraphExec>(id.keep());
  note_exec(*exec, params.flags);
  return CUDA_SUCCESS;
}

/// The first forms also tell where it failed; we do not know.
CUresult instantiate_with_log(CUgraphExec* exec, CUgraph graph, CUgraphNode* error_node, char* log, size_t log_size) {
  if (error_node != nullptr) *error_node = nullptr;
  if (log != nullptr && log_size != 0) log[0] = '\0';
  return instantiate(exec, graph, 0);
}

CUresult post_on_stream(api::Op op, CUgraphExec exec, CUstream stream) {
  if (!is_kind(exec, wire::Kind::exec)) return CUDA_ERROR_INVALID_VALUE;
  Request request(op, true);
  request.put(exec);
  request.put(stream);
  return may_be_refused(exec) ? request.call() : request.post();
}

CUresult count_nodes(CUgraph graph, size_t* count, bool roots) {
  Request request(api::ops::GraphNodeCount::kOp, api::ops::GraphNodeCount::kNeedsContext);
  api::ops::GraphNodeCountReply reply;
  const CUresult result =
      call(request, api::ops::GraphNodeCount{.id = {reinterpret_cast<uint64_t>(graph)}, .roots = roots}, reply);
  if (result == CUDA_SUCCESS) *count = reply.count;
  return result;
}

/// Fills the array, with null behind the last node, and says how many there are; without an array, only that.
CUresult list_nodes(CUgraph graph, CUgraphNode* nodes, size_t* count, bool roots) {
  if (count == nullptr || !is_kind(graph, wire::Kind::graph)) return CUDA_ERROR_INVALID_VALUE;
  if (nodes == nullptr) return count_nodes(graph, count, roots);
  size_t filled = 0;
  for (uint64_t total = 1; filled < *count && filled < total;) {
    Request request(api::ops::GraphNodes::kOp, api::ops::GraphNodes::kNeedsContext);
    const api::ops::GraphNodes op{.id = {reinterpret_cast<uint64_t>(graph)}, .roots = roots, .first = filled};
    api::ops::GraphNodesReply reply;
    const CUresult result = call(request, op, reply);
    if (result != CUDA_SUCCESS) return result;
    total = reply.count;
    const size_t came = std::min(reply.nodes.size() / sizeof(uint64_t), *count - filled);
    if (came == 0) break;
    std::memcpy(nodes + filled, reply.nodes.data(), came * sizeof(uint64_t));
    filled += came;
  }
  std::fill(nodes + filled, nodes + *count, nullptr);
  *count = filled;
  return CUDA_SUCCESS;
}

}  // namespace

CUresult cuGraphCreate(CUgraph* phGraph, unsigned flags) {
  if (phGraph == nullptr || flags != 0) return CUDA_ERROR_INVALID_VALUE;
  Request request(api::ops::GraphCreate::kOp, api::ops::GraphCreate::kNeedsContext);
  NewHandle id(request, wire::Kind::graph);
  if (id.value() == 0) return id.why();
  api::ops::GraphCreate{.result = {id.value()}, .flags = flags}.encode(request.body());
  const CUresult result = request.call();
  if (result == CUDA_SUCCESS) *phGraph = reinterpret_cast<CUgraph>(id.keep());
  return result;
}

CUresult cuGraphDestroy(CUgraph hGraph) {
  if (!is_kind(hGraph, wire::Kind::graph)) return CUDA_ERROR_INVALID_VALUE;
  if (is_inside(hGraph)) return CUDA_ERROR_INVALID_VALUE;
  const CUresult result = post(api::ops::GraphDestroy{.id = {number(hGraph)}});
  if (result != CUDA_SUCCESS) return result;
  user_objects::graph_gone(number(hGraph));
  for (const CUgraph inside : take_inside(hGraph)) handles(wire::Kind::graph).discard(number(inside));
  handles(wire::Kind::graph).discard(number(hGraph));
  return CUDA_SUCCESS;
}

CUresult cuGraphInstantiate(CUgraphExec* phGraphExec, CUgraph hGraph, CUgraphNode* phErrorNode, char* logBuffer,
                            size_t bufferSize) {
  return instantiate_with_log(phGraphExec, hGraph, phErrorNode, logBuffer, bufferSize);
}

CUresult cuGraphInstantiate_v2(CUgraphExec* phGraphExec, CUgraph hGraph, CUgraphNode* phErrorNode, char* logBuffer,
                               size_t bufferSize) {
  return instantiate_with_log(phGraphExec, hGraph, phErrorNode, logBuffer, bufferSize);
}

CUresult cuGraphInstantiateWithFlags(CUgraphExec* phGraphExec, CUgraph hGraph, unsigned long long flags) {
  return instantiate(phGraphExec, hGraph, flags);
}

CUresult cuGraphInstantiateWithParams(CUgraphExec* phGraphExec, CUgraph hGraph,
                                      CUDA_GRAPH_INSTANTIATE_PARAMS* instantiateParams) {
  if (instantiateParams == nullptr) return CUDA_ERROR_INVALID_VALUE;
  CUresult result = instantiate_with_outcome(phGraphExec, hGraph, *instantiateParams);
  if (result == CUDA_SUCCESS && (instantiateParams->flags & kUploadAtOnce) != 0) {
    result = post_on_stream(api::Op::graph_upload, *phGraphExec, instantiateParams->hUploadStream);
  }
  return result;
}

CUresult cuGraphExecDestroy(CUgraphExec hGraphExec) {
  if (!is_kind(hGraphExec, wire::Kind::exec)) return CUDA_ERROR_INVALID_VALUE;
  const CUresult refused = refuse_if_capturing();
  if (refused != CUDA_SUCCESS) return refused;
  const auto exec = reinterpret_cast<uint64_t>(hGraphExec);
  const CUresult result = post(api::ops::ExecDestroy{.id = {exec}});
  if (result != CUDA_SUCCESS) return result;
  user_objects::exec_gone(exec);
  forget_exec(hGraphExec);
  handles(wire::Kind::exec).discard(exec);
  return CUDA_SUCCESS;
}

CUresult cuGraphLaunch(CUgraphExec hGraph, CUstream hStream) {
  const CUresult result = post_on_stream(api::Op::graph_launch, hGraph, hStream);
  if (result == CUDA_SUCCESS) user_objects::launched(reinterpret_cast<uint64_t>(hGraph), hStream);
  return result;
}
CUresult cuGraphUpload(CUgraphExec hGraph, CUstream hStream) {
  return post_on_stream(api::Op::graph_upload, hGraph, hStream);
}

CUresult cuGraphGetNodes(CUgraph hGraph, CUgraphNode* nodes, size_t* numNodes) {
  return list_nodes(hGraph, nodes, numNodes, false);
}

CUresult cuGraphGetRootNodes(CUgraph hGraph, CUgraphNode* rootNodes, size_t* numRootNodes) {
  return list_nodes(hGraph, rootNodes, numRootNodes, true);
}

CUresult cuGraphAddEmptyNode(CUgraphNode* phGraphNode, CUgraph hGraph, const CUgraphNode* dependencies,
                             size_t numDependencies) {
  if (hGraph == nullptr) return CUDA_ERROR_INVALID_VALUE;  // before cuInit, too (measured)
  Request request(api::ops::GraphAddEmptyNode::kOp, api::ops::GraphAddEmptyNode::kNeedsContext);
  if (request.refusal() != CUDA_SUCCESS) return request.refusal();
  if (phGraphNode == nullptr || !is_kind(hGraph, wire::Kind::graph)) return CUDA_ERROR_INVALID_VALUE;
  if (dependencies == nullptr && numDependencies != 0) return CUDA_ERROR_INVALID_VALUE;
  if (numDependencies > kMostDependencies) return CUDA_ERROR_NOT_SUPPORTED;
  // The dependencies may be more than the request holds, so they are the record's tail.
  const auto* tail = reinterpret_cast<const uint8_t*>(dependencies);
  const size_t size = numDependencies * sizeof(uint64_t);
  request.put(hGraph);
  request.body().put(static_cast<uint32_t>(size));
  const CUresult result = request.call({tail, size});
  if (result != CUDA_SUCCESS) return result;
  api::ops::GraphAddEmptyNodeReply reply;
  if (!reply.decode(request.reply())) return CUDA_ERROR_UNKNOWN;
  *phGraphNode = reinterpret_cast<CUgraphNode>(reply.made.value);
  return CUDA_SUCCESS;
}

}  // namespace vgpu::shim::calls
