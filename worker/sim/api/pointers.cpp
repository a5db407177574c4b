// What is known of a pointer.
#include <cstring>

#include "worker/sim/api/entry.hpp"

using namespace vgpu::sim::api;
namespace memory = vgpu::sim::memory;

VGPU_SIM_EXPORT(cuPointerGetAttribute);
VGPU_SIM_EXPORT(cuPointerGetAttributes);

namespace {

/// A pointer, looked up once for all its attributes.
struct Known {
  CUdeviceptr pointer = 0;
  bool found = false;
  bool on_device = false;
  std::uint64_t start = 0, size = 0, id = 0, context = 0, pool = 0;
  int device = 0;
};

Known look_up(CUdeviceptr pointer) {
  Simulator& sim = Simulator::get();
  Known known;
  known.pointer = pointer;
  if (const auto allocation = sim.arena.find(pointer)) {
    known = {pointer, true, true, allocation->address, allocation->size, allocation->id, allocation->owner, 0};
    known.device = static_cast<int>(allocation->device);
    if (allocation->stream_ordered) known.pool = allocation->owner;
    if (allocation->stream_ordered || allocation->mapped) known.context = 0;
    if (const auto reservation = sim.arena.reservation_of(pointer); allocation->mapped && reservation) {
      known.start = reservation->first;
      known.size = reservation->second;
    }
  } else if (const auto range = sim.host.find(pointer)) {
    known = {pointer, true, false, range->address, range->size, range->id, range->context, 0};
    Simulator::get().contexts.for_each([&](Context& context) {
      if (context.id() == range->context) known.device = context.device();
    });
  }
  return known;
}

std::uint64_t context_handle(std::uint64_t id) {
  std::uint64_t handle = 0;
  Simulator::get().contexts.for_each([&](Context& context) {
    if (context.id() == id) handle = context.handle();
  });
  return handle;
}

/// Pointers are looked up without a context, too; but not after an error.
template <typename Body>
CUresult with_any_context(Body body) {
  return guarded([&] {
    ContextPtr context;
    const CUresult result = current_context(context);
    const bool none = result == CUDA_ERROR_INVALID_CONTEXT || result == CUDA_ERROR_CONTEXT_IS_DESTROYED;
    return result == CUDA_SUCCESS || none ? static_cast<CUresult>(body()) : result;
  });
}

template <typename T>
CUresult give(void* out, T value) {
  std::memcpy(out, &value, sizeof value);
  return CUDA_SUCCESS;
}

/// The answer for a pointer nobody knows, where a list of attributes is asked for.
void give_nothing(CUpointer_attribute attribute, void* out) {
  switch (attribute) {
    case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
    case CU_POINTER_ATTRIBUTE_ACCESS_FLAGS:
      give<unsigned>(out, 0);
      break;
    case CU_POINTER_ATTRIBUTE_SYNC_MEMOPS:
    case CU_POINTER_ATTRIBUTE_IS_MANAGED:
    case CU_POINTER_ATTRIBUTE_MAPPED:
    case CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE:
      give(out, false);
      break;
    case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL:
      give<int>(out, -2);
      break;
    default:
      give<std::uint64_t>(out, 0);
      break;
  }
}

CUresult answer(const Known& known, CUpointer_attribute attribute, void* out) {
  switch (attribute) {
    case CU_POINTER_ATTRIBUTE_CONTEXT:
      return give<std::uint64_t>(out, context_handle(known.context));
    case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
      return give<unsigned>(out, known.on_device ? CU_MEMORYTYPE_DEVICE : CU_MEMORYTYPE_HOST);
    case CU_POINTER_ATTRIBUTE_DEVICE_POINTER:
      return give<std::uint64_t>(out, known.pointer);
    case CU_POINTER_ATTRIBUTE_HOST_POINTER:
      return known.on_device ? CUDA_ERROR_INVALID_VALUE : give<std::uint64_t>(out, known.pointer);
    case CU_POINTER_ATTRIBUTE_SYNC_MEMOPS:
      return give(out, false);
    case CU_POINTER_ATTRIBUTE_BUFFER_ID:
      return give<std::uint64_t>(out, known.id);
    case CU_POINTER_ATTRIBUTE_IS_MANAGED:
      return give(out, false);
    case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL:
      return give<int>(out, known.device);
    case CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE:
      return give(out, false);
    case CU_POINTER_ATTRIBUTE_RANGE_START_ADDR:
      return give<std::uint64_t>(out, known.start);
    case CU_POINTER_ATTRIBUTE_RANGE_SIZE:
      return give<std::uint64_t>(out, known.size);
    case CU_POINTER_ATTRIBUTE_MAPPED:
      return give(out, true);
    case CU_POINTER_ATTRIBUTE_ALLOWED_HANDLE_TYPES:
      return give<std::uint64_t>(out, 0);
    case CU_POINTER_ATTRIBUTE_ACCESS_FLAGS:
      return give<unsigned>(out, CU_MEM_ACCESS_FLAGS_PROT_READWRITE);
    case CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE:
      return give<std::uint64_t>(out, known.pool);
    default:
      return CUDA_ERROR_INVALID_VALUE;
  }
}

}  // namespace

CUresult cuPointerGetAttribute(void* out, CUpointer_attribute attribute, CUdeviceptr pointer) {
  return with_any_context([&] {
    if (out == nullptr) return CUDA_ERROR_INVALID_VALUE;
    const Known known = look_up(pointer);
    return known.found ? answer(known, attribute, out) : CUDA_ERROR_INVALID_VALUE;
  });
}

CUresult cuPointerGetAttributes(unsigned count, CUpointer_attribute* attributes, void** out, CUdeviceptr pointer) {
  return with_any_context([&] {
    if (count == 0 || attributes == nullptr || out == nullptr) return CUDA_ERROR_INVALID_VALUE;
    const Known known = look_up(pointer);
    for (unsigned i = 0; i < count; ++i) {
      if (out[i] == nullptr) return CUDA_ERROR_INVALID_VALUE;
      if (!known.found || answer(known, attributes[i], out[i]) != CUDA_SUCCESS) give_nothing(attributes[i], out[i]);
    }
    return CUDA_SUCCESS;
  });
}
