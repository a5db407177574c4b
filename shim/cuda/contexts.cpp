// Contexts: current ones are a matter of the guest alone; only their beginning and end travel.
#include "shim/client/contexts.hpp"

#include "shim/client/request.hpp"
#include "shim/client/startup.hpp"
#include "shim/client/stream_table.hpp"
#include "shim/cuda/calls.gen.hpp"

namespace vgpu::shim::calls {
namespace {

/// Null stands for the current context.
CUresult find_or_current(CUcontext handle, Context*& context) {
  if (const CUresult result = initialized(); result != CUDA_SUCCESS) return result;
  context = handle == nullptr ? current_context() : find_context(handle);
  return context == nullptr ? CUDA_ERROR_INVALID_CONTEXT : CUDA_SUCCESS;
}

bool are_context_flags(unsigned flags) {
  const unsigned schedule = flags & CU_CTX_SCHED_MASK;
  const bool one_schedule = schedule <= CU_CTX_SCHED_YIELD || schedule == CU_CTX_SCHED_BLOCKING_SYNC;
  return (flags & ~CU_CTX_FLAGS_MASK) == 0 && one_schedule;
}

CUresult create(CUcontext* pctx, unsigned flags, CUdevice dev, unsigned api_version) {
  if (const CUresult result = initialized(); result != CUDA_SUCCESS) return result;
  if (pctx == nullptr || !are_context_flags(flags)) return CUDA_ERROR_INVALID_VALUE;
  follow_contexts();
  Context* context = nullptr;
  const CUresult result = create_context(dev, flags, api_version, context);
  if (result != CUDA_SUCCESS) return result;
  push_context(context);
  *pctx = handle_of(*context);
  return CUDA_SUCCESS;
}

}  // namespace

CUresult cuCtxCreate(CUcontext* pctx, unsigned flags, CUdevice dev) { return create(pctx, flags, dev, 3010); }
CUresult cuCtxCreate_v2(CUcontext* pctx, unsigned flags, CUdevice dev) { return create(pctx, flags, dev, 3020); }

CUresult cuCtxCreate_v3(CUcontext* pctx, CUexecAffinityParam* paramsArray, int numParams, unsigned flags,
                        CUdevice dev) {
  if (paramsArray != nullptr && numParams != 0) return CUDA_ERROR_UNSUPPORTED_EXEC_AFFINITY;
  return create(pctx, flags, dev, 3020);
}

CUresult cuCtxCreate_v4(CUcontext* pctx, CUctxCreateParams* ctxCreateParams, unsigned flags, CUdevice dev) {
  if (ctxCreateParams != nullptr && ctxCreateParams->execAffinityParams != nullptr &&
      ctxCreateParams->numExecAffinityParams != 0)
    return CUDA_ERROR_UNSUPPORTED_EXEC_AFFINITY;
  if (ctxCreateParams != nullptr && ctxCreateParams->cigParams != nullptr) return CUDA_ERROR_NOT_SUPPORTED;
  return create(pctx, flags, dev, 3020);
}

CUresult cuCtxDestroy_v2(CUcontext ctx) {
  if (const CUresult result = initialized(); result != CUDA_SUCCESS) return result;
  if (ctx == nullptr) return CUDA_ERROR_INVALID_VALUE;
  Context* context = find_context(ctx);
  return context == nullptr ? CUDA_ERROR_INVALID_CONTEXT : destroy_context(*context);
}
CUresult cuCtxDestroy(CUcontext ctx) { return cuCtxDestroy_v2(ctx); }

CUresult cuCtxAttach(CUcontext* pctx, unsigned flags) {
  Context* context = nullptr;
  if (const CUresult result = find_or_current(nullptr, context); result != CUDA_SUCCESS) return result;
  if (pctx == nullptr || flags != 0) return CUDA_ERROR_INVALID_VALUE;
  const CUresult result = attach_context(*context);
  if (result == CUDA_SUCCESS) *pctx = handle_of(*context);
  return result;
}

CUresult cuCtxDetach(CUcontext ctx) {
  Context* context = nullptr;
  if (const CUresult result = find_or_current(ctx, context); result != CUDA_SUCCESS) return result;
  return detach_context(*context);
}

CUresult cuCtxPushCurrent_v2(CUcontext ctx) {
  if (const CUresult result = initialized(); result != CUDA_SUCCESS) return result;
  if (ctx == nullptr) return CUDA_ERROR_INVALID_VALUE;
  Context* context = find_context(ctx);
  if (context == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
  push_context(context);
  return CUDA_SUCCESS;
}
CUresult cuCtxPushCurrent(CUcontext ctx) { return cuCtxPushCurrent_v2(ctx); }

CUresult cuCtxPopCurrent_v2(CUcontext* pctx) {
  if (const CUresult result = initialized(); result != CUDA_SUCCESS) return result;
  const Context* context = pop_context();
  if (context == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
  if (pctx != nullptr) *pctx = handle_of(*context);
  return CUDA_SUCCESS;
}
CUresult cuCtxPopCurrent(CUcontext* pctx) { return cuCtxPopCurrent_v2(pctx); }

CUresult cuCtxSetCurrent(CUcontext ctx) {
  if (const CUresult result = initialized(); result != CUDA_SUCCESS) return result;
  Context* context = ctx == nullptr ? nullptr : find_context(ctx);
  if (ctx != nullptr && context == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
  set_current_context(context);
  return CUDA_SUCCESS;
}

CUresult cuCtxGetCurrent(CUcontext* pctx) {
  if (const CUresult result = initialized(); result != CUDA_SUCCESS) return result;
  if (pctx == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const Context* context = current_context();
  *pctx = context == nullptr ? nullptr : handle_of(*context);
  return CUDA_SUCCESS;
}

CUresult cuCtxGetDevice_v2(CUdevice* device, CUcontext ctx) {
  Context* context = nullptr;
  if (const CUresult result = find_or_current(ctx, context); result != CUDA_SUCCESS) return result;
  if (device == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *device = context->device;
  return CUDA_SUCCESS;
}
CUresult cuCtxGetDevice(CUdevice* device) { return cuCtxGetDevice_v2(device, nullptr); }

CUresult cuCtxGetFlags(unsigned* flags) {
  Context* context = nullptr;
  if (const CUresult result = find_or_current(nullptr, context); result != CUDA_SUCCESS) return result;
  if (flags == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *flags = context->flags.load(std::memory_order_relaxed);
  return CUDA_SUCCESS;
}

CUresult cuCtxSetFlags(unsigned flags) {
  Context* context = nullptr;
  if (const CUresult result = find_or_current(nullptr, context); result != CUDA_SUCCESS) return result;
  if (!are_context_flags(flags)) return CUDA_ERROR_INVALID_VALUE;
  const CUresult result = call(api::ops::ContextSetFlags{flags});
  if (result == CUDA_SUCCESS) context->flags.store(flags, std::memory_order_relaxed);
  return result;
}

CUresult cuCtxGetId(CUcontext ctx, unsigned long long* ctxId) {
  Context* context = nullptr;
  if (const CUresult result = find_or_current(ctx, context); result != CUDA_SUCCESS) return result;
  if (ctxId == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *ctxId = context->id;
  return CUDA_SUCCESS;
}

CUresult cuCtxGetApiVersion(CUcontext ctx, unsigned* version) {
  Context* context = nullptr;
  if (const CUresult result = find_or_current(ctx, context); result != CUDA_SUCCESS) return result;
  if (version == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *version = context->api_version;
  return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxRetain(CUcontext* pctx, CUdevice dev) {
  if (const CUresult result = initialized(); result != CUDA_SUCCESS) return result;
  if (pctx == nullptr) return CUDA_ERROR_INVALID_VALUE;
  follow_contexts();
  Context* context = nullptr;
  const CUresult result = retain_primary(dev, context);
  if (result == CUDA_SUCCESS) *pctx = handle_of(*context);
  return result;
}

CUresult cuDevicePrimaryCtxRelease_v2(CUdevice dev) { return release_primary(dev); }
CUresult cuDevicePrimaryCtxRelease(CUdevice dev) { return release_primary(dev); }
CUresult cuDevicePrimaryCtxReset_v2(CUdevice dev) { return reset_primary(dev); }
CUresult cuDevicePrimaryCtxReset(CUdevice dev) { return reset_primary(dev); }

CUresult cuDevicePrimaryCtxSetFlags_v2(CUdevice dev, unsigned flags) {
  return are_context_flags(flags) ? set_primary_flags(dev, flags, false) : CUDA_ERROR_INVALID_VALUE;
}
CUresult cuDevicePrimaryCtxSetFlags(CUdevice dev, unsigned flags) {
  return are_context_flags(flags) ? set_primary_flags(dev, flags, true) : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuDevicePrimaryCtxGetState(CUdevice dev, unsigned* flags, int* active) {
  unsigned known_flags = 0;
  bool is_active = false;
  const CUresult result = primary_state(dev, known_flags, is_active);
  if (result != CUDA_SUCCESS) return result;
  if (flags == nullptr || active == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *flags = known_flags;
  *active = is_active ? 1 : 0;
  return CUDA_SUCCESS;
}

}  // namespace vgpu::shim::calls
