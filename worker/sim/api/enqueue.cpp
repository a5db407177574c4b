#include "worker/sim/api/enqueue.hpp"

#include <algorithm>
#include <thread>

namespace vgpu::sim::api {

using device::Capture;
using device::Command;

namespace {

/// Adds a node to the capture that `stream` takes part in. Simulator::capture_mutex is held.
CUresult capture(Stream& stream, Submission& submission) {
  if (stream.capture->invalidated) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
  const auto node =
      stream.capture->graph->add(std::make_shared<const Task>(std::move(submission.task)), stream.capture_ends);
  stream.capture_ends.assign(1, node);
  return CUDA_SUCCESS;
}

/// Invalidates the captures of a context for which `concerns` holds. True if there was one.
template <typename Concerns>
bool invalidate(const Context& context, Concerns concerns) {
  Simulator& sim = Simulator::get();
  const std::lock_guard lock(sim.capture_mutex);
  bool found = false;
  for (const auto& open : sim.captures) {
    if (open->context_id != context.id() || !concerns(*open)) continue;
    open->invalidated = true;
    found = true;
  }
  return found;
}

}  // namespace

CUresult enqueue(const StreamPtr& stream, Submission submission) {
  Context& context = *stream->context();
  if (context.error() != CUDA_SUCCESS) return context.error();
  {
    const std::lock_guard lock(Simulator::get().capture_mutex);
    if (stream->capture != nullptr) return capture(*stream, submission);
  }
  if (stream->kind() == Stream::Kind::legacy) {
    if (const CUresult result = check_legacy(context); result != CUDA_SUCCESS) return result;
  }
  Command command;
  command.work = std::move(submission.task.work);
  command.inner = std::move(submission.inner);
  command.counted = submission.counted;
  command.runs_after_error = submission.runs_after_error;
  command.staging = submission.staging;
  stream->submit(std::move(command), {submission.through_gate, submission.wait});
  return submission.wait ? context.error() : CUDA_SUCCESS;
}

bool is_capturing(const Stream& stream) {
  const std::lock_guard lock(Simulator::get().capture_mutex);
  return stream.capture != nullptr;
}

CUresult run_on_legacy(const ContextPtr& context, Work work, bool wait) {
  if (!wait) return enqueue(context->legacy(), {.task = {.work = std::move(work)}});
  if (const CUresult result = check_legacy(*context); result != CUDA_SUCCESS) return result;
  Command command;
  command.work = std::move(work);
  const std::vector<device::MarkPtr> done{command.done};
  {
    const std::unique_lock gate(Simulator::get().gate);
    context->legacy()->submit(std::move(command), {.through_gate = false});
    context->wait(done);
  }
  context->output.flush();
  return context->error();
}

CUresult check_unsafe(const Context& context) {
  const unsigned mode = thread_state().capture_mode;
  if (mode == CU_STREAM_CAPTURE_MODE_RELAXED) return CUDA_SUCCESS;
  const std::thread::id self = std::this_thread::get_id();
  const bool refused = invalidate(context, [&](const Capture& open) {
    const bool own = open.owner == self && open.mode != CU_STREAM_CAPTURE_MODE_RELAXED;
    return own || (mode == CU_STREAM_CAPTURE_MODE_GLOBAL && open.mode == CU_STREAM_CAPTURE_MODE_GLOBAL);
  });
  return refused ? CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED : CUDA_SUCCESS;
}

CUresult check_conflicting(const Context& context) {
  return invalidate(context, [](const Capture&) { return true; }) ? CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED
                                                                  : CUDA_SUCCESS;
}

CUresult check_legacy(const Context& context) {
  const bool refused = invalidate(context, [](const Capture& open) { return open.is_on_blocking_stream(); });
  return refused ? CUDA_ERROR_STREAM_CAPTURE_IMPLICIT : CUDA_SUCCESS;
}

CUresult check_stream_wait(const StreamPtr& stream) {
  {
    const std::lock_guard lock(Simulator::get().capture_mutex);
    if (stream->capture != nullptr) {
      stream->capture->invalidated = true;
      return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    }
  }
  if (stream->kind() == Stream::Kind::legacy) {
    if (const CUresult result = check_legacy(*stream->context()); result != CUDA_SUCCESS) return result;
  }
  return check_unsafe(*stream->context());
}

CUresult wait_exclusively(const ContextPtr& context) {
  {
    const std::unique_lock gate(Simulator::get().gate);
    context->wait_idle();
  }
  context->output.flush();
  return context->error();
}

}  // namespace vgpu::sim::api
