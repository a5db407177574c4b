// Memory and events that processes of one VM give each other. The driver's own handles stay on this side: a guest holds
// tokens, and finds only what its own VM offers.
#include <unistd.h>

#include <cstring>

#include "worker/handlers/handlers.gen.hpp"
#include "worker/handlers/new_handle.hpp"
#include "worker/handlers/share_offers.hpp"

namespace vgpu::worker::handlers {
namespace {

using control::ShareKind;

}  // namespace

void ipc_memory_get(Session& session, const api::ops::IpcMemoryGet& op, Call& call) {
  const auto get = session.driver().cuIpcGetMemHandle;
  if (get == nullptr || session.shares() == nullptr) return call.finish(CUDA_ERROR_NOT_SUPPORTED);
  if (!session.allocations().covers(op.address, 1)) return call.finish(CUDA_ERROR_INVALID_VALUE);
  CUipcMemHandle handle;
  if (const CUresult result = get(&handle, op.address); result != CUDA_SUCCESS) return call.finish(result);
  finish_with_offer<api::ops::IpcMemoryGetReply>(session, call, ShareKind::memory, to_data(handle));
}

void ipc_memory_open(Session& session, const api::ops::IpcMemoryOpen& op, Call& call) {
  const DriverTable& driver = session.driver();
  if (driver.cuIpcOpenMemHandle_v2 == nullptr) return call.finish(CUDA_ERROR_NOT_SUPPORTED);
  if (session.allocations().is_full()) return call.finish(CUDA_ERROR_OUT_OF_MEMORY);
  Shares::Found found;
  if (const CUresult result = look_up(session, op.token, ShareKind::memory, found); result != CUDA_SUCCESS)
    return call.finish(result);
  CUdeviceptr address = 0, base = 0;
  size_t size = 0;
  const auto handle = from_data<CUipcMemHandle>(found.data);
  CUresult result = driver.cuIpcOpenMemHandle_v2(&address, handle, op.flags);
  if (result != CUDA_SUCCESS) return call.finish(result);
  result = driver.cuMemGetAddressRange_v2(&base, &size, address);
  if (result != CUDA_SUCCESS) {
    (void)driver.cuIpcCloseMemHandle(address);
    return call.finish(result);
  }
  session.shares()->note_opened(address);
  session.allocations().add(address, {size - (address - base), Memory::imported, session.context_handle(), 0});
  api::ops::IpcMemoryOpenReply{address, size - (address - base)}.encode(call.reply());
  call.finish(CUDA_SUCCESS);
}

void ipc_memory_close(Session& session, const api::ops::IpcMemoryClose& op, Call& call) {
  const Allocations::Range* range = session.allocations().at(op.address);
  if (range == nullptr || range->kind != Memory::imported || session.shares() == nullptr)
    return call.finish(CUDA_ERROR_INVALID_VALUE);
  const CUresult result = session.driver().cuIpcCloseMemHandle(op.address);
  if (result == CUDA_SUCCESS && session.shares()->note_closed(op.address)) session.allocations().remove(op.address);
  call.finish(result);
}

void ipc_event_get(Session& session, const api::ops::IpcEventGet& op, Call& call) {
  const auto get = session.driver().cuIpcGetEventHandle;
  const Event* event = session.objects().events.find(op.id.value);
  if (get == nullptr || session.shares() == nullptr) return call.finish(CUDA_ERROR_NOT_SUPPORTED);
  if (event == nullptr) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  CUipcEventHandle handle;
  if (const CUresult result = get(&handle, event->real); result != CUDA_SUCCESS) return call.finish(result);
  finish_with_offer<api::ops::IpcEventGetReply>(session, call, ShareKind::event, to_data(handle));
}

void ipc_event_open(Session& session, const api::ops::IpcEventOpen& op, Call& call) {
  const auto open = session.driver().cuIpcOpenEventHandle;
  if (open == nullptr) return call.finish(CUDA_ERROR_NOT_SUPPORTED);
  if (const CUresult refused =
          check_new(session, session.objects().events, op.result.value, "an event handle that cannot be made");
      refused != CUDA_SUCCESS)
    return call.finish(refused);
  Shares::Found found;
  if (const CUresult result = look_up(session, op.token, ShareKind::event, found); result != CUDA_SUCCESS)
    return call.finish(result);
  CUevent real = nullptr;
  const CUresult result = open(&real, from_data<CUipcEventHandle>(found.data));
  if (result == CUDA_SUCCESS) session.objects().events.bind(op.result.value, {real, session.context_handle()});
  call.finish(result);
}

void memory_export(Session& session, const api::ops::MemoryExport& op, Call& call) {
  const auto export_memory = session.driver().cuMemExportToShareableHandle;
  const VirtualMemory::Physical* physical = session.virtual_memory().memories().find(op.id.value);
  if (export_memory == nullptr || session.shares() == nullptr) return call.finish(CUDA_ERROR_NOT_SUPPORTED);
  if (physical == nullptr || physical->references == 0) return call.finish(CUDA_ERROR_INVALID_VALUE);
  int file = -1;
  const CUresult result = export_memory(&file, physical->real, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0);
  if (result != CUDA_SUCCESS) return call.finish(result);
  const base::UniqueFd descriptor(file);
  finish_with_offer<api::ops::MemoryExportReply>(session, call, ShareKind::physical_memory, {}, descriptor.get());
}

void memory_import(Session& session, const api::ops::MemoryImport& op, Call& call) {
  const DriverTable& driver = session.driver();
  VirtualMemory& memory = session.virtual_memory();
  if (driver.cuMemImportFromShareableHandle == nullptr) return call.finish(CUDA_ERROR_NOT_SUPPORTED);
  if (const CUresult refused =
          check_new(session, memory.memories(), op.result.value, "a memory handle that cannot be made");
      refused != CUDA_SUCCESS)
    return call.finish(refused);
  Shares::Found found;
  if (const CUresult result = look_up(session, op.token, ShareKind::physical_memory, found); result != CUDA_SUCCESS)
    return call.finish(result);
  CUmemGenericAllocationHandle real = 0;
  void* const file = reinterpret_cast<void*>(static_cast<intptr_t>(found.descriptor.get()));
  CUresult result = driver.cuMemImportFromShareableHandle(&real, file, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR);
  if (result != CUDA_SUCCESS) return call.finish(result);
  CUmemAllocationProp properties = {};
  result = driver.cuMemGetAllocationPropertiesFromHandle(&properties, real);
  if (result == CUDA_SUCCESS)
    memory.make(op.result.value, real, 0, 0);  // whoever made it is charged for it
  else
    (void)driver.cuMemRelease(real);
  api::ops::MemoryImportReply{properties.location.id}.encode(call.reply());
  call.finish(result);
}

}  // namespace vgpu::worker::handlers
