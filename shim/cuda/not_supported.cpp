#include "shim/client/diagnostics.hpp"
#include "shim/cuda/entry.hpp"

namespace vgpu::shim {

void tell_failure(const char* symbol, cuda::CUresult result) {
  if (debug_enabled()) say("%s gives %d", symbol, static_cast<int>(result));
}

int refuse(Refusal& refusal) {
  if (refusal.said.first()) say("%s is not supported: %s (said once)", refusal.symbol, refusal.why);
  return cuda::CUDA_ERROR_NOT_SUPPORTED;
}

}  // namespace vgpu::shim
