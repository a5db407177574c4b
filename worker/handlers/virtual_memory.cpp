// Memory that the client maps itself. The driver is asked only about addresses that this client reserved and memory
// that it made, so that no other mapping of this process can be named.
#include <cstring>

#include "worker/handlers/access_list.hpp"
#include "worker/handlers/check_in.hpp"
#include "worker/handlers/handlers.gen.hpp"
#include "worker/handlers/new_handle.hpp"
#include "worker/session.hpp"

namespace vgpu::worker::handlers {
namespace {

/// The properties as they travel, in the driver's form.
template <typename Op>
CUmemAllocationProp properties_of(const Op& op) {
  CUmemAllocationProp properties = {};
  properties.type = op.type;
  properties.requestedHandleTypes = op.handle_types;
  properties.location = {op.where, op.which};
  std::memcpy(properties.allocFlags, &op.flags, sizeof properties.allocFlags);
  return properties;
}

}  // namespace

void address_reserve(Session& session, const api::ops::AddressReserve& op, Call& call) {
  const auto reserve = session.driver().cuMemAddressReserve;
  if (reserve == nullptr) return call.finish(CUDA_ERROR_NOT_SUPPORTED);
  if (!session.virtual_memory().may_reserve()) return call.finish(CUDA_ERROR_OUT_OF_MEMORY);
  CUdeviceptr address = 0;
  const CUresult result = reserve(&address, op.size, op.alignment, op.wanted, 0);
  if (result == CUDA_SUCCESS) session.virtual_memory().reserve(address, op.size);
  api::ops::AddressReserveReply{address}.encode(call.reply());
  call.finish(result);
}

void address_free(Session& session, const api::ops::AddressFree& op, Call& call) {
  if (!session.virtual_memory().is_free(op.address, op.size)) return call.finish(CUDA_ERROR_INVALID_VALUE);
  const CUresult result = session.driver().cuMemAddressFree(op.address, op.size);
  if (result == CUDA_SUCCESS) session.virtual_memory().release(op.address);
  call.finish(result);
}

void memory_create(Session& session, const api::ops::MemoryCreate& op, Call& call) {
  const auto create = session.driver().cuMemCreate;
  if (create == nullptr) return call.finish(CUDA_ERROR_NOT_SUPPORTED);
  VirtualMemory& memory = session.virtual_memory();
  if (const CUresult refused =
          check_new(session, memory.memories(), op.result.value, "a memory handle that cannot be made");
      refused != CUDA_SUCCESS)
    return call.finish(refused);
  CUmemAllocationProp properties = properties_of(op);
  if (const CUresult refused = check_in(properties); refused != CUDA_SUCCESS) return call.finish(refused);
  CUmemGenericAllocationHandle real = 0;
  const CUresult result = create(&real, op.size, &properties, 0);
  if (result == CUDA_SUCCESS) memory.make(op.result.value, real, op.size, static_cast<unsigned>(op.which));
  call.finish(result);
}

void memory_release(Session& session, const api::ops::MemoryRelease& op, Call& call) {
  const VirtualMemory::Physical* physical = session.virtual_memory().memories().find(op.id.value);
  if (physical == nullptr || physical->references == 0) return call.finish(CUDA_ERROR_INVALID_VALUE);
  const CUresult result = session.driver().cuMemRelease(physical->real);
  if (result == CUDA_SUCCESS) session.virtual_memory().let_go(op.id.value);
  call.finish(result);
}

void memory_retain(Session& session, const api::ops::MemoryRetain& op, Call& call) {
  const auto retain = session.driver().cuMemRetainAllocationHandle;
  const VirtualMemory::Mapping* mapping = session.virtual_memory().mapping_of(op.address);
  VirtualMemory::Physical* physical = session.virtual_memory().memories().find(op.id.value);
  if (retain == nullptr) return call.finish(CUDA_ERROR_NOT_SUPPORTED);
  if (mapping == nullptr || physical == nullptr || mapping->memory != op.id.value)
    return call.finish(CUDA_ERROR_INVALID_VALUE);
  const CUresult result = retain(&physical->real, reinterpret_cast<void*>(op.address));
  if (result == CUDA_SUCCESS) ++physical->references;
  call.finish(result);
}

void memory_map(Session& session, const api::ops::MemoryMap& op, Call& call) {
  VirtualMemory& memory = session.virtual_memory();
  const VirtualMemory::Physical* physical = memory.memories().find(op.id.value);
  const uint64_t reservation = memory.reservation_of(op.address, op.size);
  if (physical == nullptr || physical->references == 0 || reservation == 0)
    return call.finish(CUDA_ERROR_INVALID_VALUE);
  if (session.allocations().is_full()) return call.finish(CUDA_ERROR_OUT_OF_MEMORY);
  const CUresult result = session.driver().cuMemMap(op.address, op.size, op.offset, physical->real, 0);
  if (result == CUDA_SUCCESS) {
    memory.map(op.address, {op.size, op.id.value, reservation});
    session.allocations().add(op.address, {op.size, Memory::mapped, 0, reservation});
  }
  call.finish(result);
}

void memory_unmap(Session& session, const api::ops::MemoryUnmap& op, Call& call) {
  VirtualMemory& memory = session.virtual_memory();
  const auto starts = memory.mappings_in(op.address, op.size);
  if (!starts || memory.reservation_of(op.address, op.size) == 0) return call.finish(CUDA_ERROR_INVALID_VALUE);
  const CUresult result = session.driver().cuMemUnmap(op.address, op.size);
  if (result == CUDA_SUCCESS) {
    for (const uint64_t start : *starts) {
      session.allocations().remove(start);
      memory.unmap(start);
    }
  }
  call.finish(result);
}

void memory_set_access(Session& session, const api::ops::MemorySetAccess& op, Call& call) {
  std::vector<CUmemAccessDesc> access;
  if (op.access.empty()) return call.finish(session.violation("access that is no list"));
  if (session.virtual_memory().reservation_of(op.address, op.size) == 0) return call.finish(CUDA_ERROR_INVALID_VALUE);
  if (const CUresult result = read_access(session, op.access, access); result != CUDA_SUCCESS)
    return call.finish(result);
  call.finish(session.driver().cuMemSetAccess(op.address, op.size, access.data(), access.size()));
}

void memory_get_access(Session& session, const api::ops::MemoryGetAccess& op, Call& call) {
  const auto get = session.driver().cuMemGetAccess;
  if (get == nullptr) return call.finish(CUDA_ERROR_NOT_SUPPORTED);
  if (session.virtual_memory().mapping_of(op.address) == nullptr) return call.finish(CUDA_ERROR_INVALID_VALUE);
  const CUmemLocation location = {op.where, op.which};
  unsigned long long flags = 0;
  const CUresult result = get(&flags, &location, op.address);
  api::ops::MemoryGetAccessReply{flags}.encode(call.reply());
  call.finish(result);
}

void memory_granularity(Session& session, const api::ops::MemoryGranularity& op, Call& call) {
  const auto get = session.driver().cuMemGetAllocationGranularity;
  if (get == nullptr) return call.finish(CUDA_ERROR_NOT_SUPPORTED);
  CUmemAllocationProp properties = properties_of(op);
  if (const CUresult refused = check_in(properties); refused != CUDA_SUCCESS) return call.finish(refused);
  size_t granularity = 0;
  const CUresult result = get(&granularity, &properties, op.option);
  api::ops::MemoryGranularityReply{granularity}.encode(call.reply());
  call.finish(result);
}

void memory_properties(Session& session, const api::ops::MemoryProperties& op, Call& call) {
  const auto get = session.driver().cuMemGetAllocationPropertiesFromHandle;
  const VirtualMemory::Physical* physical = session.virtual_memory().memories().find(op.id.value);
  if (get == nullptr) return call.finish(CUDA_ERROR_NOT_SUPPORTED);
  if (physical == nullptr || physical->references == 0) return call.finish(CUDA_ERROR_INVALID_VALUE);
  CUmemAllocationProp properties = {};
  const CUresult result = get(&properties, physical->real);
  api::ops::MemoryPropertiesReply reply{properties.type, properties.requestedHandleTypes, properties.location.type,
                                        properties.location.id, 0};
  std::memcpy(&reply.flags, properties.allocFlags, sizeof reply.flags);
  reply.encode(call.reply());
  call.finish(result);
}

}  // namespace vgpu::worker::handlers
