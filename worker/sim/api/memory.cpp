// Device memory, pinned memory, and what is known of an address.
#include <cstring>

#include "worker/sim/api/enqueue.hpp"

using namespace vgpu::sim::api;
namespace memory = vgpu::sim::memory;

VGPU_SIM_EXPORT(cuMemAlloc_v2);
VGPU_SIM_EXPORT(cuMemAllocPitch_v2);
VGPU_SIM_EXPORT(cuMemFree_v2);
VGPU_SIM_EXPORT(cuMemGetInfo_v2);
VGPU_SIM_EXPORT(cuMemGetAddressRange_v2);
VGPU_SIM_EXPORT(cuMemAllocHost);
VGPU_SIM_EXPORT(cuMemAllocHost_v2);
VGPU_SIM_EXPORT(cuMemHostAlloc);
VGPU_SIM_EXPORT(cuMemFreeHost);
VGPU_SIM_EXPORT(cuMemHostRegister);
VGPU_SIM_EXPORT(cuMemHostRegister_v2);
VGPU_SIM_EXPORT(cuMemHostUnregister);
VGPU_SIM_EXPORT(cuMemHostGetDevicePointer_v2);
VGPU_SIM_EXPORT(cuMemHostGetFlags);

namespace {

/// Creations wait for whoever holds the driver or the allocations.
class AllocationTurn {
 public:
  AllocationTurn() : gate_(Simulator::get().gate), allocations_(Simulator::get().allocation_gate) {}

 private:
  std::shared_lock<std::shared_mutex> gate_;
  std::lock_guard<std::mutex> allocations_;
};

CUresult allocate(const ContextPtr& context, CUdeviceptr* out, std::uint64_t size) {
  if (out == nullptr || size == 0) return CUDA_ERROR_INVALID_VALUE;
  if (const CUresult result = check_unsafe(*context); result != CUDA_SUCCESS) return result;
  const AllocationTurn turn;
  memory::DeviceArena& arena = Simulator::get().arena;
  const auto allocation = arena.allocate(size, context->id(), false, static_cast<unsigned>(context->device()));
  if (!allocation) return CUDA_ERROR_OUT_OF_MEMORY;
  arena.set_live(*allocation, true);
  *out = allocation->address;
  return CUDA_SUCCESS;
}

CUresult allocate_host(const ContextPtr& context, void** out, std::uint64_t size, unsigned flags) {
  constexpr unsigned known = CU_MEMHOSTALLOC_PORTABLE | CU_MEMHOSTALLOC_DEVICEMAP | CU_MEMHOSTALLOC_WRITECOMBINED;
  if (out == nullptr || (flags & ~known) != 0) return CUDA_ERROR_INVALID_VALUE;
  if (const CUresult result = check_unsafe(*context); result != CUDA_SUCCESS) return result;
  if (size == 0) {
    *out = nullptr;
    return CUDA_SUCCESS;
  }
  const AllocationTurn turn;
  void* at = memory::allocate_host(size);
  if (at == nullptr) return CUDA_ERROR_OUT_OF_MEMORY;
  memory::HostRange range;
  range.address = reinterpret_cast<std::uint64_t>(at);
  range.size = size;
  range.context = context->id();
  range.flags = flags;
  range.allocated = true;
  if (!Simulator::get().host.add(range)) {
    memory::free_host(range);
    return CUDA_ERROR_OUT_OF_MEMORY;
  }
  *out = at;
  return CUDA_SUCCESS;
}

}  // namespace

CUresult cuMemAlloc_v2(CUdeviceptr* out, std::size_t size) {
  return with_context([&](const ContextPtr& context) { return allocate(context, out, size); });
}

CUresult cuMemAllocPitch_v2(CUdeviceptr* out, std::size_t* pitch, std::size_t width, std::size_t height,
                            unsigned element) {
  return with_context([&](const ContextPtr& context) {
    constexpr std::size_t alignment = 512;
    const bool valid_element = element == 4 || element == 8 || element == 16;
    if (pitch == nullptr || width == 0 || height == 0 || !valid_element || width > 2147483647u)
      return CUDA_ERROR_INVALID_VALUE;
    const std::size_t row = (width + alignment - 1) / alignment * alignment;
    std::size_t size = 0;
    if (__builtin_mul_overflow(row, height, &size)) return CUDA_ERROR_OUT_OF_MEMORY;
    const CUresult result = allocate(context, out, size);
    if (result == CUDA_SUCCESS) *pitch = row;
    return result;
  });
}

// What is to be freed is looked at before the context.
CUresult cuMemFree_v2(CUdeviceptr address) {
  if (lacks_context() && !Simulator::get().arena.find(address)) return CUDA_ERROR_INVALID_VALUE;
  return with_context([&](const ContextPtr& context) {
    if (address == 0) return CUDA_SUCCESS;
    if (const CUresult result = check_unsafe(*context); result != CUDA_SUCCESS) return result;
    memory::DeviceArena& arena = Simulator::get().arena;
    if (auto& graphs = Simulator::get().graph_memory; graphs.is_address(address)) {
      if (!graphs.is_outstanding(address)) return CUDA_ERROR_INVALID_VALUE;
      if (const CUresult result = wait_exclusively(context); result != CUDA_SUCCESS) return result;
      graphs.free(address);
      graphs.set_outstanding(address, false);
      return CUDA_SUCCESS;
    }
    const auto allocation = arena.find(address);
    if (!allocation || allocation->address != address || allocation->mapped) return CUDA_ERROR_INVALID_VALUE;
    // A stream-ordered block is freed without waiting; its pool's account is settled by whoever allocated it.
    if (!allocation->stream_ordered) {
      if (const CUresult result = wait_exclusively(context); result != CUDA_SUCCESS) return result;
    }
    arena.set_live(*allocation, false);
    if (!arena.release(address)) return CUDA_ERROR_INVALID_VALUE;
    if (allocation->stream_ordered) {
      if (const auto pool = Simulator::get().pools.find(as_handle<const void*>(allocation->owner)))
        pool->discharge(allocation->size);
    }
    return CUDA_SUCCESS;
  });
}

CUresult cuMemGetInfo_v2(std::size_t* free, std::size_t* total) {
  return with_context([&](const ContextPtr& context) {
    const memory::DeviceArena& arena = Simulator::get().arena;
    if (total != nullptr) *total = arena.capacity();
    if (free != nullptr) *free = arena.capacity() - arena.used(static_cast<unsigned>(context->device()));
    return CUDA_SUCCESS;
  });
}

CUresult cuMemGetAddressRange_v2(CUdeviceptr* base, std::size_t* size, CUdeviceptr address) {
  return with_context([&](const ContextPtr&) {
    std::uint64_t start = 0, length = 0;
    if (const auto allocation = Simulator::get().arena.find(address)) {
      start = allocation->address;
      length = allocation->size;
    } else if (const auto range = Simulator::get().host.find(address)) {
      start = range->address;
      length = range->size;
    } else {
      return CUDA_ERROR_NOT_FOUND;
    }
    if (base != nullptr) *base = start;
    if (size != nullptr) *size = length;
    return CUDA_SUCCESS;
  });
}

CUresult cuMemHostAlloc(void** out, std::size_t size, unsigned flags) {
  return with_context([&](const ContextPtr& context) { return allocate_host(context, out, size, flags); });
}
CUresult cuMemAllocHost_v2(void** out, std::size_t size) { return cuMemHostAlloc(out, size, 0); }
CUresult cuMemAllocHost(void** out, unsigned size) { return cuMemHostAlloc(out, size, 0); }

CUresult cuMemFreeHost(void* at) {
  if (lacks_context() && !Simulator::get().host.find(reinterpret_cast<std::uint64_t>(at)))
    return CUDA_ERROR_INVALID_VALUE;
  return with_context([&](const ContextPtr& context) {
    if (at == nullptr) return CUDA_SUCCESS;
    if (const CUresult result = check_unsafe(*context); result != CUDA_SUCCESS) return result;
    memory::HostRanges& host = Simulator::get().host;
    const auto address = reinterpret_cast<std::uint64_t>(at);
    const auto range = host.find(address);
    if (!range || range->address != address || !range->allocated) return CUDA_ERROR_INVALID_VALUE;
    if (const CUresult result = wait_exclusively(context); result != CUDA_SUCCESS) return result;
    if (!host.remove(address)) return CUDA_ERROR_INVALID_VALUE;
    memory::free_host(*range);
    return CUDA_SUCCESS;
  });
}

CUresult cuMemHostRegister_v2(void* at, std::size_t size, unsigned flags) {
  return with_context([&](const ContextPtr& context) {
    constexpr unsigned known = CU_MEMHOSTREGISTER_PORTABLE | CU_MEMHOSTREGISTER_DEVICEMAP |
                               CU_MEMHOSTREGISTER_IOMEMORY | CU_MEMHOSTREGISTER_READ_ONLY;
    if (at == nullptr || size == 0 || (flags & ~known) != 0) return CUDA_ERROR_INVALID_VALUE;
    if ((flags & CU_MEMHOSTREGISTER_IOMEMORY) != 0) return CUDA_ERROR_NOT_SUPPORTED;
    if (const CUresult result = check_unsafe(*context); result != CUDA_SUCCESS) return result;
    memory::HostRange range;
    range.address = reinterpret_cast<std::uint64_t>(at);
    range.size = size;
    range.context = context->id();
    range.flags = flags;
    return Simulator::get().host.add(range) ? CUDA_SUCCESS : CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED;
  });
}
CUresult cuMemHostRegister(void* at, std::size_t size, unsigned flags) { return cuMemHostRegister_v2(at, size, flags); }

CUresult cuMemHostUnregister(void* at) {
  if (lacks_context() && !Simulator::get().host.find(reinterpret_cast<std::uint64_t>(at)))
    return CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED;
  return with_context([&](const ContextPtr& context) {
    if (const CUresult result = check_unsafe(*context); result != CUDA_SUCCESS) return result;
    memory::HostRanges& host = Simulator::get().host;
    const auto address = reinterpret_cast<std::uint64_t>(at);
    const auto range = host.find(address);
    if (at == nullptr || (range && range->address != address)) return CUDA_ERROR_INVALID_VALUE;
    if (!range || range->allocated) return CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED;
    if (const CUresult result = wait_exclusively(context); result != CUDA_SUCCESS) return result;
    return host.remove(address) ? CUDA_SUCCESS : CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED;
  });
}

CUresult cuMemHostGetDevicePointer_v2(CUdeviceptr* out, void* at, unsigned flags) {
  return with_context([&](const ContextPtr&) {
    if (out == nullptr || flags != 0) return CUDA_ERROR_INVALID_VALUE;
    if (!Simulator::get().host.find(reinterpret_cast<std::uint64_t>(at))) return CUDA_ERROR_INVALID_VALUE;
    *out = reinterpret_cast<CUdeviceptr>(at);
    return CUDA_SUCCESS;
  });
}

CUresult cuMemHostGetFlags(unsigned* flags, void* at) {
  return with_context([&](const ContextPtr&) {
    const auto range = Simulator::get().host.find(reinterpret_cast<std::uint64_t>(at));
    if (flags == nullptr || !range) return CUDA_ERROR_INVALID_VALUE;
    *flags = range->flags | CU_MEMHOSTALLOC_DEVICEMAP;  // under unified addressing all pinned memory is mapped
    return CUDA_SUCCESS;
  });
}
