// Nodes that allocate and free memory, and what the device keeps for them.
#include <cstring>

#include "worker/sim/api/graph_entry.hpp"

using namespace vgpu::sim::api;
using vgpu::sim::device::AllocationParameters;
using vgpu::sim::device::FreeParameters;
using vgpu::sim::device::GraphMemory;

VGPU_SIM_EXPORT(cuGraphMemAllocNodeGetParams);
VGPU_SIM_EXPORT(cuGraphMemFreeNodeGetParams);
VGPU_SIM_EXPORT(cuDeviceGetGraphMemAttribute);
VGPU_SIM_EXPORT(cuDeviceSetGraphMemAttribute);
VGPU_SIM_EXPORT(cuDeviceGraphMemTrim);

namespace vgpu::sim::api {

CUresult allocation_task(CUDA_MEM_ALLOC_NODE_PARAMS& given, Task& out) {
  const CUmemPoolProps& pool = given.poolProps;
  if (given.bytesize == 0 || pool.allocType != CU_MEM_ALLOCATION_TYPE_PINNED ||
      pool.handleTypes != CU_MEM_HANDLE_TYPE_NONE || pool.location.type != CU_MEM_LOCATION_TYPE_DEVICE ||
      !Simulator::get().has(pool.location.id) || (given.accessDescs == nullptr && given.accessDescCount != 0))
    return CUDA_ERROR_INVALID_VALUE;
  auto address = Simulator::get().graph_memory.make(given.bytesize, static_cast<unsigned>(pool.location.id));
  if (address == nullptr) return CUDA_ERROR_OUT_OF_MEMORY;
  given.dptr = address->address;
  auto parameters = std::make_shared<AllocationParameters>();
  parameters->given = given;
  if (given.accessDescCount != 0)
    parameters->access.assign(given.accessDescs, given.accessDescs + given.accessDescCount);
  parameters->given.accessDescs = parameters->access.empty() ? nullptr : parameters->access.data();
  const Work work = [at = given.dptr](Context&) { Simulator::get().graph_memory.allocate(at); };
  parameters->address = std::move(address);
  out = {NodeType::allocation, work, std::shared_ptr<const AllocationParameters>(std::move(parameters))};
  return CUDA_SUCCESS;
}

CUresult free_task(CUdeviceptr address, Task& out) {
  if (!Simulator::get().graph_memory.is_address(address)) return CUDA_ERROR_INVALID_VALUE;
  const Work work = [address](Context&) { Simulator::get().graph_memory.free(address); };
  out = {NodeType::free, work, FreeParameters{address}};
  return CUDA_SUCCESS;
}

}  // namespace vgpu::sim::api

namespace {

template <typename Parameters, typename Body>
CUresult with_parameters(CUgraphNode handle, Body body) {
  return with_node(handle, [&](const NodePtr& node) {
    const auto* parameters = std::get_if<Parameters>(&node->task->parameters);
    return parameters == nullptr ? CUDA_ERROR_INVALID_VALUE : static_cast<CUresult>(body(*parameters));
  });
}

CUresult check(CUdevice device, CUgraphMem_attribute attribute, const void* value) {
  if (!Simulator::get().has(device)) return CUDA_ERROR_INVALID_DEVICE;
  return value != nullptr && attribute <= CU_GRAPH_MEM_ATTR_RESERVED_MEM_HIGH ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

}  // namespace

CUresult cuGraphMemAllocNodeGetParams(CUgraphNode node, CUDA_MEM_ALLOC_NODE_PARAMS* out) {
  using Pointer = std::shared_ptr<const AllocationParameters>;
  return with_parameters<Pointer>(node, [&](const Pointer& parameters) {
    if (out == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *out = parameters->given;
    return CUDA_SUCCESS;
  });
}
CUresult cuGraphMemFreeNodeGetParams(CUgraphNode node, CUdeviceptr* out) {
  return with_parameters<FreeParameters>(node, [&](const FreeParameters& parameters) {
    if (out == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *out = parameters.address;
    return CUDA_SUCCESS;
  });
}

CUresult cuDeviceGetGraphMemAttribute(CUdevice device, CUgraphMem_attribute attribute, void* value) {
  return without_context([&] {
    if (const CUresult result = check(device, attribute, value); result != CUDA_SUCCESS) return result;
    const auto state = Simulator::get().graph_memory.account(static_cast<unsigned>(device)).state();
    const std::uint64_t values[] = {state.used, state.used_high, state.reserved, state.reserved_high};
    std::memcpy(value, &values[attribute], sizeof values[0]);
    return CUDA_SUCCESS;
  });
}
CUresult cuDeviceSetGraphMemAttribute(CUdevice device, CUgraphMem_attribute attribute, void* value) {
  return without_context([&] {
    if (const CUresult result = check(device, attribute, value); result != CUDA_SUCCESS) return result;
    std::uint64_t number = 0;
    std::memcpy(&number, value, sizeof number);
    const bool is_high =
        attribute == CU_GRAPH_MEM_ATTR_USED_MEM_HIGH || attribute == CU_GRAPH_MEM_ATTR_RESERVED_MEM_HIGH;
    if (!is_high || number != 0) return CUDA_ERROR_INVALID_VALUE;
    Simulator::get().graph_memory.account(static_cast<unsigned>(device)).reset_high();
    return CUDA_SUCCESS;
  });
}
CUresult cuDeviceGraphMemTrim(CUdevice device) {
  return without_context([&] {
    if (!Simulator::get().has(device)) return CUDA_ERROR_INVALID_DEVICE;
    Simulator::get().graph_memory.account(static_cast<unsigned>(device)).trim(0);
    return CUDA_SUCCESS;
  });
}
