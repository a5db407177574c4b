// The dispatcher's marks: what is answered, stored or run once the GPU has got to a place.
#include <algorithm>
#include <cstddef>

#include "worker/dispatch/clock.hpp"
#include "worker/dispatch/dispatcher.hpp"
#include "worker/session.hpp"

namespace vgpu::worker {
namespace {

// The legacy stream is queried for at most this long; see state_of().
constexpr uint64_t kQueryNs = 2'000'000;

}  // namespace

void Dispatcher::count(uint64_t handle) {
  const Stream* stream = session_.objects().streams.find(handle);
  count_in(stream != nullptr ? stream->context : session_.context_handle(), handle);
}

void Dispatcher::count_in(uint64_t where, uint64_t handle) {
  ContextState* found = session_.contexts().find(where);
  if (found == nullptr) return;
  ContextState& context = *found;
  if (context.idle())
    context.only_stream = handle;
  else if (context.only_stream != handle)
    context.only_stream = ContextState::kSeveral;
  ++context.submitted;
  if (context.open_captures != 0) [[unlikely]]
    note_captured(context, handle);
  ++usage_.submissions;
  if (Stream* stream = session_.objects().streams.find(handle)) stream->submitted = context.submitted;
}

void Dispatcher::note_captured(ContextState& context, uint64_t handle) {
  const Stream* stream = session_.objects().streams.find(handle);  // the legacy stream is never captured
  unsigned status = CU_STREAM_CAPTURE_STATUS_NONE;
  if (stream == nullptr || session_.driver().cuStreamIsCapturing(stream->real, &status) != CUDA_SUCCESS) return;
  if (status == CU_STREAM_CAPTURE_STATUS_ACTIVE) ++context.captured;
}

/// An event of the context's pool, recorded in `stream`.
CUresult Dispatcher::record_mark(ContextState& context, CUstream stream, CUevent& event) {
  CUresult result = session_.contexts().take_event(context, event);
  if (result != CUDA_SUCCESS) return result;
  result = session_.driver().cuEventRecord(event, stream);
  if (result != CUDA_SUCCESS) {
    session_.contexts().give_event(context, event);
    event = nullptr;
  }
  return result;
}

CUresult Dispatcher::enter_context_of(uint64_t stream) {
  const Stream* known = session_.objects().streams.find(stream);
  if (known == nullptr || known->context == session_.context_handle()) return CUDA_SUCCESS;
  return session_.enter(known->context);
}

Dispatcher::Pending Dispatcher::pending_here(uint64_t stream) {
  Pending pending;
  pending.context = session_.context_handle();
  pending.stream = stream;
  pending.submitted = session_.context().submitted;
  pending.since = now_ns();
  return pending;
}

void Dispatcher::finish_after_stream(Call& call, uint64_t stream) {
  CUstream real = nullptr;
  if (!session_.objects().find(stream, real)) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  if (const CUresult entered = enter_context_of(stream); entered != CUDA_SUCCESS) return call.finish(entered);
  ContextState& context = session_.context();
  if (context.open_captures != 0) {
    unsigned capturing = CU_STREAM_CAPTURE_STATUS_NONE;
    const CUresult asked = session_.driver().cuStreamIsCapturing(real, &capturing);
    // The real call refuses at once, and does to the capture what it does natively.
    if (asked != CUDA_SUCCESS || capturing != CU_STREAM_CAPTURE_STATUS_NONE)
      return call.finish(session_.driver().cuStreamSynchronize(real));
  }
  if (context.idle()) return call.finish(settle_idle(context, real));
  Pending pending = pending_here(stream);
  const bool legacy = stream == 1;
  if (legacy && context.open_captures == 0 && !non_blocking_work(pending.context) &&
      record_fence(context, pending.event)) {
    pending.covers_context = true;  // nothing runs but what the legacy stream waits for
  } else if (legacy) {
    pending.by_query = true;  // an event there would be a barrier for everybody
  } else if (const CUresult result = record_mark(context, real, pending.event); result != CUDA_SUCCESS) {
    return call.finish(result);
  }
  call.set_waiting();
  made_in_handler_.push_back(std::move(pending));
}

void Dispatcher::finish_after_copy(Call& call, uint64_t stream) {
  CUstream real = nullptr;
  if (!session_.objects().find(stream, real)) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  if (const CUresult entered = enter_context_of(stream); entered != CUDA_SUCCESS) return call.finish(entered);
  Pending pending = pending_here(stream);
  if (const CUresult result = record_mark(session_.context(), real, pending.event); result != CUDA_SUCCESS)
    return call.finish(result);
  call.set_waiting();
  made_in_handler_.push_back(std::move(pending));
}

void Dispatcher::finish_after_context(Call& call) {
  ContextState& context = session_.context();
  Pending pending = pending_here(0);
  // The driver's own call would wait in the driver for what green contexts do.
  const bool idle = context.idle() && !session_.contexts().are_sharing();
  if (context.open_captures != 0 || idle || !record_fence(context, pending.event)) {
    // At once: refused while a capture is open, or nothing to wait for (or a driver without context events).
    const CUresult result = session_.driver().cuCtxSynchronize();
    if (result == CUDA_SUCCESS) context.completed = context.submitted;
    if (session_.needs_real_waits()) session_.console().collect();
    return call.finish(result);
  }
  pending.covers_context = true;
  call.set_waiting();
  made_in_handler_.push_back(std::move(pending));
}

void Dispatcher::finish_after_event(Call& call, const Event& event) {
  const CUresult now = session_.driver().cuEventQuery(event.real);
  if (now == CUDA_SUCCESS) return call.finish(settle(event.real));
  if (now != CUDA_ERROR_NOT_READY) return call.finish(now);
  Pending pending;
  pending.pooled = false;
  pending.event = event.real;
  pending.context = event.context;  // goes with it
  pending.since = now_ns();
  call.set_waiting();
  made_in_handler_.push_back(std::move(pending));
}

CUresult Dispatcher::mark_after_stream(uint64_t stream, uint64_t word, uint32_t value) {
  CUstream real = nullptr;
  if (!session_.objects().find(stream, real)) return CUDA_ERROR_INVALID_HANDLE;
  if (const CUresult entered = enter_context_of(stream); entered != CUDA_SUCCESS) return entered;
  Pending pending = pending_here(stream);
  pending.what = After::store;
  pending.word = word;
  pending.value = value;
  // Directly behind a copy on the same stream: on the legacy stream that copy is the barrier already.
  if (const CUresult result = record_mark(session_.context(), real, pending.event); result != CUDA_SUCCESS)
    return result;
  made_in_handler_.push_back(std::move(pending));
  return CUDA_SUCCESS;
}

void Dispatcher::finish_after_credit(Call& call, uint64_t stream) {
  if (const CUresult entered = enter_context_of(stream); entered != CUDA_SUCCESS) return call.finish(entered);
  ContextState& context = session_.context();
  Stream* object = session_.objects().streams.find(stream);
  if (context.open_captures != 0) return call.finish(CUDA_SUCCESS);
  CUevent& credit = object != nullptr ? object->credit_event : context.credit_event;
  const CUevent previous = credit;
  credit = nullptr;
  Pending pending = pending_here(stream);
  CUevent next = nullptr;
  if (object != nullptr)
    record_mark(context, object->real, next);
  else
    record_fence(context, next);
  credit = next;
  if (previous == nullptr) return call.finish(CUDA_SUCCESS);
  pending.event = previous;
  pending.submitted = 0;  // says nothing about what came after
  call.set_waiting();
  made_in_handler_.push_back(std::move(pending));
}

bool Dispatcher::non_blocking_work(uint64_t context) {
  const ContextState* state = session_.contexts().find(context);
  bool found = false;
  session_.objects().streams.for_each([&](uint64_t, const Stream& stream) {
    if (stream.context == context && stream.is_non_blocking() && stream.submitted > state->completed) found = true;
  });
  return found;
}

CUresult Dispatcher::state_of(Pending& pending) {
  const DriverTable& driver = session_.driver();
  if (!pending.by_query && pending.event == nullptr) return CUDA_SUCCESS;
  // Where the last record ended its own context, there is none, and a query would be told so instead.
  if (session_.contexts().current() == 0) session_.contexts().make_current(pending.context);
  if (!pending.by_query) return driver.cuEventQuery(pending.event);
  session_.contexts().make_current(pending.context);
  const CUresult result = driver.cuStreamQuery(CU_STREAM_LEGACY);
  if (result != CUDA_ERROR_NOT_READY || now_ns() - pending.since < kQueryNs) return result;
  // A query covers later work too: somebody may feed the stream for ever. An event ends that, at the price of a
  // barrier.
  ContextState* context = session_.contexts().find(pending.context);
  if (context == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
  const CUresult recorded = record_mark(*context, CU_STREAM_LEGACY, pending.event);
  if (recorded != CUDA_SUCCESS) return recorded;
  pending.by_query = false;
  return CUDA_ERROR_NOT_READY;
}

bool Dispatcher::look_at_pendings() {
  bool worked = false;
  for (size_t i = 0; i < pendings_.size() && session_.end() == End::running;) {
    const CUresult result = state_of(pendings_[i]);
    if (result == CUDA_ERROR_NOT_READY) {
      ++i;
      continue;
    }
    worked = true;
    reached(pendings_.take(i), result);  // in order: what was asked first is answered first
  }
  return worked;
}

void Dispatcher::note_complete(const Pending& pending) {
  ContextState* context = session_.contexts().find(pending.context);
  if (context == nullptr || pending.submitted <= context->completed) return;
  // A mark in the only stream in use covers everything before it; one in the legacy stream, all but the non-blocking
  // streams.
  const bool whole = pending.covers_context || context->only_stream == pending.stream ||
                     (pending.stream == 1 && !non_blocking_work(pending.context));
  if (whole) context->completed = pending.submitted;
  publish_progress();
}

void Dispatcher::publish_progress() {
  bool idle = true;
  session_.contexts().for_each([&](uint64_t handle) { idle = idle && session_.contexts().find(handle)->idle(); });
  if (idle) window_->word64(offsetof(vgpu_control, completed)).store(consumer_.position(), std::memory_order_release);
}

void Dispatcher::reached(Pending pending, CUresult result) {
  if (result == CUDA_SUCCESS) note_complete(pending);
  if (result == CUDA_SUCCESS && pending.what == After::answer) result = settle(pending.event);
  session_.observe(result);
  ContextState* context = session_.contexts().find(pending.context);
  if (pending.pooled && pending.event != nullptr && context != nullptr)
    session_.contexts().give_event(*context, pending.event);
  switch (pending.what) {
    case After::answer:
      pending.call->finish(result);
      return done(std::move(pending.call));
    case After::store:
      window_->word32(pending.word).store(pending.value, std::memory_order_release);
      return wake(*window_, pending.word);
    case After::run:
      draining_ = false;
      if (result != CUDA_SUCCESS) {
        pending.call->finish(result);
        return done(std::move(pending.call));
      }
      // The body lives in the call, which execute() may park again.
      const std::span<const uint8_t> body = pending.call->body();
      return execute(std::move(pending.call), body);
  }
}

CUresult Dispatcher::settle(CUevent event) {
  if (!session_.needs_real_waits()) return CUDA_SUCCESS;
  const CUresult result = event == nullptr ? CUDA_SUCCESS : session_.driver().cuEventSynchronize(event);
  session_.console().collect();
  return result;
}

CUresult Dispatcher::settle_idle(const ContextState& context, CUstream stream) {
  if (!session_.needs_real_waits() || context.open_captures != 0) return CUDA_SUCCESS;
  const CUresult result = session_.driver().cuStreamSynchronize(stream);
  session_.console().collect();
  return result;
}

void Dispatcher::forget_event(CUevent event) {
  for (size_t i = 0; i < pendings_.size();) {
    if (pendings_[i].pooled || pendings_[i].event != event || pendings_[i].call == nullptr) {
      ++i;
      continue;
    }
    auto call = pendings_.take(i).call;
    call->finish(CUDA_ERROR_INVALID_HANDLE);
    done(std::move(call));
  }
}

void Dispatcher::forget_context(uint64_t context) {
  for (size_t i = 0; i < pendings_.size();) {
    if (pendings_[i].context != context) {
      ++i;
      continue;
    }
    if (pendings_[i].what == After::run && pendings_[i].call->header().context != context) {
      // It is another context's call, which waited for the work of this one: nothing to wait for any more.
      pendings_[i].context = 0;
      pendings_[i].event = nullptr;
      ++i;
      continue;
    }
    Pending pending = pendings_.take(i);
    if (pending.what == After::run) draining_ = false;
    if (pending.call != nullptr) {
      pending.call->finish(CUDA_ERROR_CONTEXT_IS_DESTROYED);
      done(std::move(pending.call));
    } else {
      window_->word32(pending.word).store(pending.value, std::memory_order_release);
      wake(*window_, pending.word);
    }
  }
}

}  // namespace vgpu::worker
