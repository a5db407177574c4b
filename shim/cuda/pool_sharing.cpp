// Who may use a pool's memory: other devices of the client, and other processes of its VM.
#include <cstring>

#include "shim/client/contexts.hpp"
#include "shim/client/device_memory.hpp"
#include "shim/client/handles.hpp"
#include "shim/client/share_offers.hpp"
#include "shim/cuda/calls.gen.hpp"

namespace vgpu::shim::calls {
CUresult cuMemPoolSetAccess(CUmemoryPool pool, const CUmemAccessDesc* map, size_t count) {
  using Op = api::ops::PoolSetAccess;
  constexpr size_t kMost = 64;  // of devices
  if (const CUresult refused = refusal<Op>(); refused != CUDA_SUCCESS) return refused;
  if (pool == nullptr || map == nullptr || count == 0) return CUDA_ERROR_INVALID_VALUE;
  if (count > kMost) return CUDA_ERROR_NOT_SUPPORTED;
  const auto* bytes = reinterpret_cast<const uint8_t*>(map);
  return call(Op{{number(pool)}, wire::Bytes(bytes, count * sizeof *map)});
}

CUresult cuMemPoolExportToShareableHandle(void* handle_out, CUmemoryPool pool, CUmemAllocationHandleType handleType,
                                          unsigned long long flags) {
  using Op = api::ops::PoolExport;
  if (const CUresult refused = refusal<Op>(); refused != CUDA_SUCCESS) return refused;
  if (handle_out == nullptr || pool == nullptr || flags != 0) return CUDA_ERROR_INVALID_VALUE;
  if (handleType != CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR) return CUDA_ERROR_NOT_SUPPORTED;
  ShareToken token{};
  const CUresult result = offer<api::ops::PoolExportReply>(Op{{number(pool)}}, token);
  if (result != CUDA_SUCCESS) return as_foreign(result);
  base::UniqueFd file = make_share_file(Shared::pool, token);
  if (!file) return CUDA_ERROR_OPERATING_SYSTEM;
  const int descriptor = file.release();
  std::memcpy(handle_out, &descriptor, sizeof descriptor);
  return CUDA_SUCCESS;
}

CUresult cuMemPoolImportFromShareableHandle(CUmemoryPool* pool_out, void* handle, CUmemAllocationHandleType handleType,
                                            unsigned long long flags) {
  using Op = api::ops::PoolImport;
  if (const CUresult refused = refusal<Op>(); refused != CUDA_SUCCESS) return refused;
  if (pool_out == nullptr || flags != 0) return CUDA_ERROR_INVALID_VALUE;
  if (handleType != CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR) return CUDA_ERROR_NOT_SUPPORTED;
  ShareToken token{};
  if (!read_share_file(Shared::pool, static_cast<int>(reinterpret_cast<intptr_t>(handle)), token))
    return CUDA_ERROR_INVALID_VALUE;
  const uint64_t made = handles(wire::Kind::pool).make();
  if (made == 0) return CUDA_ERROR_OUT_OF_MEMORY;
  const CUresult result =
      ask_until_answered<Nothing>(Op{bytes_of(token), {made}}, kLongestShareNs, [](const Nothing&) {});
  if (result != CUDA_SUCCESS) {
    handles(wire::Kind::pool).discard(made);
    return as_foreign(result);
  }
  *pool_out = reinterpret_cast<CUmemoryPool>(made);
  return CUDA_SUCCESS;
}

CUresult cuMemPoolExportPointer(CUmemPoolPtrExportData* shareData_out, CUdeviceptr ptr) {
  using Op = api::ops::PoolExportPointer;
  if (const CUresult refused = refusal<Op>(); refused != CUDA_SUCCESS) return refused;
  DeviceAllocation memory;
  if (shareData_out == nullptr || !find_device_memory(ptr, memory) || memory.kind != DeviceMemoryKind::pool)
    return CUDA_ERROR_INVALID_VALUE;
  ShareToken token{};
  const CUresult result = offer<api::ops::PoolExportPointerReply>(Op{ptr}, token);
  if (result != CUDA_SUCCESS) return result;
  char bytes[sizeof shareData_out->reserved];
  write_handle(Shared::pool_memory, token, bytes);
  std::memcpy(shareData_out->reserved, bytes, sizeof bytes);
  return CUDA_SUCCESS;
}

CUresult cuMemPoolImportPointer(CUdeviceptr* ptr_out, CUmemoryPool pool, CUmemPoolPtrExportData* shareData) {
  using Op = api::ops::PoolImportPointer;
  if (const CUresult refused = refusal<Op>(); refused != CUDA_SUCCESS) return refused;
  if (ptr_out == nullptr || pool == nullptr || shareData == nullptr) return CUDA_ERROR_INVALID_VALUE;
  char bytes[sizeof shareData->reserved];
  std::memcpy(bytes, shareData->reserved, sizeof bytes);
  ShareToken token{};
  if (!read_handle(Shared::pool_memory, bytes, token)) return CUDA_ERROR_INVALID_VALUE;
  const CUresult result = ask_until_answered<api::ops::PoolImportPointerReply>(
      Op{{number(pool)}, bytes_of(token)}, kLongestShareNs, [&](const api::ops::PoolImportPointerReply& reply) {
        remember_device_memory(reply.address, reply.size, DeviceMemoryKind::pool, pool);
        *ptr_out = reply.address;
      });
  return as_foreign(result);
}

}  // namespace vgpu::shim::calls
