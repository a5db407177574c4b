// Functions of the program in a stream.
#include "shim/client/capture_state.hpp"
#include "shim/client/host_steps.hpp"
#include "shim/cuda/calls.gen.hpp"

namespace vgpu::shim::calls {
namespace {

/// Captured, a step becomes part of a graph, which may be launched often.
bool is_repeated() { return capture::open_captures.load(std::memory_order_relaxed) != 0; }

}  // namespace

CUresult cuLaunchHostFunc(CUstream hStream, CUhostFn fn, void* userData) {
  if (fn == nullptr) return CUDA_ERROR_INVALID_VALUE;
  return send_host_step(hStream, {.function = fn, .user = userData, .repeats = is_repeated()});
}

CUresult cuStreamAddCallback(CUstream hStream, CUstreamCallback callback, void* userData, unsigned flags) {
  if (callback == nullptr || flags != 0) return CUDA_ERROR_INVALID_VALUE;
  return send_host_step(hStream, {.callback = callback, .stream = hStream, .user = userData, .repeats = is_repeated()});
}

}  // namespace vgpu::shim::calls
