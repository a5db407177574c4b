#include "worker/sim/api/entry.hpp"

#include <pthread.h>

#include <atomic>

namespace vgpu::sim::api {
namespace {

std::atomic<bool> initialised{false};
std::atomic<bool> forked{false};

// Not a thread_local object: those of the main thread end before static destructors, which may still call us.
thread_local ThreadState* own_state = nullptr;

pthread_key_t key_of_states() {
  static const pthread_key_t key = [] {
    pthread_key_t made = 0;
    ::pthread_key_create(&made, [](void* state) {
      own_state = nullptr;
      delete static_cast<ThreadState*>(state);
    });
    return made;
  }();
  return key;
}

}  // namespace

ThreadState::~ThreadState() {
  for (const auto& [context, own] : streams)
    if (const StreamPtr stream = own.lock()) stream->close();
}

ThreadState& thread_state() {
  if (own_state == nullptr) {
    own_state = new ThreadState;
    ::pthread_setspecific(key_of_states(), own_state);
  }
  return *own_state;
}

bool is_initialised() { return initialised.load(std::memory_order_acquire); }
CUresult initialise() {
  if (forked.load(std::memory_order_relaxed)) return CUDA_ERROR_NOT_INITIALIZED;
  // The child of a fork has none of our threads: it gets the driver's answer, and stays away from our locks.
  static const int registered = ::pthread_atfork(nullptr, nullptr, [] {
    if (initialised.exchange(false)) forked = true;
  });
  static_cast<void>(registered);
  if (!Simulator::get().arena.is_open()) return CUDA_ERROR_OUT_OF_MEMORY;
  if (Simulator::get().devices.empty()) return CUDA_ERROR_NO_DEVICE;
  initialised.store(true, std::memory_order_release);
  return CUDA_SUCCESS;
}

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
  const CUresult error = out->error();
  // Who is told of an error gets the words of a failed assertion with it.
  if (error != CUDA_SUCCESS) out->output.flush();
  return error;
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
