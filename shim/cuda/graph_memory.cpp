// Memory that graphs allocate and free while they run, and what the device keeps for them.
#include <cstring>
#include <map>
#include <mutex>
#include <vector>

#include "shim/client/memory_nodes.hpp"
#include "shim/client/startup.hpp"
#include "shim/cuda/calls.gen.hpp"

namespace vgpu::shim::calls {
namespace {

/// The list that is handed out with a node's parameters: it stays as long as the program may read it.
const CUmemAccessDesc* hand_out(CUgraphNode node, const std::vector<CUmemAccessDesc>& access) {
  static constinit std::mutex mutex;
  static auto* const all = new std::map<CUgraphNode, std::vector<CUmemAccessDesc>>;  // never destroyed
  if (access.empty()) return nullptr;
  const std::lock_guard lock(mutex);
  // What a node allocates never changes, so the first list is right for ever.
  return all->try_emplace(node, access).first->second.data();
}

CUresult check_attribute(CUdevice device, CUgraphMem_attribute attribute, const void* value) {
  if (const CUresult result = initialized(); result != CUDA_SUCCESS) return result;
  if (!is_device(device)) return CUDA_ERROR_INVALID_DEVICE;
  const bool known = attribute <= CU_GRAPH_MEM_ATTR_RESERVED_MEM_HIGH;
  return value != nullptr && known ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

}  // namespace

CUresult cuGraphAddMemAllocNode(CUgraphNode* phGraphNode, CUgraph hGraph, const CUgraphNode* dependencies,
                                size_t numDependencies, CUDA_MEM_ALLOC_NODE_PARAMS* nodeParams) {
  return add_allocation({phGraphNode, hGraph, dependencies, numDependencies}, nodeParams);
}
CUresult cuGraphAddMemFreeNode(CUgraphNode* phGraphNode, CUgraph hGraph, const CUgraphNode* dependencies,
                               size_t numDependencies, CUdeviceptr dptr) {
  return add_free({phGraphNode, hGraph, dependencies, numDependencies}, dptr);
}

CUresult cuGraphMemAllocNodeGetParams(CUgraphNode hNode, CUDA_MEM_ALLOC_NODE_PARAMS* params_out) {
  AllocationSheet sheet;
  if (params_out == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const CUresult result = get_described(hNode, CU_GRAPH_NODE_TYPE_MEM_ALLOC, sheet);
  if (result != CUDA_SUCCESS) return result;
  *params_out = sheet.params;
  params_out->accessDescs = hand_out(hNode, sheet.access);
  return CUDA_SUCCESS;
}
CUresult cuGraphMemFreeNodeGetParams(CUgraphNode hNode, CUdeviceptr* dptr_out) {
  return dptr_out == nullptr ? CUDA_ERROR_INVALID_VALUE : get_described(hNode, CU_GRAPH_NODE_TYPE_MEM_FREE, *dptr_out);
}

CUresult cuDeviceGetGraphMemAttribute(CUdevice device, CUgraphMem_attribute attr, void* value) {
  using Op = api::ops::GraphMemoryGet;
  if (const CUresult refused = check_attribute(device, attr, value); refused != CUDA_SUCCESS) return refused;
  Request request(Op::kOp, Op::kNeedsContext);
  api::ops::GraphMemoryGetReply reply;
  const CUresult result = call(request, Op{static_cast<uint32_t>(device), attr}, reply);
  if (result == CUDA_SUCCESS) std::memcpy(value, &reply.value, sizeof reply.value);
  return result;
}

/// High-water marks can be set back to 0, and that is all there is to set.
CUresult cuDeviceSetGraphMemAttribute(CUdevice device, CUgraphMem_attribute attr, void* value) {
  if (const CUresult refused = check_attribute(device, attr, value); refused != CUDA_SUCCESS) return refused;
  uint64_t wanted = 0;
  std::memcpy(&wanted, value, sizeof wanted);
  return call(api::ops::GraphMemorySet{static_cast<uint32_t>(device), attr, wanted});
}

}  // namespace vgpu::shim::calls
