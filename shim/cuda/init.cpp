#include "shim/client/startup.hpp"
#include "shim/cuda/calls.gen.hpp"

namespace vgpu::shim::calls {

CUresult cuInit(unsigned Flags) { return Flags != 0 ? CUDA_ERROR_INVALID_VALUE : initialize(); }

CUresult cuDriverGetVersion(int* driverVersion) {
  if (driverVersion == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *driverVersion = driver_version();
  return CUDA_SUCCESS;
}

// Profilers attach to nothing here; programs that bracket a region for one go on.
CUresult cuProfilerStart() { return initialized(); }
CUresult cuProfilerStop() { return initialized(); }

// There is no GPUDirect RDMA in the guest, hence nothing to flush.
CUresult cuFlushGPUDirectRDMAWrites(CUflushGPUDirectRDMAWritesTarget, CUflushGPUDirectRDMAWritesScope) {
  return initialized();
}

}  // namespace vgpu::shim::calls
