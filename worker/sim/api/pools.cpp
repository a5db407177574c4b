// Stream-ordered memory: an allocation can be touched from its place in the stream on, and no longer after the place of
// its free.
#include <cstring>

#include "worker/sim/api/tasks.hpp"

using namespace vgpu::sim::api;
using vgpu::sim::device::Device;
using vgpu::sim::device::MemoryPool;
namespace memory = vgpu::sim::memory;

VGPU_SIM_EXPORT(cuMemAllocAsync);
VGPU_SIM_EXPORT(cuMemAllocFromPoolAsync);
VGPU_SIM_EXPORT(cuMemFreeAsync);
VGPU_SIM_EXPORT(cuMemPoolCreate);
VGPU_SIM_EXPORT(cuMemPoolDestroy);
VGPU_SIM_EXPORT(cuMemPoolGetAttribute);
VGPU_SIM_EXPORT(cuMemPoolSetAttribute);
VGPU_SIM_EXPORT(cuMemPoolTrimTo);
VGPU_SIM_EXPORT(cuDeviceGetDefaultMemPool);
VGPU_SIM_EXPORT(cuDeviceGetMemPool);
VGPU_SIM_EXPORT(cuDeviceSetMemPool);
VGPU_SIM_EXPORT(cuMemGetDefaultMemPool);
VGPU_SIM_EXPORT(cuMemGetMemPool);
VGPU_SIM_EXPORT(cuMemSetMemPool);

namespace {

using PoolPtr = std::shared_ptr<MemoryPool>;

template <typename Body>
CUresult with_pool(CUmemoryPool handle, Body body) {
  return without_context([&] {
    const PoolPtr pool = Simulator::get().pools.find(handle);
    return pool == nullptr ? CUDA_ERROR_INVALID_VALUE : static_cast<CUresult>(body(pool));
  });
}

Device& device_of(CUdevice number) { return *Simulator::get().devices[static_cast<std::size_t>(number)]; }

PoolPtr current_pool(Device& device) {
  const std::lock_guard lock(device.mutex);
  return device.current_pool;
}

/// The graph under capture will allocate each time it runs.
CUresult capture_allocation(const StreamPtr& stream, const MemoryPool& pool, CUdeviceptr* out, std::size_t size) {
  CUDA_MEM_ALLOC_NODE_PARAMS parameters{};
  parameters.poolProps.allocType = CU_MEM_ALLOCATION_TYPE_PINNED;
  parameters.poolProps.location = {CU_MEM_LOCATION_TYPE_DEVICE, static_cast<int>(pool.device)};
  parameters.bytesize = size;
  Task task;
  if (const CUresult result = allocation_task(parameters, task); result != CUDA_SUCCESS) return result;
  const CUresult result = enqueue(stream, {.task = std::move(task), .through_gate = false});
  if (result == CUDA_SUCCESS) *out = parameters.dptr;
  return result;
}

/// Of what a graph allocates, in a stream or, captured, by a graph.
CUresult free_graph_memory(const StreamPtr& stream, CUdeviceptr address) {
  Task task;
  if (const CUresult result = free_task(address, task); result != CUDA_SUCCESS) return result;
  auto& memory = Simulator::get().graph_memory;
  const bool captured = is_capturing(*stream);
  if (!captured && !memory.is_outstanding(address)) return CUDA_ERROR_INVALID_VALUE;
  const CUresult result = enqueue(stream, {.task = std::move(task), .through_gate = false});
  if (result == CUDA_SUCCESS && !captured) memory.set_outstanding(address, false);
  return result;
}

CUresult allocate(const PoolPtr& pool, CUdeviceptr* out, std::size_t size, CUstream handle) {
  return with_context([&](const ContextPtr& context) {
    StreamPtr stream;
    if (const CUresult result = find_stream(context, handle, stream); result != CUDA_SUCCESS) return result;
    if (out == nullptr) return CUDA_ERROR_INVALID_VALUE;
    const bool captured = is_capturing(*stream);
    if (!captured)
      if (const CUresult result = check_unsafe(*context); result != CUDA_SUCCESS) return result;
    if (size == 0) {
      *out = 0;
      return CUDA_SUCCESS;
    }
    if (captured) return capture_allocation(stream, *pool, out, size);
    if (pool->imported_from != 0) return CUDA_ERROR_INVALID_VALUE;
    if (!pool->charge(size)) return CUDA_ERROR_OUT_OF_MEMORY;
    const auto allocation = Simulator::get().arena.allocate(size, pool->handle, true, pool->device);
    if (!allocation) {
      pool->discharge(size);
      return CUDA_ERROR_OUT_OF_MEMORY;
    }
    const Work work = [allocation = *allocation](Context&) { Simulator::get().arena.set_live(allocation, true); };
    const CUresult result = enqueue(stream, {.task = {.work = work}, .through_gate = false});
    if (result == CUDA_SUCCESS) *out = allocation->address;
    return result;
  });
}

/// The attributes that are numbers of 64 bits.
bool read_account(const MemoryPool& pool, CUmemPool_attribute attribute, std::uint64_t& out) {
  const MemoryPool::State state = pool.state();
  switch (attribute) {
    case CU_MEMPOOL_ATTR_RELEASE_THRESHOLD:
      out = state.release_threshold;
      return true;
    case CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT:
      out = state.reserved;
      return true;
    case CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH:
      out = state.reserved_high;
      return true;
    case CU_MEMPOOL_ATTR_USED_MEM_CURRENT:
      out = state.used;
      return true;
    case CU_MEMPOOL_ATTR_USED_MEM_HIGH:
      out = state.used_high;
      return true;
    default:
      return false;
  }
}

bool is_switch(CUmemPool_attribute attribute) {
  return attribute >= CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES &&
         attribute <= CU_MEMPOOL_ATTR_REUSE_ALLOW_INTERNAL_DEPENDENCIES;
}

CUresult check_place(const CUmemLocation* location, CUmemAllocationType type) {
  if (location == nullptr || location->type != CU_MEM_LOCATION_TYPE_DEVICE || type != CU_MEM_ALLOCATION_TYPE_PINNED)
    return CUDA_ERROR_INVALID_VALUE;
  return CUDA_SUCCESS;
}

}  // namespace

CUresult cuMemAllocAsync(CUdeviceptr* out, std::size_t size, CUstream stream) {
  return with_context([&](const ContextPtr& context) {
    StreamPtr found;
    if (const CUresult result = find_stream(context, stream, found); result != CUDA_SUCCESS) return result;
    return allocate(current_pool(device_of(found->context()->device())), out, size, stream);
  });
}

CUresult cuMemAllocFromPoolAsync(CUdeviceptr* out, std::size_t size, CUmemoryPool pool_handle, CUstream stream) {
  return with_pool(pool_handle, [&](const PoolPtr& pool) { return allocate(pool, out, size, stream); });
}

CUresult cuMemFreeAsync(CUdeviceptr address, CUstream handle) {
  return with_context([&](const ContextPtr& context) {
    StreamPtr stream;
    if (const CUresult result = find_stream(context, handle, stream); result != CUDA_SUCCESS) return result;
    if (address == 0) return CUDA_SUCCESS;
    const bool captured = is_capturing(*stream);
    if (!captured)
      if (const CUresult result = check_unsafe(*context); result != CUDA_SUCCESS) return result;
    if (Simulator::get().graph_memory.is_address(address)) return free_graph_memory(stream, address);
    const auto allocation = Simulator::get().arena.find(address);
    if (captured) return CUDA_ERROR_INVALID_VALUE;
    if (!allocation || allocation->address != address || allocation->mapped) return CUDA_ERROR_INVALID_VALUE;
    if (!Simulator::get().arena.claim(address)) return CUDA_ERROR_INVALID_VALUE;
    const Work work = [allocation = *allocation](Context&) {
      Simulator& sim = Simulator::get();
      // Another free may have been quicker; the address may even be in use again.
      const auto now = sim.arena.find(allocation.address);
      if (!now || now->id != allocation.id) return;
      sim.arena.set_live(allocation, false);
      sim.arena.release(allocation.address);
      const PoolPtr pool = sim.pools.find(as_handle<const void*>(allocation.owner));
      if (pool != nullptr) pool->discharge(allocation.size);
    };
    return enqueue(stream, {.task = {.work = work}, .through_gate = false});
  });
}

CUresult cuMemPoolCreate(CUmemoryPool* out, const CUmemPoolProps* props) {
  return without_context([&] {
    if (out == nullptr || props == nullptr || props->allocType != CU_MEM_ALLOCATION_TYPE_PINNED)
      return CUDA_ERROR_INVALID_VALUE;
    if (props->location.type != CU_MEM_LOCATION_TYPE_DEVICE || !Simulator::get().has(props->location.id))
      return CUDA_ERROR_INVALID_VALUE;
    if ((props->handleTypes & ~unsigned{CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR}) != 0)
      return CUDA_ERROR_NOT_SUPPORTED;
    auto pool = std::make_shared<MemoryPool>(vgpu::sim::device::next_handle(), props->maxSize,
                                             static_cast<unsigned>(props->location.id));
    pool->shareable = props->handleTypes != CU_MEM_HANDLE_TYPE_NONE;
    Simulator::get().pools.add(pool->handle, pool);
    *out = as_handle<CUmemoryPool>(pool->handle);
    return CUDA_SUCCESS;
  });
}

CUresult cuMemPoolDestroy(CUmemoryPool handle) {
  return with_pool(handle, [&](const PoolPtr& pool) {
    Device& device = device_of(static_cast<CUdevice>(pool->device));
    if (pool == device.default_pool) return CUDA_ERROR_INVALID_VALUE;
    {
      const std::lock_guard lock(device.mutex);
      if (device.current_pool == pool) device.current_pool = device.default_pool;
    }
    Simulator::get().pools.take(handle);
    return CUDA_SUCCESS;
  });
}

CUresult cuMemPoolGetAttribute(CUmemoryPool handle, CUmemPool_attribute attribute, void* value) {
  return with_pool(handle, [&](const PoolPtr& pool) {
    if (value == nullptr) return CUDA_ERROR_INVALID_VALUE;
    if (is_switch(attribute)) {
      std::memcpy(value, &pool->reuse[attribute - 1], sizeof(int));
      return CUDA_SUCCESS;
    }
    std::uint64_t number = 0;
    if (!read_account(*pool, attribute, number)) return CUDA_ERROR_INVALID_VALUE;
    std::memcpy(value, &number, sizeof number);
    return CUDA_SUCCESS;
  });
}

CUresult cuMemPoolSetAttribute(CUmemoryPool handle, CUmemPool_attribute attribute, void* value) {
  return with_pool(handle, [&](const PoolPtr& pool) {
    if (value == nullptr) return CUDA_ERROR_INVALID_VALUE;
    if (is_switch(attribute)) {
      std::memcpy(&pool->reuse[attribute - 1], value, sizeof(int));
      return CUDA_SUCCESS;
    }
    std::uint64_t number = 0;
    std::memcpy(&number, value, sizeof number);
    if (attribute == CU_MEMPOOL_ATTR_RELEASE_THRESHOLD) {
      pool->set_release_threshold(number);
      return CUDA_SUCCESS;
    }
    // High-water marks can only be reset.
    if ((attribute != CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH && attribute != CU_MEMPOOL_ATTR_USED_MEM_HIGH) || number != 0)
      return CUDA_ERROR_INVALID_VALUE;
    pool->reset_high();
    return CUDA_SUCCESS;
  });
}

CUresult cuMemPoolTrimTo(CUmemoryPool handle, std::size_t keep) {
  return with_pool(handle, [&](const PoolPtr& pool) {
    ContextPtr context;
    if (current_context(context) == CUDA_SUCCESS) {
      if (const CUresult result = check_unsafe(*context); result != CUDA_SUCCESS) return result;
    }
    pool->trim(keep);
    return CUDA_SUCCESS;
  });
}

CUresult cuDeviceGetDefaultMemPool(CUmemoryPool* out, CUdevice device) {
  return without_context([&] {
    if (out == nullptr) return CUDA_ERROR_INVALID_VALUE;
    if (!Simulator::get().has(device)) return CUDA_ERROR_INVALID_DEVICE;
    *out = as_handle<CUmemoryPool>(device_of(device).default_pool->handle);
    return CUDA_SUCCESS;
  });
}

CUresult cuDeviceGetMemPool(CUmemoryPool* out, CUdevice device) {
  return without_context([&] {
    if (out == nullptr) return CUDA_ERROR_INVALID_VALUE;
    if (!Simulator::get().has(device)) return CUDA_ERROR_INVALID_DEVICE;
    *out = as_handle<CUmemoryPool>(current_pool(device_of(device))->handle);
    return CUDA_SUCCESS;
  });
}

CUresult cuDeviceSetMemPool(CUdevice device, CUmemoryPool handle) {
  return with_pool(handle, [&](const PoolPtr& pool) {
    if (!Simulator::get().has(device)) return CUDA_ERROR_INVALID_DEVICE;
    Device& of = device_of(device);
    const std::lock_guard lock(of.mutex);
    of.current_pool = pool;
    return CUDA_SUCCESS;
  });
}

// By place: of a device, the same pools.

CUresult cuMemGetDefaultMemPool(CUmemoryPool* out, CUmemLocation* location, CUmemAllocationType type) {
  const CUresult refused = check_place(location, type);
  return refused != CUDA_SUCCESS ? refused : cuDeviceGetDefaultMemPool(out, location->id);
}
CUresult cuMemGetMemPool(CUmemoryPool* out, CUmemLocation* location, CUmemAllocationType type) {
  const CUresult refused = check_place(location, type);
  return refused != CUDA_SUCCESS ? refused : cuDeviceGetMemPool(out, location->id);
}
CUresult cuMemSetMemPool(CUmemLocation* location, CUmemAllocationType type, CUmemoryPool pool) {
  const CUresult refused = check_place(location, type);
  return refused != CUDA_SUCCESS ? refused : cuDeviceSetMemPool(location->id, pool);
}
