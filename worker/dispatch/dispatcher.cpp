#include "worker/dispatch/dispatcher.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <time.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>

#include "common/base/log.hpp"
#include "worker/dispatch/rows.hpp"
#include "worker/session.hpp"

namespace vgpu::worker {
namespace {

// How long an idle worker, or one that waits for the GPU, watches before it sleeps. Most waits of short kernels end
// within it.
constexpr uint64_t kWatchNs = 100'000;
constexpr uint64_t kIdleLookNs = 1'000'000'000;
// A wait that has lasted t is looked at every t / 32: at most 3% late, and a long wait costs next to nothing.
constexpr uint64_t kShortestNapNs = 20'000;
constexpr uint64_t kLongestNapNs = 1'000'000;
constexpr unsigned kRecordsPerRound = 64;
constexpr unsigned kFencesBeforeDrain = 3;
// The legacy stream is queried for at most this long; see state_of().
constexpr uint64_t kQueryNs = 2'000'000;

uint64_t now_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

}  // namespace

Dispatcher::Dispatcher(Session& session, const shm::Window& window, Doorbell doorbell, shm::GrantReader grant)
    : session_(session),
      window_(&window),
      doorbell_(std::move(doorbell)),
      grant_(std::move(grant)),
      consumer_(window),
      replies_(window) {}

bool Dispatcher::may_submit() { return grant_.is_open() || grant_.is_stale(shm::monotonic_ms()); }

void Dispatcher::publish_usage() {
  usage_.requested_bytes = session_.allocations().charged();
  usage_.pinned_bytes = session_.allocations().pinned();
  grant_.publish(usage_);
}

void Dispatcher::run() {
  uint64_t quiet_since = 0;  // 0: there was work in the last round
  unsigned rounds = 0;
  consumer_.announce_awake();
  while (session_.end() == End::running) {
    bool worked = false;
    for (unsigned left = kRecordsPerRound; left > 0 && !draining_ && may_submit() && take_record(); --left)
      worked = true;
    worked |= look_at_pendings();
    if (worked) {
      quiet_since = 0;
      continue;
    }
    relax();
    if (++rounds % 16 != 0) continue;  // the clock costs more than a round
    const uint64_t now = now_ns();
    if (quiet_since == 0) quiet_since = now;
    if (now - quiet_since > kWatchNs) {
      sleep(now);
      if (pendings_.empty()) quiet_since = 0;
    }
  }
  const CUresult last = session_.sticky() != CUDA_SUCCESS ? session_.sticky() : CUDA_ERROR_LAUNCH_FAILED;
  for (Pending& pending : pendings_) {
    if (pending.call == nullptr) continue;
    pending.call->finish(last);
    replies_.answer(*pending.call);
  }
  session_.host_steps().stop();
}

uint64_t Dispatcher::oldest_wait(uint64_t now) const {
  uint64_t oldest = 0;
  for (const Pending& pending : pendings_) oldest = std::max(oldest, now - pending.since);
  return oldest;
}

void Dispatcher::sleep(uint64_t now) {
  publish_usage();
  // With records that may not be taken yet, the ring is not what to sleep on.
  const bool held_back = draining_ || !may_submit();
  if (!held_back && !consumer_.announce_sleep()) return;
  const uint64_t nap = held_back           ? kLongestNapNs
                       : pendings_.empty() ? kIdleLookNs
                                           : std::clamp(oldest_wait(now) / 32, kShortestNapNs, kLongestNapNs);
  const timespec timeout{static_cast<time_t>(nap / 1'000'000'000), static_cast<long>(nap % 1'000'000'000)};
  pollfd waits[2] = {{doorbell_.bell.get(), POLLIN, 0},
                     {doorbell_.client.get(), POLLIN, 0}};  // a negative descriptor is ignored
  const int ready = ::ppoll(waits, 2, &timeout, nullptr);
  if (ready > 0 && (waits[0].revents & POLLIN) != 0) {
    eventfd_t rung = 0;
    ::eventfd_read(doorbell_.bell.get(), &rung);
  }
  if (ready > 0 && waits[1].revents != 0) session_.set_end(End::client_gone);
  if (window_->word32(offsetof(vgpu_control, peer_status)).load(std::memory_order_relaxed) == VGPU_PEER_REVOKED)
    session_.set_end(End::client_gone);
  consumer_.announce_awake();
}

// Intake.
// --------------------------------------------------------------------------------------------------------------

std::unique_ptr<Call> Dispatcher::new_call() {
  if (free_calls_.empty()) return std::make_unique<Call>();
  auto call = std::move(free_calls_.back());
  free_calls_.pop_back();
  return call;
}

bool Dispatcher::take_record() {
  ring::Record record;
  switch (consumer_.next(record)) {
    case ring::Next::empty:
      return false;
    case ring::Next::broken:
      session_.violation(consumer_.problem());
      return false;
    case ring::Next::record:
      break;
  }
  const Row* row = find_row(record.header.op);
  const bool posted = (record.header.flags & VGPU_RECORD_POSTED) != 0;
  if (row == nullptr || record.header.slot >= VGPU_SLOT_COUNT || record.header.flags > VGPU_RECORD_POSTED ||
      (posted && !row->posted)) {
    session_.violation("a record with an unknown operation, slot or flag");
    return false;
  }
  ++usage_.records;
  auto call = new_call();
  call->begin(record.header, row);
  execute(std::move(call), record.body);
  return true;
}

void Dispatcher::execute(std::unique_ptr<Call> call, std::span<const uint8_t> body) {
  const Row& row = *call->row();
  const uint64_t context = call->header().context;
  if (row.needs_context || (context != 0 && session_.contexts().find(context) != nullptr)) {
    const CUresult entered = session_.enter(context);
    if (entered != CUDA_SUCCESS && row.needs_context) {
      call->finish(entered);
      return done(std::move(call));
    }
  }
  uint64_t busy_context = 0;
  if (row.blocks == Blocks::context && must_wait_for_context(*call, busy_context))
    return park(std::move(call), body, busy_context);
  wire::Reader in(body);
  in_hand_ = call.get();
  row.run(session_, in, *call);
  in_hand_ = nullptr;
  for (Pending& pending : made_in_handler_) {
    if (pending.what == After::answer && call != nullptr) pending.call = std::move(call);
    pendings_.push_back(std::move(pending));
  }
  made_in_handler_.clear();
  if (call != nullptr) done(std::move(call));
}

void Dispatcher::done(std::unique_ptr<Call> call) {
  session_.observe(call->result());
  if (call->result() != CUDA_SUCCESS && log::enabled(log::Level::debug))
    log::debug("{} gives {}", call->row()->name, static_cast<int>(call->result()));
  replies_.answer(*call);
  free_calls_.push_back(std::move(call));
}

// Calls that the driver would block in.
// --------------------------------------------------------------------------------

bool Dispatcher::must_wait_for_context(const Call& call, uint64_t& busy_context) {
  const bool only_current = call.row()->needs_context;
  const auto busy = [&](uint64_t handle) {
    const ContextState* context = session_.contexts().find(handle);
    return context != nullptr && !context->idle() && context->open_captures == 0;
  };
  if (only_current) {
    busy_context = session_.contexts().current();
    return busy(busy_context);
  }
  session_.contexts().for_each([&](uint64_t handle) {
    if (busy_context == 0 && busy(handle)) busy_context = handle;
  });
  return busy_context != 0;
}

bool Dispatcher::record_fence(ContextState& context, CUevent& event) {
  const auto record = session_.driver().cuCtxRecordEvent;
  event = record == nullptr ? nullptr : session_.contexts().take_event(context);
  if (event == nullptr) return false;
  const CUresult result = record(context.real, event);
  session_.observe(result);
  if (result == CUDA_SUCCESS) return true;
  session_.contexts().give_event(context, event);
  return false;
}

void Dispatcher::park(std::unique_ptr<Call> call, std::span<const uint8_t> body, uint64_t busy_context) {
  session_.contexts().make_current(busy_context);
  ContextState& context = *session_.contexts().find(busy_context);
  Pending pending;
  if (!record_fence(context, pending.event)) {
    // A driver without context events: wait in it, as a program of its own would.
    if (session_.driver().cuCtxSynchronize != nullptr) session_.observe(session_.driver().cuCtxSynchronize());
    context.completed = context.submitted;
    const std::vector<uint8_t> kept(body.begin(), body.end());
    return execute(std::move(call), kept);
  }
  if (call->body().data() != body.data()) call->keep_body(body);
  call->count_try();
  if (call->tries() > kFencesBeforeDrain) draining_ = true;
  pending.what = After::run;
  pending.covers_context = true;
  pending.context = busy_context;
  pending.submitted = context.submitted;
  pending.since = now_ns();
  pending.call = std::move(call);
  pendings_.push_back(std::move(pending));
}

// Marks.
// ---------------------------------------------------------------------------------------------------------------

void Dispatcher::count(uint64_t handle) {
  ContextState& context = session_.context();
  if (context.idle())
    context.only_stream = handle;
  else if (context.only_stream != handle)
    context.only_stream = ContextState::kSeveral;
  ++context.submitted;
  ++usage_.submissions;
  if (Stream* stream = session_.objects().streams.find(handle)) stream->submitted = context.submitted;
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
  ContextState& context = session_.context();
  CUstream real = nullptr;
  if (!session_.objects().find(stream, real)) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  if (context.open_captures != 0) {
    unsigned capturing = CU_STREAM_CAPTURE_STATUS_NONE;
    const CUresult asked = session_.driver().cuStreamIsCapturing(real, &capturing);
    // The real call refuses at once, and does to the capture what it does natively.
    if (asked != CUDA_SUCCESS || capturing != CU_STREAM_CAPTURE_STATUS_NONE)
      return call.finish(session_.driver().cuStreamSynchronize(real));
  }
  if (context.idle()) return call.finish(CUDA_SUCCESS);
  Pending pending = pending_here(stream);
  const bool legacy = stream == 1;
  if (legacy && context.open_captures == 0 && !non_blocking_work(pending.context) &&
      record_fence(context, pending.event)) {
    pending.covers_context = true;  // nothing runs but what the legacy stream waits for
  } else if (legacy) {
    pending.by_query = true;  // an event there would be a barrier for everybody
  } else {
    pending.event = session_.contexts().take_event(context);
    const CUresult result =
        pending.event == nullptr ? CUDA_ERROR_OUT_OF_MEMORY : session_.driver().cuEventRecord(pending.event, real);
    if (result != CUDA_SUCCESS) return call.finish(result);
  }
  call.set_waiting();
  made_in_handler_.push_back(std::move(pending));
}

void Dispatcher::finish_after_copy(Call& call, uint64_t stream) {
  CUstream real = nullptr;
  if (!session_.objects().find(stream, real)) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  Pending pending = pending_here(stream);
  pending.event = session_.contexts().take_event(session_.context());
  const CUresult result =
      pending.event == nullptr ? CUDA_ERROR_OUT_OF_MEMORY : session_.driver().cuEventRecord(pending.event, real);
  if (result != CUDA_SUCCESS) return call.finish(result);
  call.set_waiting();
  made_in_handler_.push_back(std::move(pending));
}

void Dispatcher::finish_after_context(Call& call) {
  ContextState& context = session_.context();
  Pending pending = pending_here(0);
  if (context.open_captures != 0 || context.idle() || !record_fence(context, pending.event)) {
    // At once: refused while a capture is open, or nothing to wait for (or a driver without context events).
    const CUresult result = session_.driver().cuCtxSynchronize();
    if (result == CUDA_SUCCESS) context.completed = context.submitted;
    return call.finish(result);
  }
  pending.covers_context = true;
  call.set_waiting();
  made_in_handler_.push_back(std::move(pending));
}

void Dispatcher::finish_after_event(Call& call, CUevent event) {
  const CUresult now = session_.driver().cuEventQuery(event);
  if (now != CUDA_ERROR_NOT_READY) return call.finish(now);
  Pending pending;
  pending.pooled = false;
  pending.event = event;
  pending.since = now_ns();
  call.set_waiting();
  made_in_handler_.push_back(std::move(pending));
}

CUresult Dispatcher::mark_after_stream(uint64_t stream, uint64_t word, uint32_t value) {
  CUstream real = nullptr;
  if (!session_.objects().find(stream, real)) return CUDA_ERROR_INVALID_HANDLE;
  Pending pending = pending_here(stream);
  pending.what = After::store;
  pending.word = word;
  pending.value = value;
  // Directly behind a copy on the same stream: on the legacy stream that copy is the barrier already.
  pending.event = session_.contexts().take_event(session_.context());
  const CUresult result =
      pending.event == nullptr ? CUDA_ERROR_OUT_OF_MEMORY : session_.driver().cuEventRecord(pending.event, real);
  if (result != CUDA_SUCCESS) return result;
  made_in_handler_.push_back(std::move(pending));
  return CUDA_SUCCESS;
}

void Dispatcher::finish_after_credit(Call& call, uint64_t stream) {
  ContextState& context = session_.context();
  Stream* object = session_.objects().streams.find(stream);
  if (context.open_captures != 0) return call.finish(CUDA_SUCCESS);
  CUevent& credit = object != nullptr ? object->credit_event : context.credit_event;
  const CUevent previous = credit;
  credit = nullptr;
  Pending pending = pending_here(stream);
  CUevent next = nullptr;
  if (object != nullptr) {
    next = session_.contexts().take_event(context);
    if (next != nullptr && session_.driver().cuEventRecord(next, object->real) != CUDA_SUCCESS) next = nullptr;
  } else {
    record_fence(context, next);
  }
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
  if (!pending.by_query) return driver.cuEventQuery(pending.event);
  session_.contexts().make_current(pending.context);
  const CUresult result = driver.cuStreamQuery(CU_STREAM_LEGACY);
  if (result != CUDA_ERROR_NOT_READY || now_ns() - pending.since < kQueryNs) return result;
  // A query covers later work too: somebody may feed the stream for ever. An event ends that, at the price of a
  // barrier.
  ContextState* context = session_.contexts().find(pending.context);
  pending.event = context == nullptr ? nullptr : session_.contexts().take_event(*context);
  if (pending.event == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
  const CUresult recorded = driver.cuEventRecord(pending.event, CU_STREAM_LEGACY);
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
    Pending pending = std::move(pendings_[i]);
    pendings_.erase(pendings_.begin() + static_cast<ptrdiff_t>(i));  // in order: what was asked first is answered first
    worked = true;
    reached(std::move(pending), result);
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
  if (result == CUDA_SUCCESS && pending.what == After::answer) result = settle(pending);
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

CUresult Dispatcher::settle(const Pending& pending) {
  if (!session_.needs_real_waits() || pending.event == nullptr) return CUDA_SUCCESS;
  const CUresult result = session_.driver().cuEventSynchronize(pending.event);
  session_.console().collect();
  return result;
}

void Dispatcher::forget_event(CUevent event) {
  for (size_t i = 0; i < pendings_.size();) {
    if (pendings_[i].pooled || pendings_[i].event != event || pendings_[i].call == nullptr) {
      ++i;
      continue;
    }
    auto call = std::move(pendings_[i].call);
    pendings_.erase(pendings_.begin() + static_cast<ptrdiff_t>(i));
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
    Pending pending = std::move(pendings_[i]);
    pendings_.erase(pendings_.begin() + static_cast<ptrdiff_t>(i));
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
