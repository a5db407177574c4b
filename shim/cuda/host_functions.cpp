// Functions of the program in a stream.
#include "shim/client/capture_state.hpp"
#include "shim/client/host_steps.hpp"
#include "shim/client/request.hpp"
#include "shim/cuda/calls.gen.hpp"

namespace vgpu::shim::calls {
namespace {

enum class StepKind : uint32_t { launch_host_function = 0, stream_callback = 1 };

CUresult send(CUstream stream, HostStep step, StepKind kind) {
  Request request(api::Op::host_function, true);
  request.put(stream);
  if (request.refusal() != CUDA_SUCCESS) return request.refusal();
  // Captured, it becomes part of a graph, which may be launched often.
  step.repeats = capture::open_captures.load(std::memory_order_relaxed) != 0;
  const uint64_t id = add_host_step(step);
  if (id == 0) return CUDA_ERROR_OUT_OF_MEMORY;
  request.body().put(id);
  request.body().put(static_cast<uint32_t>(kind));
  const CUresult result = request.post();
  if (result != CUDA_SUCCESS) drop_host_step(id);
  return result;
}

}  // namespace

CUresult cuLaunchHostFunc(CUstream hStream, CUhostFn fn, void* userData) {
  if (fn == nullptr) return CUDA_ERROR_INVALID_VALUE;
  return send(hStream, {.function = fn, .user = userData}, StepKind::launch_host_function);
}

CUresult cuStreamAddCallback(CUstream hStream, CUstreamCallback callback, void* userData, unsigned flags) {
  if (callback == nullptr || flags != 0) return CUDA_ERROR_INVALID_VALUE;
  return send(hStream, {.callback = callback, .stream = hStream, .user = userData}, StepKind::stream_callback);
}

}  // namespace vgpu::shim::calls
