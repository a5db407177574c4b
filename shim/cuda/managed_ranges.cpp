// Advice about managed memory, and questions about it. There is none in a guest (device attribute MANAGED_MEMORY is 0),
// and the driver takes these calls for nothing else: whatever range a program names is CUDA_ERROR_INVALID_VALUE.
#include "shim/client/request.hpp"
#include "shim/cuda/calls.gen.hpp"

namespace vgpu::shim::calls {
namespace {

CUresult no_managed_range() {
  const Request probe(api::Op::memory_range, true);
  return probe.refusal() != CUDA_SUCCESS ? probe.refusal() : CUDA_ERROR_INVALID_VALUE;
}

}  // namespace

CUresult cuMemAdvise(CUdeviceptr, size_t, CUmem_advise, CUdevice) { return no_managed_range(); }
CUresult cuMemAdvise_v2(CUdeviceptr, size_t, CUmem_advise, CUmemLocation) { return no_managed_range(); }
CUresult cuMemPrefetchAsync(CUdeviceptr, size_t, CUdevice, CUstream) { return no_managed_range(); }
CUresult cuMemPrefetchAsync_v2(CUdeviceptr, size_t, CUmemLocation, unsigned, CUstream) { return no_managed_range(); }
CUresult cuMemPrefetchBatchAsync(CUdeviceptr*, size_t*, size_t, CUmemLocation*, size_t*, size_t, unsigned long long,
                                 CUstream) {
  return no_managed_range();
}
CUresult cuMemRangeGetAttribute(void*, size_t, CUmem_range_attribute, CUdeviceptr, size_t) {
  return no_managed_range();
}
CUresult cuMemRangeGetAttributes(void**, size_t*, CUmem_range_attribute*, size_t, CUdeviceptr, size_t) {
  return no_managed_range();
}

}  // namespace vgpu::shim::calls
