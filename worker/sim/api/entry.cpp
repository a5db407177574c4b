#include "worker/sim/api/entry.hpp"

#include <atomic>

namespace vgpu::sim::api {
namespace {

std::atomic<bool> initialised{false};

}  // namespace

ThreadState& thread_state() {
  static thread_local ThreadState state;
  return state;
}

bool is_initialised() { return initialised.load(std::memory_order_acquire); }
void set_initialised() { initialised.store(true, std::memory_order_release); }

CUresult check_callable() {
  if (!is_initialised()) return CUDA_ERROR_NOT_INITIALIZED;
  return thread_state().in_host_function ? CUDA_ERROR_NOT_PERMITTED : CUDA_SUCCESS;
}

ContextPtr find_context(CUcontext handle) { return Simulator::get().contexts.find(handle); }

CUresult current_context(ContextPtr& out) {
  if (const CUresult result = check_callable(); result != CUDA_SUCCESS) return result;
  const ThreadState& state = thread_state();
  if (state.contexts.empty() || state.contexts.back() == 0) return CUDA_ERROR_INVALID_CONTEXT;
  out = find_context(as_handle<CUcontext>(state.contexts.back()));
  if (out == nullptr) return CUDA_ERROR_CONTEXT_IS_DESTROYED;
  return out->error();
}

bool lacks_context() {
  ContextPtr context;
  return current_context(context) == CUDA_ERROR_INVALID_CONTEXT;
}

CUresult find_stream(const ContextPtr& context, CUstream handle, StreamPtr& out) {
  if (handle == nullptr || handle == CU_STREAM_LEGACY) {
    out = context->legacy();
  } else if (handle == CU_STREAM_PER_THREAD) {
    auto& own = thread_state().streams[context->id()];
    out = own.lock();
    if (out == nullptr) {
      out = context->create_stream(Stream::Kind::blocking, 0);
      own = out;
    }
  } else {
    out = Simulator::get().streams.find(handle);
  }
  return out == nullptr ? CUDA_ERROR_INVALID_HANDLE : CUDA_SUCCESS;
}

}  // namespace vgpu::sim::api
