// Nodes of graphs that wait for values in memory, or write them.
#include <map>
#include <mutex>
#include <vector>

#include "shim/client/node_requests.hpp"
#include "shim/cuda/calls.gen.hpp"

namespace vgpu::shim::calls {
namespace {

/// The list that is handed out with a node's parameters: it stays until the node is asked about again.
CUstreamBatchMemOpParams* hand_out(CUgraphNode node, std::vector<CUstreamBatchMemOpParams> operations) {
  static constinit std::mutex mutex;
  static auto* const all = new std::map<CUgraphNode, std::vector<CUstreamBatchMemOpParams>>;  // never destroyed
  const std::lock_guard lock(mutex);
  auto& mine = (*all)[node];
  mine = std::move(operations);
  return mine.data();
}

}  // namespace

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
CUresult cuGraphBatchMemOpNodeGetParams(CUgraphNode hNode, CUDA_BATCH_MEM_OP_NODE_PARAMS* nodeParams_out) {
  BatchSheet sheet;
  if (nodeParams_out == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const CUresult result = get_described(hNode, CU_GRAPH_NODE_TYPE_BATCH_MEM_OP, sheet);
  if (result != CUDA_SUCCESS) return result;
  const auto count = static_cast<unsigned>(sheet.operations.size());
  *nodeParams_out = {sheet.context, count, hand_out(hNode, std::move(sheet.operations)), sheet.flags};
  return CUDA_SUCCESS;
}

}  // namespace vgpu::shim::calls
