// Memory and events between processes of one user.
#include <sys/stat.h>

#include <cstring>

#include "worker/sim/api/enqueue.hpp"
#include "worker/sim/device/shared_event.hpp"

using namespace vgpu::sim::api;
using vgpu::sim::device::ForeignFile;
using vgpu::sim::device::PhysicalMemory;
using vgpu::sim::device::SharedEvent;
namespace memory = vgpu::sim::memory;

VGPU_SIM_EXPORT(cuIpcGetMemHandle);
VGPU_SIM_EXPORT(cuIpcOpenMemHandle);
VGPU_SIM_EXPORT(cuIpcOpenMemHandle_v2);
VGPU_SIM_EXPORT(cuIpcCloseMemHandle);
VGPU_SIM_EXPORT(cuIpcGetEventHandle);
VGPU_SIM_EXPORT(cuIpcOpenEventHandle);
VGPU_SIM_EXPORT(cuMemExportToShareableHandle);
VGPU_SIM_EXPORT(cuMemImportFromShareableHandle);

namespace {

struct MemoryHandle {
  ForeignFile file;
  std::uint64_t offset = 0;  ///< of the allocation in it
  std::uint64_t size = 0;
  std::uint32_t index = 0;  ///< of its device, among all there are
};
static_assert(sizeof(MemoryHandle) <= sizeof(CUipcMemHandle));

/// The device of what another process gave; the context's, where this process does not see that one.
unsigned device_of(const MemoryHandle& handle, const Context& context) {
  const auto& devices = Simulator::get().devices;
  for (unsigned device = 0; device < devices.size(); ++device)
    if (devices[device]->index == handle.index) return device;
  return static_cast<unsigned>(context.device());
}

}  // namespace

CUresult cuIpcGetMemHandle(CUipcMemHandle* out, CUdeviceptr address) {
  return with_context([&](const ContextPtr&) {
    const memory::DeviceArena& arena = Simulator::get().arena;
    const auto allocation = arena.find(address);
    if (out == nullptr || !allocation || allocation->mapped || allocation->stream_ordered)
      return CUDA_ERROR_INVALID_VALUE;
    const MemoryHandle handle{ForeignFile::of(arena.file()), arena.offset_of(allocation->address), allocation->size,
                              Simulator::get().devices[allocation->device]->index};
    *out = {};
    std::memcpy(out->reserved, &handle, sizeof handle);
    return CUDA_SUCCESS;
  });
}

CUresult cuIpcOpenMemHandle_v2(CUdeviceptr* out, CUipcMemHandle bytes, unsigned flags) {
  return with_context([&](const ContextPtr& context) {
    MemoryHandle handle;
    std::memcpy(static_cast<void*>(&handle), bytes.reserved, sizeof handle);
    if (out == nullptr || flags != CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS) return CUDA_ERROR_INVALID_VALUE;
    if (handle.file.is_ours()) return CUDA_ERROR_INVALID_CONTEXT;
    const int file = handle.file.open();
    if (file < 0) return CUDA_ERROR_INVALID_VALUE;
    const auto address =
        Simulator::get().arena.import(file, handle.offset, handle.size, context->id(), device_of(handle, *context));
    ::close(file);
    if (!address) return CUDA_ERROR_MAP_FAILED;
    *out = *address;
    return CUDA_SUCCESS;
  });
}
CUresult cuIpcOpenMemHandle(CUdeviceptr* out, CUipcMemHandle handle, unsigned flags) {
  return cuIpcOpenMemHandle_v2(out, handle, flags);
}

CUresult cuIpcCloseMemHandle(CUdeviceptr address) {
  return with_context([&](const ContextPtr& context) {
    memory::DeviceArena& arena = Simulator::get().arena;
    const auto allocation = arena.find(address);
    if (!allocation || allocation->address != address || !allocation->imported) return CUDA_ERROR_INVALID_VALUE;
    if (const CUresult result = wait_exclusively(context); result != CUDA_SUCCESS) return result;
    arena.set_live(*allocation, false);
    arena.release(address);
    return CUDA_SUCCESS;
  });
}

CUresult cuIpcGetEventHandle(CUipcEventHandle* out, CUevent handle) {
  return with_context([&](const ContextPtr&) {
    const auto event = Simulator::get().events.find(handle);
    if (event == nullptr) return CUDA_ERROR_INVALID_HANDLE;
    if (out == nullptr || event->shared == nullptr) return CUDA_ERROR_INVALID_VALUE;
    const ForeignFile name = event->shared->name();
    *out = {};
    std::memcpy(out->reserved, &name, sizeof name);
    return CUDA_SUCCESS;
  });
}

CUresult cuIpcOpenEventHandle(CUevent* out, CUipcEventHandle bytes) {
  return with_context([&](const ContextPtr& context) {
    ForeignFile name;
    std::memcpy(static_cast<void*>(&name), bytes.reserved, sizeof name);
    if (out == nullptr) return CUDA_ERROR_INVALID_VALUE;
    if (name.is_ours()) return CUDA_ERROR_INVALID_CONTEXT;
    auto shared = SharedEvent::open(name);
    if (shared == nullptr) return CUDA_ERROR_INVALID_VALUE;
    auto event = std::make_shared<vgpu::sim::device::Event>();
    event->handle = vgpu::sim::device::next_handle();
    event->context = context;
    event->flags = CU_EVENT_DISABLE_TIMING | CU_EVENT_INTERPROCESS;
    event->shared = std::move(shared);
    Simulator::get().events.add(event->handle, event);
    *out = as_handle<CUevent>(event->handle);
    return CUDA_SUCCESS;
  });
}

CUresult cuMemExportToShareableHandle(void* out, CUmemGenericAllocationHandle handle, CUmemAllocationHandleType type,
                                      unsigned long long flags) {
  return without_context([&] {
    const auto memory = Simulator::get().physical.find(handle);
    if (out == nullptr || memory == nullptr || flags != 0) return CUDA_ERROR_INVALID_VALUE;
    if (type != CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR || memory->properties().requestedHandleTypes != type)
      return CUDA_ERROR_INVALID_VALUE;
    const int file = ::fcntl(memory->file(), F_DUPFD_CLOEXEC, 0);
    if (file < 0) return CUDA_ERROR_OPERATING_SYSTEM;
    std::memcpy(out, &file, sizeof file);
    return CUDA_SUCCESS;
  });
}

CUresult cuMemImportFromShareableHandle(CUmemGenericAllocationHandle* out, void* os_handle,
                                        CUmemAllocationHandleType type) {
  return without_context([&] {
    const int file = static_cast<int>(reinterpret_cast<std::intptr_t>(os_handle));
    if (out == nullptr || type != CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR) return CUDA_ERROR_INVALID_VALUE;
    Simulator& sim = Simulator::get();
    const auto memory = PhysicalMemory::import(sim.arena, file);
    if (memory == nullptr) return CUDA_ERROR_INVALID_VALUE;
    sim.physical.retain(memory);
    *out = memory->handle();
    return CUDA_SUCCESS;
  });
}
