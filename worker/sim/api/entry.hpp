// What every exported function begins with: is the driver initialised, which context is current, is the call allowed
// here.
#pragma once

#include <memory>
#include <new>
#include <system_error>
#include <unordered_map>
#include <vector>

#include "common/api/prototypes.gen.hpp"
#include "worker/sim/device/simulator.hpp"

// Declares an exported function with the type that the call table gives it; a definition of another type does not
// compile.
#define VGPU_SIM_EXPORT(name) extern "C" __attribute__((visibility("default"))) vgpu::cuda::proto::name name

namespace vgpu::sim::api {

using namespace vgpu::cuda;
using device::Context;
using device::Simulator;
using device::Stream;

using ContextPtr = std::shared_ptr<Context>;
using StreamPtr = std::shared_ptr<Stream>;

/// What belongs to the calling thread.
struct ThreadState {
  ThreadState() = default;
  ThreadState(const ThreadState&) = delete;
  ThreadState& operator=(const ThreadState&) = delete;
  ~ThreadState();                       ///< its own streams go with the thread; what they have to do still runs
  std::vector<std::uint64_t> contexts;  ///< the stack; the last one is current
  unsigned capture_mode = CU_STREAM_CAPTURE_MODE_GLOBAL;
  bool in_host_function = false;                                     ///< such functions must not call the driver
  std::unordered_map<std::uint64_t, std::weak_ptr<Stream>> streams;  ///< the per-thread default stream, by context id
};
ThreadState& thread_state();

bool is_initialised();
/// cuInit: once for all, and never again in the child of a fork of an initialised process.
CUresult initialise();

/// CUDA_SUCCESS if the calling thread may call the driver at all.
CUresult check_callable();
/// The current context, alive and without sticky error; else the error to return.
CUresult current_context(ContextPtr& out);
/// True if the calling thread may call the driver and has no context.
bool lacks_context();
/// Any live context by its handle.
ContextPtr find_context(CUcontext handle);

/// Runs `body`, turning what the C++ library throws into an error: nothing may leave an exported function.
template <typename Body>
CUresult guarded(Body body) {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return CUDA_ERROR_OUT_OF_MEMORY;
  } catch (const std::system_error&) {
    return CUDA_ERROR_OPERATING_SYSTEM;
  }
}

/// For functions that need no context.
template <typename Body>
CUresult without_context(Body body) {
  if (const CUresult result = check_callable(); result != CUDA_SUCCESS) return result;
  return guarded(body);
}

/// For functions that need one.
template <typename Body>
CUresult with_context(Body body) {
  return guarded([&] {
    ContextPtr context;
    if (const CUresult result = current_context(context); result != CUDA_SUCCESS) return result;
    return static_cast<CUresult>(body(context));
  });
}

template <typename Handle>
Handle as_handle(std::uint64_t number) {
  return reinterpret_cast<Handle>(number);
}

/// The stream behind a handle: legacy for 0 and 1, the thread's own for 2.
CUresult find_stream(const ContextPtr& context, CUstream handle, StreamPtr& out);

}  // namespace vgpu::sim::api
