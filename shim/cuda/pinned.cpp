// Pinned and registered host memory.
#include "shim/client/capture_state.hpp"
#include "shim/client/registered_memory.hpp"
#include "shim/client/request.hpp"
#include "shim/cuda/calls.gen.hpp"
#include "shim/staging/pinned_memory.hpp"

namespace vgpu::shim::calls {
namespace {

constexpr unsigned kAllocFlags = CU_MEMHOSTALLOC_PORTABLE | CU_MEMHOSTALLOC_DEVICEMAP | CU_MEMHOSTALLOC_WRITECOMBINED;
constexpr unsigned kRegisterFlags = CU_MEMHOSTREGISTER_PORTABLE | CU_MEMHOSTREGISTER_DEVICEMAP |
                                    CU_MEMHOSTREGISTER_IOMEMORY | CU_MEMHOSTREGISTER_READ_ONLY;

/// What keeps the calling thread from working with memory at all.
CUresult refusal() {
  const Request probe(api::Op::extent_open, true);
  return probe.refusal();
}

}  // namespace

CUresult cuMemHostAlloc(void** pp, size_t bytesize, unsigned Flags) {
  if (const CUresult refused = refusal(); refused != CUDA_SUCCESS) return refused;
  if (pp == nullptr || (Flags & ~kAllocFlags) != 0) return CUDA_ERROR_INVALID_VALUE;
  if (const CUresult refused = refuse_if_capturing(); refused != CUDA_SUCCESS) return refused;
  if (bytesize == 0) {
    *pp = nullptr;
    return CUDA_SUCCESS;
  }
  void* pointer = nullptr;
  const CUresult result = allocate_pinned(bytesize, Flags, pointer);
  if (result == CUDA_SUCCESS) *pp = pointer;
  return result;
}

CUresult cuMemAllocHost_v2(void** pp, size_t bytesize) { return cuMemHostAlloc(pp, bytesize, 0); }
CUresult cuMemAllocHost(void** pp, unsigned bytesize) { return cuMemHostAlloc(pp, bytesize, 0); }

CUresult cuMemFreeHost(void* p) {
  if (const CUresult refused = refusal(); refused != CUDA_SUCCESS) {
    PinnedAllocation pinned;
    const bool wrong = refused == CUDA_ERROR_INVALID_CONTEXT && p != nullptr;
    return wrong && !find_pinned(reinterpret_cast<uintptr_t>(p), pinned) ? CUDA_ERROR_INVALID_VALUE : refused;
  }
  if (p == nullptr) return CUDA_SUCCESS;
  const CUresult capturing = refuse_if_capturing();
  return capturing != CUDA_SUCCESS ? capturing : free_pinned(p);
}

CUresult cuMemHostGetDevicePointer_v2(CUdeviceptr* pdptr, void* p, unsigned Flags) {
  if (const CUresult refused = refusal(); refused != CUDA_SUCCESS) return refused;
  if (pdptr == nullptr || p == nullptr || Flags != 0) return CUDA_ERROR_INVALID_VALUE;
  PinnedAllocation pinned;
  RegisteredMemory registered;
  const auto address = reinterpret_cast<uintptr_t>(p);
  if (find_pinned(address, pinned)) {
    *pdptr = address;  // the window lies at the same address on both sides
    return CUDA_SUCCESS;
  }
  // The GPU cannot reach the program's own pages; the device attributes say so.
  return find_registered(address, registered) ? CUDA_ERROR_NOT_SUPPORTED : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuMemHostGetFlags(unsigned* pFlags, void* p) {
  if (const CUresult refused = refusal(); refused != CUDA_SUCCESS) return refused;
  if (pFlags == nullptr) return CUDA_ERROR_INVALID_VALUE;
  PinnedAllocation pinned;
  RegisteredMemory registered;
  if (find_pinned(reinterpret_cast<uintptr_t>(p), pinned))
    *pFlags = pinned.flags | CU_MEMHOSTALLOC_DEVICEMAP;
  else if (find_registered(reinterpret_cast<uintptr_t>(p), registered))
    *pFlags = registered.flags;
  else
    return CUDA_ERROR_INVALID_VALUE;
  return CUDA_SUCCESS;
}

CUresult cuMemHostRegister_v2(void* p, size_t bytesize, unsigned Flags) {
  if (const CUresult refused = refusal(); refused != CUDA_SUCCESS) return refused;
  if (p == nullptr || bytesize == 0 || (Flags & ~kRegisterFlags) != 0) return CUDA_ERROR_INVALID_VALUE;
  if ((Flags & CU_MEMHOSTREGISTER_IOMEMORY) != 0) return CUDA_ERROR_NOT_SUPPORTED;
  if (const CUresult capturing = refuse_if_capturing(); capturing != CUDA_SUCCESS) return capturing;
  PinnedAllocation pinned;
  if (find_pinned(reinterpret_cast<uintptr_t>(p), pinned)) return CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED;
  return register_memory(p, bytesize, Flags);
}
CUresult cuMemHostRegister(void* p, size_t bytesize, unsigned Flags) {
  return cuMemHostRegister_v2(p, bytesize, Flags);
}

/// Needs no context, unlike the registration.
CUresult cuMemHostUnregister(void* p) {
  if (const CUresult refused = refusal(); refused != CUDA_SUCCESS && refused != CUDA_ERROR_INVALID_CONTEXT)
    return refused;
  if (p == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const CUresult capturing = refuse_if_capturing();
  return capturing != CUDA_SUCCESS ? capturing : unregister_memory(p);
}

}  // namespace vgpu::shim::calls
