// Memory pools.
#include <array>
#include <cstring>
#include <mutex>

#include "shim/client/current_pools.hpp"
#include "shim/client/request.hpp"
#include "shim/client/startup.hpp"
#include "shim/cuda/calls.gen.hpp"

namespace vgpu::shim::calls {
namespace {

constexpr int kMaxDevices = 64;
constinit std::mutex g_mutex;
constinit std::array<uint64_t, kMaxDevices> g_default_pools{};

/// A device's own pool: the worker binds it to a handle of ours once, so that programs may compare handles.
CUresult default_pool(CUmemoryPool* pool, CUdevice device) {
  if (const CUresult result = initialized(); result != CUDA_SUCCESS) return result;
  if (pool == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (!is_device(device) || device >= kMaxDevices) return CUDA_ERROR_INVALID_DEVICE;
  const std::lock_guard lock(g_mutex);
  uint64_t& known = g_default_pools[static_cast<size_t>(device)];
  if (known == 0) {
    Request request(api::Op::device_pool, false);
    request.body().put(static_cast<uint32_t>(device));
    request.body().put(uint32_t{0});
    const uint64_t handle = request.make_handle(wire::Kind::pool);
    if (const CUresult result = request.call(); result != CUDA_SUCCESS) {
      request.discard_handle(handle);
      return result;
    }
    known = handle;
  }
  *pool = reinterpret_cast<CUmemoryPool>(known);
  return CUDA_SUCCESS;
}

/// Size of an attribute's value; 0 if there is no such attribute.
size_t size_of(CUmemPool_attribute attribute) {
  if (attribute < CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES || attribute > CU_MEMPOOL_ATTR_USED_MEM_HIGH)
    return 0;
  return attribute <= CU_MEMPOOL_ATTR_REUSE_ALLOW_INTERNAL_DEPENDENCIES ? sizeof(int) : sizeof(cuuint64_t);
}

/// Pools of memory that lies elsewhere than on a device, or moves, are not supported (worker/handlers/check_in.hpp).
CUresult check_place(const CUmemLocation* location, CUmemAllocationType type) {
  constexpr unsigned kManaged = 2, kHostNumaCurrent = 4;
  if (const CUresult result = initialized(); result != CUDA_SUCCESS) return result;
  if (location == nullptr || location->type == CU_MEM_LOCATION_TYPE_INVALID || location->type > kHostNumaCurrent)
    return CUDA_ERROR_INVALID_VALUE;
  if (type != CU_MEM_ALLOCATION_TYPE_PINNED && type != kManaged) return CUDA_ERROR_INVALID_VALUE;
  const bool supported = location->type == CU_MEM_LOCATION_TYPE_DEVICE && type == CU_MEM_ALLOCATION_TYPE_PINNED;
  return supported ? CUDA_SUCCESS : CUDA_ERROR_NOT_SUPPORTED;
}

}  // namespace

// By place, since CUDA 13: of a device, the same pools.

CUresult cuMemGetDefaultMemPool(CUmemoryPool* pool_out, CUmemLocation* location, CUmemAllocationType type) {
  const CUresult refused = check_place(location, type);
  return refused != CUDA_SUCCESS ? refused : default_pool(pool_out, location->id);
}
CUresult cuMemGetMemPool(CUmemoryPool* pool, CUmemLocation* location, CUmemAllocationType type) {
  const CUresult refused = check_place(location, type);
  return refused != CUDA_SUCCESS ? refused : cuDeviceGetMemPool(pool, location->id);
}
CUresult cuMemSetMemPool(CUmemLocation* location, CUmemAllocationType type, CUmemoryPool pool) {
  const CUresult refused = check_place(location, type);
  return refused != CUDA_SUCCESS ? refused : cuDeviceSetMemPool(location->id, pool);
}

CUresult cuDeviceGetDefaultMemPool(CUmemoryPool* pool_out, CUdevice dev) { return default_pool(pool_out, dev); }

CUresult cuDeviceGetMemPool(CUmemoryPool* pool, CUdevice dev) {
  const CUresult result = default_pool(pool, dev);
  if (result != CUDA_SUCCESS) return result;
  if (const CUmemoryPool chosen = chosen_pool(dev); chosen != nullptr) *pool = chosen;
  return CUDA_SUCCESS;
}

CUresult cuMemPoolGetAttribute(CUmemoryPool pool, CUmemPool_attribute attr, void* value) {
  Request request(api::Op::pool_get_attribute, false);
  if (request.refusal() != CUDA_SUCCESS) return request.refusal();
  const size_t size = size_of(attr);
  if (pool == nullptr || value == nullptr || size == 0) return CUDA_ERROR_INVALID_VALUE;
  request.put(pool);
  request.body().put(attr);
  if (const CUresult result = request.call(); result != CUDA_SUCCESS) return result;
  const auto answer = request.reply().take<uint64_t>();
  std::memcpy(value, &answer, size);
  return CUDA_SUCCESS;
}

CUresult cuMemPoolSetAttribute(CUmemoryPool pool, CUmemPool_attribute attr, void* value) {
  Request request(api::Op::pool_set_attribute, false);
  if (request.refusal() != CUDA_SUCCESS) return request.refusal();
  const size_t size = size_of(attr);
  if (pool == nullptr || value == nullptr || size == 0) return CUDA_ERROR_INVALID_VALUE;
  uint64_t wanted = 0;
  std::memcpy(&wanted, value, size);
  request.put(pool);
  request.body().put(attr);
  request.body().put(wanted);
  return request.call();
}

}  // namespace vgpu::shim::calls
