// What a pointer is: answered from the guest's own maps.
#include <cstring>

#include "shim/client/contexts.hpp"
#include "shim/client/device_memory.hpp"
#include "shim/client/handles.hpp"
#include "shim/client/registered_memory.hpp"
#include "shim/client/request.hpp"
#include "shim/client/startup.hpp"
#include "shim/client/sync_memops.hpp"
#include "shim/client/virtual_memory.hpp"
#include "shim/cuda/calls.gen.hpp"
#include "shim/staging/pinned_memory.hpp"

namespace vgpu::shim::calls {
namespace {

constexpr int kNoDevice = -2;

/// All that is asked about a pointer, whatever it points to.
struct PointerFacts {
  bool known = false;
  unsigned type = 0;
  const Context* context = nullptr;
  CUdeviceptr device_pointer = 0;
  uint64_t host_pointer = 0;
  uint64_t buffer_id = 0;
  uint64_t base = 0;
  uint64_t size = 0;
  CUmemoryPool pool = nullptr;
  CUdevice device = kNoDevice;  ///< of memory whose device its context does not tell
  CUdevice ordinal() const { return device != kNoDevice || context == nullptr ? device : context->device; }
};

/// The pool of an asynchronous allocation; null for other memory.
CUmemoryPool pool_of(const DeviceAllocation& device) {
  if (device.kind != DeviceMemoryKind::pool || device.context == nullptr || device.pool != nullptr) return device.pool;
  CUmemoryPool own = nullptr;
  return cuDeviceGetDefaultMemPool(&own, device.context->device) == CUDA_SUCCESS ? own : nullptr;
}

/// The device of memory that may lie on another one than its context's.
CUdevice device_of_memory(const DeviceAllocation& memory) {
  if (memory.kind == DeviceMemoryKind::mapped) return memory.device;
  int count = 0;
  if (memory.pool == nullptr || cuDeviceGetCount(&count) != CUDA_SUCCESS || count < 2) return kNoDevice;
  Request request(api::ops::PointerAttribute::kOp, api::ops::PointerAttribute::kNeedsContext);
  api::ops::PointerAttributeReply reply;
  const api::ops::PointerAttribute question{memory.base, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL};
  return call(request, question, reply) == CUDA_SUCCESS ? static_cast<CUdevice>(reply.value) : kNoDevice;
}

PointerFacts facts_of(CUdeviceptr pointer) {
  PinnedAllocation pinned;
  if (find_pinned(pointer, pinned))
    return {true, CU_MEMORYTYPE_HOST, pinned.context, pointer, pointer, pinned.buffer_id, pinned.base, pinned.size};
  RegisteredMemory registered;
  if (find_registered(pointer, registered))
    return {true,    CU_MEMORYTYPE_HOST,   registered.context, 0,
            pointer, registered.buffer_id, registered.base,    registered.size};
  DeviceAllocation device;
  if (look_up_device_memory(pointer, device) == CUDA_SUCCESS) {
    // Of mapped memory the range is what was reserved, not what is mapped (measured).
    if (device.kind == DeviceMemoryKind::mapped) {
      const auto lock = lock_virtual_memory();
      (void)find_reservation(pointer, device.base, device.size);
    }
    return {true,        CU_MEMORYTYPE_DEVICE, device.context,          pointer, 0, device.buffer_id, device.base,
            device.size, pool_of(device),      device_of_memory(device)};
  }
  return {};
}

template <typename T>
CUresult store(void* data, T value) {
  std::memcpy(data, &value, sizeof value);
  return CUDA_SUCCESS;
}

/// Stores the attribute, or its zero value with an error if it does not apply to this pointer.
CUresult attribute_of(const PointerFacts& facts, CUpointer_attribute attribute, void* data) {
  const CUresult applies = facts.known ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
  const auto result = [applies](CUresult stored) { return applies != CUDA_SUCCESS ? applies : stored; };
  switch (attribute) {
    case CU_POINTER_ATTRIBUTE_CONTEXT:
      return result(store(data, number(facts.context == nullptr ? nullptr : handle_of(*facts.context))));
    case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
      return result(store<uint32_t>(data, facts.type));
    case CU_POINTER_ATTRIBUTE_DEVICE_POINTER:
      store<uint64_t>(data, facts.device_pointer);
      return facts.device_pointer != 0 ? applies : CUDA_ERROR_INVALID_VALUE;
    case CU_POINTER_ATTRIBUTE_HOST_POINTER:
      store<uint64_t>(data, facts.host_pointer);
      return facts.host_pointer != 0 ? applies : CUDA_ERROR_INVALID_VALUE;
    case CU_POINTER_ATTRIBUTE_SYNC_MEMOPS:
      return result(store<uint32_t>(data, has_sync_memops(facts.buffer_id) ? 1 : 0));
    case CU_POINTER_ATTRIBUTE_BUFFER_ID:
      return result(store<uint64_t>(data, facts.buffer_id));
    case CU_POINTER_ATTRIBUTE_IS_MANAGED:
      return result(store<uint32_t>(data, 0));
    case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL:
      return result(store<int32_t>(data, facts.ordinal()));
    case CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE:
      return result(store<uint32_t>(data, 0));
    case CU_POINTER_ATTRIBUTE_RANGE_START_ADDR:
      return result(store<uint64_t>(data, facts.base));
    case CU_POINTER_ATTRIBUTE_RANGE_SIZE:
      return result(store<uint64_t>(data, facts.size));
    case CU_POINTER_ATTRIBUTE_MAPPED:
      return result(store<uint32_t>(data, facts.device_pointer != 0 ? 1 : 0));
    case CU_POINTER_ATTRIBUTE_ALLOWED_HANDLE_TYPES:
      return result(store<uint64_t>(data, 0));
    case CU_POINTER_ATTRIBUTE_ACCESS_FLAGS:
      return result(store<uint32_t>(data, facts.known ? unsigned{CU_MEM_ACCESS_FLAGS_PROT_READWRITE} : 0u));
    case CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE:
      return result(store(data, number(facts.pool)));
    default:
      return CUDA_ERROR_INVALID_VALUE;
  }
}

}  // namespace

CUresult cuPointerGetAttribute(void* data, CUpointer_attribute attribute, CUdeviceptr ptr) {
  if (const CUresult result = initialized(); result != CUDA_SUCCESS) return result;
  if (data == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const PointerFacts facts = facts_of(ptr);
  // Nothing is written unless the attribute applies.
  uint8_t value[16] = {};
  if (!facts.known) return CUDA_ERROR_INVALID_VALUE;
  const CUresult result = attribute_of(facts, attribute, value);
  return result != CUDA_SUCCESS ? result : attribute_of(facts, attribute, data);
}

/// Unlike the call for one attribute, this one succeeds for any pointer: what does not apply is zero (the device: -2).
CUresult cuPointerGetAttributes(unsigned numAttributes, CUpointer_attribute* attributes, void** data, CUdeviceptr ptr) {
  if (const CUresult result = initialized(); result != CUDA_SUCCESS) return result;
  if (attributes == nullptr || data == nullptr || numAttributes == 0) return CUDA_ERROR_INVALID_VALUE;
  const PointerFacts facts = facts_of(ptr);
  for (unsigned i = 0; i < numAttributes; ++i)
    if (data[i] != nullptr) attribute_of(facts, attributes[i], data[i]);
  return CUDA_SUCCESS;
}

/// The only attribute that can be set.
CUresult cuPointerSetAttribute(const void* value, CUpointer_attribute attribute, CUdeviceptr ptr) {
  if (const CUresult result = initialized(); result != CUDA_SUCCESS) return result;
  if (value == nullptr || attribute != CU_POINTER_ATTRIBUTE_SYNC_MEMOPS) return CUDA_ERROR_INVALID_VALUE;
  const PointerFacts facts = facts_of(ptr);
  if (!facts.known) return CUDA_ERROR_INVALID_VALUE;
  uint32_t on = 0;
  std::memcpy(&on, value, sizeof on);
  set_sync_memops(facts.buffer_id, on != 0);
  return CUDA_SUCCESS;
}

}  // namespace vgpu::shim::calls
