// Events.
#include <algorithm>

#include "worker/sim/api/tasks.hpp"

using namespace vgpu::sim::api;
using vgpu::sim::device::Command;
using vgpu::sim::device::Event;
using vgpu::sim::device::EventParameters;
using vgpu::sim::device::MarkPtr;
using vgpu::sim::device::SharedEvent;

VGPU_SIM_EXPORT(cuEventCreate);
VGPU_SIM_EXPORT(cuEventDestroy);
VGPU_SIM_EXPORT(cuEventDestroy_v2);
VGPU_SIM_EXPORT(cuEventRecord);
VGPU_SIM_EXPORT(cuEventRecordWithFlags);
VGPU_SIM_EXPORT(cuEventQuery);
VGPU_SIM_EXPORT(cuEventSynchronize);
VGPU_SIM_EXPORT(cuEventElapsedTime);
VGPU_SIM_EXPORT(cuEventElapsedTime_v2);
VGPU_SIM_EXPORT(cuStreamWaitEvent);
VGPU_SIM_EXPORT(cuCtxRecordEvent);
VGPU_SIM_EXPORT(cuCtxWaitEvent);

namespace {

using EventPtr = std::shared_ptr<Event>;

template <typename Body>
CUresult with_event(CUevent handle, Body body) {
  return with_context([&](const ContextPtr& context) {
    const EventPtr event = Simulator::get().events.find(handle);
    return event == nullptr ? CUDA_ERROR_INVALID_HANDLE : static_cast<CUresult>(body(context, event));
  });
}

bool is_captured(Event& event) {
  const std::lock_guard lock(event.mutex);
  return event.capture != nullptr;
}

/// True if the last record was captured: the capture is then lost, for such an event says nothing about work.
bool lose_capture(Event& event) {
  const std::lock_guard captures(Simulator::get().capture_mutex);
  const std::lock_guard lock(event.mutex);
  if (event.capture == nullptr) return false;
  event.capture->invalidated = true;
  return true;
}

/// Records into the graph under capture. False if the stream is not captured.
bool record_in_capture(const StreamPtr& stream, Event& event) {
  const std::lock_guard captures(Simulator::get().capture_mutex);
  if (stream->capture == nullptr) return false;
  const std::lock_guard lock(event.mutex);
  event.recorded = false;
  event.marks.clear();
  event.capture = stream->capture;
  event.capture_ends = stream->capture_ends;
  return true;
}

/// A record that other processes see.
void record_shared(const StreamPtr& stream, const Event& event) {
  Command command;
  command.counted = false;
  command.work = [shared = event.shared, number = event.shared->record()](Context&) { shared->complete(number); };
  stream->submit(std::move(command), {});
}

/// Lets the stream wait for what is recorded now, whoever did that.
void wait_shared(const StreamPtr& stream, const Event& event) {
  Command command;
  command.counted = false;
  command.work = [shared = event.shared, number = event.shared->last_record()](Context&) { shared->wait(number); };
  stream->submit(std::move(command), {});
}

CUresult record(const StreamPtr& stream, Event& event) {
  if (stream->context()->id() != event.context->id()) return CUDA_ERROR_INVALID_HANDLE;
  if (record_in_capture(stream, event)) return CUDA_SUCCESS;
  if (stream->kind() == Stream::Kind::legacy) {
    if (const CUresult result = check_legacy(*stream->context()); result != CUDA_SUCCESS) return result;
  }
  if (event.shared != nullptr) {
    record_shared(stream, event);
    return CUDA_SUCCESS;
  }
  Command command;
  command.counted = false;
  event.set_marks({command.done});
  stream->submit(std::move(command), {});
  return CUDA_SUCCESS;
}

/// Lets the stream wait inside a capture: joins it to the event's. Simulator::capture_mutex is held.
CUresult wait_in_capture(const StreamPtr& stream, Event& event) {
  const std::lock_guard lock(event.mutex);
  if (event.capture == nullptr) {
    // Work before the capture cannot be waited for inside of it.
    if (event.recorded) stream->capture->invalidated = true;
    return event.recorded ? CUDA_ERROR_STREAM_CAPTURE_ISOLATION : CUDA_SUCCESS;
  }
  if (stream->capture == nullptr) {
    if (stream->kind() == Stream::Kind::legacy) {
      event.capture->invalidated = true;
      return CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
    }
    stream->capture = event.capture;
    stream->capture->members.push_back(stream);
  } else if (stream->capture != event.capture) {
    stream->capture->invalidated = event.capture->invalidated = true;
    return CUDA_ERROR_STREAM_CAPTURE_MERGE;
  }
  for (const auto& end : event.capture_ends) {
    if (std::find(stream->capture_ends.begin(), stream->capture_ends.end(), end) == stream->capture_ends.end())
      stream->capture_ends.push_back(end);
  }
  return CUDA_SUCCESS;
}

bool are_done(const std::vector<MarkPtr>& marks) {
  return std::all_of(marks.begin(), marks.end(), [](const MarkPtr& mark) { return mark->done.load(); });
}

std::uint64_t time_of(const std::vector<MarkPtr>& marks) {
  std::uint64_t latest = 0;
  for (const MarkPtr& mark : marks) latest = std::max(latest, mark->time_ns);
  return latest;
}

}  // namespace

CUresult cuEventCreate(CUevent* out, unsigned flags) {
  return with_context([&](const ContextPtr& context) {
    constexpr unsigned known = CU_EVENT_BLOCKING_SYNC | CU_EVENT_DISABLE_TIMING | CU_EVENT_INTERPROCESS;
    if (out == nullptr || (flags & ~known) != 0) return CUDA_ERROR_INVALID_VALUE;
    const bool interprocess = (flags & CU_EVENT_INTERPROCESS) != 0;
    if (interprocess && (flags & CU_EVENT_DISABLE_TIMING) == 0) return CUDA_ERROR_INVALID_VALUE;
    Simulator& sim = Simulator::get();
    const std::shared_lock gate(sim.gate);
    const std::lock_guard allocations(sim.allocation_gate);
    auto event = std::make_shared<Event>();
    event->handle = vgpu::sim::device::next_handle();
    event->context = context;
    event->flags = flags;
    if (interprocess && (event->shared = SharedEvent::make()) == nullptr) return CUDA_ERROR_OPERATING_SYSTEM;
    sim.events.add(event->handle, event);
    *out = as_handle<CUevent>(event->handle);
    return CUDA_SUCCESS;
  });
}

CUresult cuEventDestroy_v2(CUevent handle) {
  return with_context([&](const ContextPtr&) {
    return Simulator::get().events.take(handle) != nullptr ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
  });
}
CUresult cuEventDestroy(CUevent handle) { return cuEventDestroy_v2(handle); }

CUresult cuEventRecordWithFlags(CUevent handle, CUstream stream_handle, unsigned flags) {
  return with_event(handle, [&](const ContextPtr& context, const EventPtr& event) {
    if ((flags & ~CU_EVENT_RECORD_EXTERNAL) != 0) return CUDA_ERROR_INVALID_VALUE;
    StreamPtr stream;
    if (const CUresult result = find_stream(context, stream_handle, stream); result != CUDA_SUCCESS) return result;
    if (flags == CU_EVENT_RECORD_EXTERNAL) {
      if (!is_capturing(*stream)) return CUDA_ERROR_ILLEGAL_STATE;
      return enqueue(stream, {.task = {NodeType::record_event, {}, EventParameters{event}}});
    }
    return record(stream, *event);
  });
}
CUresult cuEventRecord(CUevent handle, CUstream stream) {
  return cuEventRecordWithFlags(handle, stream, CU_EVENT_RECORD_DEFAULT);
}

CUresult cuEventQuery(CUevent handle) {
  return with_event(handle, [&](const ContextPtr& context, const EventPtr& event) {
    if (lose_capture(*event)) return CUDA_ERROR_CAPTURED_EVENT;
    if (const CUresult result = check_unsafe(*context); result != CUDA_SUCCESS) return result;
    const bool done = event->shared != nullptr ? event->shared->is_complete(event->shared->last_record())
                                               : are_done(event->current_marks());
    if (done) event->context->output.flush();
    if (event->context->error() != CUDA_SUCCESS) return event->context->error();
    return done ? CUDA_SUCCESS : CUDA_ERROR_NOT_READY;
  });
}

CUresult cuEventSynchronize(CUevent handle) {
  return with_event(handle, [&](const ContextPtr& context, const EventPtr& event) {
    if (lose_capture(*event)) return CUDA_ERROR_CAPTURED_EVENT;
    if (const CUresult result = check_unsafe(*context); result != CUDA_SUCCESS) return result;
    if (event->shared != nullptr)
      event->shared->wait(event->shared->last_record());
    else
      event->context->wait(event->current_marks());
    event->context->output.flush();
    return event->context->error();
  });
}

CUresult cuEventElapsedTime_v2(float* out, CUevent start_handle, CUevent end_handle) {
  return with_event(start_handle, [&](const ContextPtr&, const EventPtr& start) {
    const EventPtr end = Simulator::get().events.find(end_handle);
    if (end == nullptr || out == nullptr) return CUDA_ERROR_INVALID_HANDLE;
    if (start->context->device() != end->context->device()) return CUDA_ERROR_INVALID_HANDLE;
    if (((start->flags | end->flags) & CU_EVENT_DISABLE_TIMING) != 0) return CUDA_ERROR_INVALID_HANDLE;
    const auto from = start->current_marks(), to = end->current_marks();
    if (from.empty() || to.empty()) return CUDA_ERROR_INVALID_HANDLE;
    if (!are_done(from) || !are_done(to)) return CUDA_ERROR_NOT_READY;
    *out = static_cast<float>((static_cast<double>(time_of(to)) - static_cast<double>(time_of(from))) / 1e6);
    return CUDA_SUCCESS;
  });
}
CUresult cuEventElapsedTime(float* out, CUevent start, CUevent end) { return cuEventElapsedTime_v2(out, start, end); }

CUresult cuStreamWaitEvent(CUstream stream_handle, CUevent handle, unsigned flags) {
  return with_event(handle, [&](const ContextPtr& context, const EventPtr& event) {
    if ((flags & ~CU_EVENT_WAIT_EXTERNAL) != 0) return CUDA_ERROR_INVALID_VALUE;
    StreamPtr stream;
    if (const CUresult result = find_stream(context, stream_handle, stream); result != CUDA_SUCCESS) return result;
    if (flags == CU_EVENT_WAIT_EXTERNAL && is_capturing(*stream))
      return enqueue(stream, {.task = {NodeType::wait_event, {}, EventParameters{event}}});
    {
      const std::lock_guard captures(Simulator::get().capture_mutex);
      if (stream->capture != nullptr || is_captured(*event)) return wait_in_capture(stream, *event);
    }
    if (stream->kind() == Stream::Kind::legacy) {
      if (const CUresult result = check_legacy(*context); result != CUDA_SUCCESS) return result;
    }
    if (event->shared != nullptr) {
      wait_shared(stream, *event);
      return CUDA_SUCCESS;
    }
    Command command;
    command.counted = false;
    command.after = event->current_marks();
    stream->submit(std::move(command), {});
    return CUDA_SUCCESS;
  });
}

CUresult cuCtxRecordEvent(CUcontext handle, CUevent event_handle) {
  return with_event(event_handle, [&](const ContextPtr&, const EventPtr& event) {
    const ContextPtr context = handle == nullptr ? nullptr : find_context(handle);
    if (context == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
    if (context->id() != event->context->id()) return CUDA_ERROR_INVALID_HANDLE;
    if (const CUresult result = check_conflicting(*context); result != CUDA_SUCCESS) return result;
    const std::shared_lock gate(Simulator::get().gate);
    std::vector<MarkPtr> marks = context->all_marks();
    if (marks.empty()) marks = context->legacy()->marks();
    event->set_marks(std::move(marks));
    return CUDA_SUCCESS;
  });
}

CUresult cuCtxWaitEvent(CUcontext handle, CUevent event_handle) {
  return with_event(event_handle, [&](const ContextPtr&, const EventPtr& event) {
    const ContextPtr context = handle == nullptr ? nullptr : find_context(handle);
    if (context == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
    if (const CUresult result = check_conflicting(*context); result != CUDA_SUCCESS) return result;
    for (const StreamPtr& stream : context->all_streams()) {
      Command command;
      command.counted = false;
      command.after = event->current_marks();
      stream->submit(std::move(command), {});
    }
    return CUDA_SUCCESS;
  });
}
