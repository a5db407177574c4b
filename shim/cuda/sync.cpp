#include "shim/client/capture_state.hpp"
#include "shim/client/contexts.hpp"
#include "shim/client/request.hpp"
#include "shim/cuda/calls.gen.hpp"

namespace vgpu::shim::calls {

CUresult cuCtxSynchronize_v2(CUcontext ctx) {
  Request request(api::Op::context_synchronize, true);
  if (ctx != nullptr) {
    const Context* context = find_context(ctx);
    if (context == nullptr)
      return request.refusal() == CUDA_ERROR_NOT_INITIALIZED ? CUDA_ERROR_NOT_INITIALIZED : CUDA_ERROR_INVALID_CONTEXT;
    if (!is_alive(*context)) return CUDA_ERROR_CONTEXT_IS_DESTROYED;
    request.use_context(*context);
  }
  const CUresult capturing = refuse_if_capturing(capture::Unsafe::context_wide);
  return capturing != CUDA_SUCCESS ? capturing : request.call();
}

CUresult cuCtxSynchronize() { return cuCtxSynchronize_v2(nullptr); }

}  // namespace vgpu::shim::calls
