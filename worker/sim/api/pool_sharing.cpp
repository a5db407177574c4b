// Who may use a pool's memory: the device, and other processes of the user.
#include <sys/mman.h>

#include <cstring>

#include "worker/sim/api/entry.hpp"
#include "worker/sim/device/foreign_file.hpp"

using namespace vgpu::sim::api;
using vgpu::sim::device::ForeignFile;
using vgpu::sim::device::MemoryPool;
namespace memory = vgpu::sim::memory;

VGPU_SIM_EXPORT(cuMemPoolSetAccess);
VGPU_SIM_EXPORT(cuMemPoolGetAccess);
VGPU_SIM_EXPORT(cuMemPoolExportToShareableHandle);
VGPU_SIM_EXPORT(cuMemPoolImportFromShareableHandle);
VGPU_SIM_EXPORT(cuMemPoolExportPointer);
VGPU_SIM_EXPORT(cuMemPoolImportPointer);

namespace {

using PoolPtr = std::shared_ptr<MemoryPool>;

/// What a pool's file holds.
struct PoolName {
  ForeignFile memory;
  std::uint64_t handle = 0;
  unsigned device = 0;
};
/// A block of a pool.
struct BlockName {
  PoolName pool;
  std::uint64_t offset = 0, size = 0;
};
static_assert(sizeof(BlockName) <= sizeof(CUmemPoolPtrExportData));

template <typename Body>
CUresult with_pool(CUmemoryPool handle, Body body) {
  return without_context([&] {
    const PoolPtr pool = Simulator::get().pools.find(handle);
    return pool == nullptr ? CUDA_ERROR_INVALID_VALUE : static_cast<CUresult>(body(pool));
  });
}

}  // namespace

CUresult cuMemPoolSetAccess(CUmemoryPool handle, const CUmemAccessDesc* access, std::size_t count) {
  return with_pool(handle, [&](const PoolPtr&) {
    if (access == nullptr && count != 0) return CUDA_ERROR_INVALID_VALUE;
    for (std::size_t i = 0; i < count; ++i) {
      // All devices read and write all memory.
      if (access[i].location.type != CU_MEM_LOCATION_TYPE_DEVICE || !Simulator::get().has(access[i].location.id) ||
          access[i].flags != CU_MEM_ACCESS_FLAGS_PROT_READWRITE)
        return CUDA_ERROR_INVALID_VALUE;
    }
    return CUDA_SUCCESS;
  });
}
CUresult cuMemPoolGetAccess(CUmemAccess_flags* out, CUmemoryPool handle, CUmemLocation* location) {
  return with_pool(handle, [&](const PoolPtr&) {
    if (out == nullptr || location == nullptr || location->type != CU_MEM_LOCATION_TYPE_DEVICE ||
        !Simulator::get().has(location->id))
      return CUDA_ERROR_INVALID_VALUE;
    *out = CU_MEM_ACCESS_FLAGS_PROT_READWRITE;
    return CUDA_SUCCESS;
  });
}

CUresult cuMemPoolExportToShareableHandle(void* out, CUmemoryPool handle, CUmemAllocationHandleType type,
                                          unsigned long long flags) {
  return with_pool(handle, [&](const PoolPtr& pool) {
    if (out == nullptr || flags != 0 || !pool->shareable || type != CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR)
      return CUDA_ERROR_INVALID_VALUE;
    const PoolName name{ForeignFile::of(Simulator::get().arena.file()), pool->handle, pool->device};
    const int file = ::memfd_create("vgpu-sim-pool", MFD_CLOEXEC);
    if (file < 0 || ::pwrite(file, &name, sizeof name, 0) != sizeof name) {
      if (file >= 0) ::close(file);
      return CUDA_ERROR_OPERATING_SYSTEM;
    }
    std::memcpy(out, &file, sizeof file);
    return CUDA_SUCCESS;
  });
}
CUresult cuMemPoolImportFromShareableHandle(CUmemoryPool* out, void* os_handle, CUmemAllocationHandleType type,
                                            unsigned long long flags) {
  return without_context([&] {
    PoolName name;
    const int file = static_cast<int>(reinterpret_cast<std::intptr_t>(os_handle));
    if (out == nullptr || flags != 0 || type != CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR ||
        ::pread(file, &name, sizeof name, 0) != sizeof name || name.memory.magic != ForeignFile::kMagic ||
        !Simulator::get().has(static_cast<int>(name.device)))
      return CUDA_ERROR_INVALID_VALUE;
    auto pool = std::make_shared<MemoryPool>(vgpu::sim::device::next_handle(), 0, name.device);
    pool->imported_from = name.handle;
    Simulator::get().pools.add(pool->handle, pool);
    *out = as_handle<CUmemoryPool>(pool->handle);
    return CUDA_SUCCESS;
  });
}

CUresult cuMemPoolExportPointer(CUmemPoolPtrExportData* out, CUdeviceptr address) {
  return without_context([&] {
    const memory::DeviceArena& arena = Simulator::get().arena;
    const auto block = arena.find(address);
    if (out == nullptr || !block || !block->stream_ordered) return CUDA_ERROR_INVALID_VALUE;
    const PoolPtr pool = Simulator::get().pools.find(as_handle<const void*>(block->owner));
    if (pool == nullptr || !pool->shareable) return CUDA_ERROR_INVALID_VALUE;
    const BlockName name{
        {ForeignFile::of(arena.file()), pool->handle, pool->device}, arena.offset_of(block->address), block->size};
    *out = {};
    std::memcpy(out->reserved, &name, sizeof name);
    return CUDA_SUCCESS;
  });
}
CUresult cuMemPoolImportPointer(CUdeviceptr* out, CUmemoryPool handle, CUmemPoolPtrExportData* data) {
  return with_pool(handle, [&](const PoolPtr& pool) {
    BlockName name;
    if (out == nullptr || data == nullptr) return CUDA_ERROR_INVALID_VALUE;
    std::memcpy(static_cast<void*>(&name), data->reserved, sizeof name);
    if (pool->imported_from == 0 || name.pool.handle != pool->imported_from) return CUDA_ERROR_INVALID_VALUE;
    const int file = name.pool.memory.open();
    if (file < 0) return CUDA_ERROR_INVALID_VALUE;
    const auto address = Simulator::get().arena.import(file, name.offset, name.size, pool->handle, pool->device);
    ::close(file);
    if (!address) return CUDA_ERROR_MAP_FAILED;
    *out = *address;
    return CUDA_SUCCESS;
  });
}
