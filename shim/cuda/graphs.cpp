// cuGraph*: graphs come from captures and stay on the host; building them node by node is not supported.
#include "shim/client/capture_state.hpp"
#include "shim/client/handles.hpp"
#include "shim/client/named_lookup.hpp"
#include "shim/client/request.hpp"
#include "shim/cuda/calls.gen.hpp"
#include "shim/cuda/entry.hpp"

namespace vgpu::shim::calls {
namespace {

/// Flag of cuGraphInstantiateWithParams: upload on the given stream at once. The shim does that itself.
constexpr cuuint64_t kUploadAtOnce = 2;

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
  if (result == CUDA_SUCCESS) *exec = reinterpret_cast<CUgraphExec>(id.keep());
  return result;
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
  return request.post();
}

/// Nodes have no handles in the guest, but their number is known.
CUresult count_nodes(CUgraph graph, const CUgraphNode* nodes, size_t* count, bool roots, const char* symbol) {
  if (count == nullptr || !is_kind(graph, wire::Kind::graph)) return CUDA_ERROR_INVALID_VALUE;
  if (nodes != nullptr) return static_cast<CUresult>(not_supported(symbol));
  Request request(api::ops::GraphNodeCount::kOp, api::ops::GraphNodeCount::kNeedsContext);
  api::ops::GraphNodeCountReply reply;
  const CUresult result =
      call(request, api::ops::GraphNodeCount{.id = {reinterpret_cast<uint64_t>(graph)}, .roots = roots}, reply);
  if (result == CUDA_SUCCESS) *count = reply.count;
  return result;
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
  const auto graph = reinterpret_cast<uint64_t>(hGraph);
  const CUresult result = post(api::ops::GraphDestroy{.id = {graph}});
  if (result == CUDA_SUCCESS) handles(wire::Kind::graph).discard(graph);
  return result;
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
  constexpr unsigned kDone = 0;
  constexpr unsigned kFailed = 1;
  instantiateParams->hErrNode_out = nullptr;
  CUresult result = instantiate(phGraphExec, hGraph, instantiateParams->flags & ~kUploadAtOnce);
  instantiateParams->result_out = result == CUDA_SUCCESS ? kDone : kFailed;
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
  if (result == CUDA_SUCCESS) handles(wire::Kind::exec).discard(exec);
  return result;
}

CUresult cuGraphLaunch(CUgraphExec hGraph, CUstream hStream) {
  return post_on_stream(api::Op::graph_launch, hGraph, hStream);
}
CUresult cuGraphUpload(CUgraphExec hGraph, CUstream hStream) {
  return post_on_stream(api::Op::graph_upload, hGraph, hStream);
}

CUresult cuGraphGetNodes(CUgraph hGraph, CUgraphNode* nodes, size_t* numNodes) {
  return count_nodes(hGraph, nodes, numNodes, false, "cuGraphGetNodes");
}

CUresult cuGraphGetRootNodes(CUgraph hGraph, CUgraphNode* rootNodes, size_t* numRootNodes) {
  return count_nodes(hGraph, rootNodes, numRootNodes, true, "cuGraphGetRootNodes");
}

}  // namespace vgpu::shim::calls
