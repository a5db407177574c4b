// Nodes of graphs that wait for values in memory, or write them.
#include "shim/client/node_requests.hpp"
#include "shim/cuda/calls.gen.hpp"

namespace vgpu::shim::calls {

CUresult cuGraphAddBatchMemOpNode(CUgraphNode* phGraphNode, CUgraph hGraph, const CUgraphNode* dependencies,
                                  size_t numDependencies, const CUDA_BATCH_MEM_OP_NODE_PARAMS* nodeParams) {
  return add_described({phGraphNode, hGraph, dependencies, numDependencies}, nodeParams,
                       nodeParams == nullptr ? nullptr : nodeParams->ctx);
}
CUresult cuGraphBatchMemOpNodeSetParams(CUgraphNode hNode, const CUDA_BATCH_MEM_OP_NODE_PARAMS* nodeParams) {
  return set_described({hNode}, nodeParams, nodeParams == nullptr ? nullptr : nodeParams->ctx);
}
CUresult cuGraphExecBatchMemOpNodeSetParams(CUgraphExec hGraphExec, CUgraphNode hNode,
                                            const CUDA_BATCH_MEM_OP_NODE_PARAMS* nodeParams) {
  if (hGraphExec == nullptr) return CUDA_ERROR_INVALID_VALUE;
  return set_described({hNode, hGraphExec}, nodeParams, nodeParams == nullptr ? nullptr : nodeParams->ctx);
}
CUresult cuGraphBatchMemOpNodeGetParams(CUgraphNode, CUDA_BATCH_MEM_OP_NODE_PARAMS*) {
  return CUDA_ERROR_NOT_SUPPORTED;
}

}  // namespace vgpu::shim::calls
