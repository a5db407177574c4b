#include "worker/objects/contexts.hpp"

namespace vgpu::worker {

void Contexts::drop(uint64_t handle) {
  if (current_ == handle) current_ = 0;
  table_.drop(handle);
}

uint64_t Contexts::primary(int device) {
  uint64_t found = 0;
  table_.for_each([&](uint64_t handle, const ContextState& state) {
    if (state.primary && state.device == device) found = handle;
  });
  return found;
}

uint64_t Contexts::handle_of(CUcontext real) {
  uint64_t found = 0;
  table_.for_each([&](uint64_t handle, const ContextState& state) {
    if (state.real == real) found = handle;
  });
  return found;
}

CUresult Contexts::make_current(uint64_t handle) {
  if (handle == current_ && handle != 0) return CUDA_SUCCESS;
  const ContextState* context = find(handle);
  if (context == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
  const CUresult result = driver_.cuCtxSetCurrent(context->real);
  current_ = result == CUDA_SUCCESS ? handle : 0;
  return result;
}

CUresult Contexts::take_event(ContextState& context, CUevent& event) {
  if (context.free_events.empty()) {
    const CUresult result = driver_.cuEventCreate(&event, CU_EVENT_DISABLE_TIMING);
    if (result != CUDA_SUCCESS) event = nullptr;
    return result;
  }
  event = context.free_events.back();
  context.free_events.pop_back();
  return CUDA_SUCCESS;
}

}  // namespace vgpu::worker
