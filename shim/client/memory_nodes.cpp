#include "shim/client/memory_nodes.hpp"

#include "shim/client/device_memory.hpp"

namespace vgpu::shim {

CUresult add_allocation(const Position& at, CUDA_MEM_ALLOC_NODE_PARAMS* params) {
  CUresult result = add_described(at, params);
  if (result != CUDA_SUCCESS) return result;
  AllocationSheet sheet;
  result = get_described(*at.made, CU_GRAPH_NODE_TYPE_MEM_ALLOC, sheet);
  if (result != CUDA_SUCCESS) return result;
  params->dptr = sheet.params.dptr;
  remember_graph_memory(params->dptr, params->bytesize);
  return CUDA_SUCCESS;
}

CUresult add_free(const Position& at, CUdeviceptr address) {
  if (const CUresult result = check(at); result != CUDA_SUCCESS) return result;
  if (address == 0) return CUDA_ERROR_INVALID_VALUE;
  NodeSheet sheet;
  const CUresult result = sheet.describe_free(address);
  return result != CUDA_SUCCESS ? result : add_node(at, sheet, sheet.type());
}

}  // namespace vgpu::shim
