// Memory that the program maps itself: addresses are reserved, physical memory is made, mapped and opened by calls of
// its own. None of them waits for the GPU.
#include "shim/client/virtual_memory.hpp"

#include <algorithm>
#include <cstring>

#include "shim/client/channel.hpp"
#include "shim/client/device_memory.hpp"
#include "shim/client/handles.hpp"
#include "shim/client/request.hpp"
#include "shim/cuda/calls.gen.hpp"

namespace vgpu::shim::calls {
namespace {

uint64_t flags_of(const CUmemAllocationProp& prop) {
  uint64_t flags = 0;
  std::memcpy(&flags, prop.allocFlags, sizeof flags);
  return flags;
}

/// Descriptors are the only handles that memory can be shared by; the attributes say so.
bool is_shareable_as_asked(const CUmemAllocationProp& prop) {
  return (prop.requestedHandleTypes & ~unsigned{CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR}) == 0;
}

}  // namespace

CUresult cuMemAddressReserve(CUdeviceptr* ptr, size_t size, size_t alignment, CUdeviceptr addr,
                             unsigned long long flags) {
  using Op = api::ops::AddressReserve;
  Request request(Op::kOp, Op::kNeedsContext);
  if (request.refusal() != CUDA_SUCCESS) return request.refusal();
  if (ptr == nullptr || flags != 0) return CUDA_ERROR_INVALID_VALUE;
  const Channel* channel = open_channel();
  // An address that is the program's own is not free; the driver would take another one, too.
  const CUdeviceptr wanted = channel != nullptr && channel->arena().contains(addr) ? addr : 0;
  const auto lock = lock_virtual_memory();
  api::ops::AddressReserveReply reply;
  if (const CUresult result = call(request, Op{size, alignment, wanted}, reply); result != CUDA_SUCCESS) return result;
  note_reserved(reply.address, size);
  *ptr = reply.address;
  return CUDA_SUCCESS;
}

CUresult cuMemAddressFree(CUdeviceptr ptr, size_t size) {
  const auto lock = lock_virtual_memory();
  const CUresult result = call(api::ops::AddressFree{ptr, size});
  if (result == CUDA_SUCCESS) note_unreserved(ptr);
  return result;
}

CUresult cuMemCreate(CUmemGenericAllocationHandle* handle, size_t size, const CUmemAllocationProp* prop,
                     unsigned long long flags) {
  using Op = api::ops::MemoryCreate;
  Request request(Op::kOp, Op::kNeedsContext);
  if (request.refusal() != CUDA_SUCCESS) return request.refusal();
  if (handle == nullptr || prop == nullptr || flags != 0) return CUDA_ERROR_INVALID_VALUE;
  if (!is_shareable_as_asked(*prop)) return CUDA_ERROR_NOT_SUPPORTED;
  const auto lock = lock_virtual_memory();
  const uint64_t made = handles(wire::Kind::memory).make();
  if (made == 0) return CUDA_ERROR_OUT_OF_MEMORY;
  Op{{made}, size, prop->type, prop->requestedHandleTypes, prop->location.type, prop->location.id, flags_of(*prop)}
      .encode(request.body());
  const CUresult result = request.call();
  if (result != CUDA_SUCCESS) {
    request.discard_handle(made);
    return result;
  }
  note_created(made, prop->location.id);
  *handle = made;
  return CUDA_SUCCESS;
}

CUresult cuMemRelease(CUmemGenericAllocationHandle handle) {
  if (const CUresult refused = refusal<api::ops::MemoryRelease>(); refused != CUDA_SUCCESS) return refused;
  const auto lock = lock_virtual_memory();
  if (!holds(handle)) return CUDA_ERROR_INVALID_VALUE;
  const CUresult result = call(api::ops::MemoryRelease{{handle}});
  if (result == CUDA_SUCCESS) note_released(handle);
  return result;
}

CUresult cuMemRetainAllocationHandle(CUmemGenericAllocationHandle* handle, void* addr) {
  if (const CUresult refused = refusal<api::ops::MemoryRetain>(); refused != CUDA_SUCCESS) return refused;
  if (handle == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const auto lock = lock_virtual_memory();
  const auto address = reinterpret_cast<CUdeviceptr>(addr);
  DeviceAllocation mapping;
  if (!find_device_memory(address, mapping) || mapping.kind != DeviceMemoryKind::mapped)
    return CUDA_ERROR_INVALID_VALUE;
  const CUresult result = call(api::ops::MemoryRetain{{mapping.memory}, address});
  if (result != CUDA_SUCCESS) return result;
  note_retained(mapping.memory);
  *handle = mapping.memory;
  return CUDA_SUCCESS;
}

CUresult cuMemMap(CUdeviceptr ptr, size_t size, size_t offset, CUmemGenericAllocationHandle handle,
                  unsigned long long flags) {
  if (const CUresult refused = refusal<api::ops::MemoryMap>(); refused != CUDA_SUCCESS) return refused;
  if (flags != 0) return CUDA_ERROR_INVALID_VALUE;
  const auto lock = lock_virtual_memory();
  if (!holds(handle)) return CUDA_ERROR_INVALID_VALUE;
  const CUresult result = call(api::ops::MemoryMap{ptr, size, offset, {handle}});
  if (result == CUDA_SUCCESS) note_mapped(handle, ptr, size);
  return result;
}

CUresult cuMemUnmap(CUdeviceptr ptr, size_t size) {
  if (const CUresult refused = refusal<api::ops::MemoryUnmap>(); refused != CUDA_SUCCESS) return refused;
  const auto lock = lock_virtual_memory();
  const CUresult result = call(api::ops::MemoryUnmap{ptr, size});
  if (result == CUDA_SUCCESS) note_unmapped(ptr, size);
  return result;
}

CUresult cuMemSetAccess(CUdeviceptr ptr, size_t size, const CUmemAccessDesc* desc, size_t count) {
  using Op = api::ops::MemorySetAccess;
  if (const CUresult refused = refusal<Op>(); refused != CUDA_SUCCESS) return refused;
  constexpr size_t kMost = 64;  // one for each device
  if (desc == nullptr || count == 0 || count > kMost) return CUDA_ERROR_INVALID_VALUE;
  const wire::Bytes access(reinterpret_cast<const uint8_t*>(desc), count * sizeof *desc);
  return call(Op{ptr, size, access});
}

CUresult cuMemGetAccess(unsigned long long* flags, const CUmemLocation* location, CUdeviceptr ptr) {
  using Op = api::ops::MemoryGetAccess;
  Request request(Op::kOp, Op::kNeedsContext);
  if (request.refusal() != CUDA_SUCCESS) return request.refusal();
  if (flags == nullptr || location == nullptr) return CUDA_ERROR_INVALID_VALUE;
  api::ops::MemoryGetAccessReply reply;
  const CUresult result = call(request, Op{ptr, location->type, location->id}, reply);
  if (result == CUDA_SUCCESS) *flags = reply.flags;
  return result;
}

CUresult cuMemGetAllocationGranularity(size_t* granularity, const CUmemAllocationProp* prop,
                                       CUmemAllocationGranularity_flags option) {
  using Op = api::ops::MemoryGranularity;
  Request request(Op::kOp, Op::kNeedsContext);
  if (request.refusal() != CUDA_SUCCESS) return request.refusal();
  if (granularity == nullptr || prop == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (!is_shareable_as_asked(*prop)) return CUDA_ERROR_NOT_SUPPORTED;
  api::ops::MemoryGranularityReply reply;
  const CUresult result =
      call(request,
           Op{prop->type, prop->requestedHandleTypes, prop->location.type, prop->location.id, flags_of(*prop), option},
           reply);
  if (result == CUDA_SUCCESS) *granularity = reply.granularity;
  return result;
}

CUresult cuMemGetAllocationPropertiesFromHandle(CUmemAllocationProp* prop, CUmemGenericAllocationHandle handle) {
  using Op = api::ops::MemoryProperties;
  Request request(Op::kOp, Op::kNeedsContext);
  if (request.refusal() != CUDA_SUCCESS) return request.refusal();
  const auto lock = lock_virtual_memory();
  if (prop == nullptr || !holds(handle)) return CUDA_ERROR_INVALID_VALUE;
  api::ops::MemoryPropertiesReply reply;
  const CUresult result = call(request, Op{{handle}}, reply);
  if (result != CUDA_SUCCESS) return result;
  *prop = {};
  prop->type = reply.type;
  prop->requestedHandleTypes = reply.handle_types;
  prop->location = {reply.where, reply.which};
  std::memcpy(prop->allocFlags, &reply.flags, sizeof prop->allocFlags);
  return CUDA_SUCCESS;
}

}  // namespace vgpu::shim::calls
