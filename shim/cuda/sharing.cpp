// Memory and events that processes of one VM share: by handles of 64 bytes, or by descriptors.
#include "shim/client/contexts.hpp"
#include "shim/client/device_memory.hpp"
#include "shim/client/handles.hpp"
#include "shim/client/share_offers.hpp"
#include "shim/client/stream_table.hpp"
#include "shim/client/virtual_memory.hpp"
#include "shim/cuda/calls.gen.hpp"

namespace vgpu::shim::calls {
CUresult cuIpcGetMemHandle(CUipcMemHandle* pHandle, CUdeviceptr dptr) {
  using Op = api::ops::IpcMemoryGet;
  if (const CUresult refused = refusal<Op>(); refused != CUDA_SUCCESS) return refused;
  DeviceAllocation memory;
  if (pHandle == nullptr || !find_device_memory(dptr, memory)) return CUDA_ERROR_INVALID_VALUE;
  ShareToken token{};
  const CUresult result = offer<api::ops::IpcMemoryGetReply>(Op{dptr}, token);
  if (result == CUDA_SUCCESS) write_handle(Shared::memory, token, pHandle->reserved);
  return result;
}

CUresult cuIpcOpenMemHandle_v2(CUdeviceptr* pdptr, CUipcMemHandle handle, unsigned Flags) {
  using Op = api::ops::IpcMemoryOpen;
  if (const CUresult refused = refusal<Op>(); refused != CUDA_SUCCESS) return refused;
  ShareToken token{};
  if (pdptr == nullptr || Flags != CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS ||
      !read_handle(Shared::memory, handle.reserved, token))
    return CUDA_ERROR_INVALID_VALUE;
  const CUresult result = ask_until_answered<api::ops::IpcMemoryOpenReply>(
      Op{bytes_of(token), Flags}, kLongestShareNs, [&](const api::ops::IpcMemoryOpenReply& reply) {
        remember_device_memory(reply.address, reply.size, DeviceMemoryKind::imported);
        *pdptr = reply.address;
      });
  return as_foreign(result);
}
CUresult cuIpcOpenMemHandle(CUdeviceptr* pdptr, CUipcMemHandle handle, unsigned Flags) {
  return cuIpcOpenMemHandle_v2(pdptr, handle, Flags);
}

CUresult cuIpcCloseMemHandle(CUdeviceptr dptr) {
  if (const CUresult refused = refusal<api::ops::IpcMemoryClose>(); refused != CUDA_SUCCESS) return refused;
  DeviceAllocation memory;
  if (!find_device_memory(dptr, memory) || memory.kind != DeviceMemoryKind::imported || memory.base != dptr)
    return CUDA_ERROR_INVALID_VALUE;
  // The map keeps the range: it may have been opened more than once, and what follows from the worker overrides it.
  return call(api::ops::IpcMemoryClose{dptr});
}

CUresult cuIpcGetEventHandle(CUipcEventHandle* pHandle, CUevent event) {
  using Op = api::ops::IpcEventGet;
  if (const CUresult refused = refusal<Op>(); refused != CUDA_SUCCESS) return refused;
  const EventFacts* facts = events().find(reinterpret_cast<uint64_t>(event));
  if (facts == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  if (pHandle == nullptr || (facts->flags & CU_EVENT_INTERPROCESS) == 0) return CUDA_ERROR_INVALID_VALUE;
  ShareToken token{};
  const CUresult result = offer<api::ops::IpcEventGetReply>(Op{{reinterpret_cast<uint64_t>(event)}}, token);
  if (result == CUDA_SUCCESS) write_handle(Shared::event, token, pHandle->reserved);
  return result;
}

CUresult cuIpcOpenEventHandle(CUevent* phEvent, CUipcEventHandle handle) {
  using Op = api::ops::IpcEventOpen;
  if (const CUresult refused = refusal<Op>(); refused != CUDA_SUCCESS) return refused;
  ShareToken token{};
  if (phEvent == nullptr || !read_handle(Shared::event, handle.reserved, token)) return CUDA_ERROR_INVALID_VALUE;
  const uint64_t made = handles(wire::Kind::event).make();
  if (made == 0) return CUDA_ERROR_OUT_OF_MEMORY;
  const CUresult result =
      ask_until_answered<Nothing>(Op{bytes_of(token), {made}}, kLongestShareNs, [](const Nothing&) {});
  if (result != CUDA_SUCCESS) {
    handles(wire::Kind::event).discard(made);
    return as_foreign(result);
  }
  events().insert(made, {current_context(), CU_EVENT_INTERPROCESS | CU_EVENT_DISABLE_TIMING});
  *phEvent = reinterpret_cast<CUevent>(made);
  return CUDA_SUCCESS;
}

CUresult cuMemExportToShareableHandle(void* shareableHandle, CUmemGenericAllocationHandle handle,
                                      CUmemAllocationHandleType handleType, unsigned long long flags) {
  using Op = api::ops::MemoryExport;
  if (const CUresult refused = refusal<Op>(); refused != CUDA_SUCCESS) return refused;
  if (shareableHandle == nullptr || flags != 0) return CUDA_ERROR_INVALID_VALUE;
  if (handleType != CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR) return CUDA_ERROR_NOT_SUPPORTED;
  const auto lock = lock_virtual_memory();
  if (!holds(handle)) return CUDA_ERROR_INVALID_VALUE;
  ShareToken token{};
  const CUresult result = offer<api::ops::MemoryExportReply>(Op{{handle}}, token);
  if (result != CUDA_SUCCESS) return result;
  base::UniqueFd file = make_share_file(Shared::physical_memory, token);
  if (!file) return CUDA_ERROR_OPERATING_SYSTEM;
  *static_cast<int*>(shareableHandle) = file.release();
  return CUDA_SUCCESS;
}

CUresult cuMemImportFromShareableHandle(CUmemGenericAllocationHandle* handle, void* osHandle,
                                        CUmemAllocationHandleType shHandleType) {
  using Op = api::ops::MemoryImport;
  if (const CUresult refused = refusal<Op>(); refused != CUDA_SUCCESS) return refused;
  if (handle == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (shHandleType != CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR) return CUDA_ERROR_NOT_SUPPORTED;
  ShareToken token{};
  if (!read_share_file(Shared::physical_memory, static_cast<int>(reinterpret_cast<intptr_t>(osHandle)), token))
    return CUDA_ERROR_INVALID_VALUE;
  const auto lock = lock_virtual_memory();
  const uint64_t made = handles(wire::Kind::memory).make();
  if (made == 0) return CUDA_ERROR_OUT_OF_MEMORY;
  const CUresult result = ask_until_answered<api::ops::MemoryImportReply>(
      Op{bytes_of(token), {made}}, kLongestShareNs, [&](const api::ops::MemoryImportReply& reply) {
        note_created(made, reply.device);
        *handle = made;
      });
  if (result != CUDA_SUCCESS) handles(wire::Kind::memory).discard(made);
  return as_foreign(result);
}

}  // namespace vgpu::shim::calls
