// Who may use a pool's memory: other devices of the client, and other processes of its VM, by tokens.
#include <cstring>

#include "worker/handlers/access_list.hpp"
#include "worker/handlers/handlers.gen.hpp"
#include "worker/handlers/new_handle.hpp"
#include "worker/handlers/share_offers.hpp"

namespace vgpu::worker::handlers {

void pool_set_access(Session& session, const api::ops::PoolSetAccess& op, Call& call) {
  const auto set = session.driver().cuMemPoolSetAccess;
  CUmemoryPool pool = nullptr;
  if (set == nullptr) return call.finish(CUDA_ERROR_NOT_SUPPORTED);
  if (!session.objects().find(op.id.value, pool)) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  std::vector<CUmemAccessDesc> access;
  if (const CUresult result = read_access(session, op.access, access); result != CUDA_SUCCESS)
    return call.finish(result);
  if (access.empty()) return call.finish(session.violation("access that is no list"));
  call.finish(set(pool, access.data(), access.size()));
}

void pool_export(Session& session, const api::ops::PoolExport& op, Call& call) {
  const auto export_pool = session.driver().cuMemPoolExportToShareableHandle;
  CUmemoryPool pool = nullptr;
  if (export_pool == nullptr || session.shares() == nullptr) return call.finish(CUDA_ERROR_NOT_SUPPORTED);
  if (!session.objects().find(op.id.value, pool)) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  int file = -1;
  const CUresult result = export_pool(&file, pool, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0);
  if (result != CUDA_SUCCESS) return call.finish(result);
  const base::UniqueFd descriptor(file);
  finish_with_offer<api::ops::PoolExportReply>(session, call, control::ShareKind::pool, {}, descriptor.get());
}

void pool_import(Session& session, const api::ops::PoolImport& op, Call& call) {
  const auto import_pool = session.driver().cuMemPoolImportFromShareableHandle;
  if (import_pool == nullptr) return call.finish(CUDA_ERROR_NOT_SUPPORTED);
  if (const CUresult refused =
          check_new(session, session.objects().pools, op.result.value, "a pool handle that cannot be made");
      refused != CUDA_SUCCESS)
    return call.finish(refused);
  Shares::Found found;
  if (const CUresult result = look_up(session, op.token, control::ShareKind::pool, found); result != CUDA_SUCCESS)
    return call.finish(result);
  CUmemoryPool pool = nullptr;
  void* const file = reinterpret_cast<void*>(static_cast<intptr_t>(found.descriptor.get()));
  const CUresult result = import_pool(&pool, file, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0);
  if (result == CUDA_SUCCESS) session.objects().pools.bind(op.result.value, pool);
  call.finish(result);
}

void pool_export_pointer(Session& session, const api::ops::PoolExportPointer& op, Call& call) {
  const auto export_pointer = session.driver().cuMemPoolExportPointer;
  const Allocations::Range* range = session.allocations().at(op.address);
  if (export_pointer == nullptr || session.shares() == nullptr) return call.finish(CUDA_ERROR_NOT_SUPPORTED);
  if (range == nullptr || range->kind != Memory::pool) return call.finish(CUDA_ERROR_INVALID_VALUE);
  CUmemPoolPtrExportData data{};
  if (const CUresult result = export_pointer(&data, op.address); result != CUDA_SUCCESS) return call.finish(result);
  finish_with_offer<api::ops::PoolExportPointerReply>(session, call, control::ShareKind::pool_memory, to_data(data));
}

void pool_import_pointer(Session& session, const api::ops::PoolImportPointer& op, Call& call) {
  const DriverTable& driver = session.driver();
  CUmemoryPool pool = nullptr;
  if (driver.cuMemPoolImportPointer == nullptr) return call.finish(CUDA_ERROR_NOT_SUPPORTED);
  if (!session.objects().find(op.from.value, pool)) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  if (session.allocations().is_full()) return call.finish(CUDA_ERROR_OUT_OF_MEMORY);
  Shares::Found found;
  CUresult result = look_up(session, op.token, control::ShareKind::pool_memory, found);
  if (result != CUDA_SUCCESS) return call.finish(result);
  CUdeviceptr address = 0, base = 0;
  size_t size = 0;
  auto data = from_data<CUmemPoolPtrExportData>(found.data);
  result = driver.cuMemPoolImportPointer(&address, pool, &data);
  if (result != CUDA_SUCCESS) return call.finish(result);
  result = driver.cuMemGetAddressRange_v2(&base, &size, address);
  if (result != CUDA_SUCCESS) {
    (void)driver.cuMemFree_v2(address);
    return call.finish(result);
  }
  // Whoever allocated it is charged for it.
  session.allocations().add(address, {size - (address - base), Memory::pool_imported, session.memory_owner(), 0});
  session.note_pool();
  api::ops::PoolImportPointerReply{address, size - (address - base)}.encode(call.reply());
  call.finish(CUDA_SUCCESS);
}

}  // namespace vgpu::worker::handlers
