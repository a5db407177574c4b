#include "worker/dispatch/dispatcher.hpp"

#include <poll.h>
#include <sys/uio.h>
#include <time.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <exception>
#include <new>

#include "common/api/ops.gen.hpp"
#include "common/base/log.hpp"
#include "worker/dispatch/clock.hpp"
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
// A guest that always has records keeps the worker awake, which must see all the same that the client has ended: after
// so many rounds with work, which takes some milliseconds, it looks.
constexpr unsigned kBusyRoundsPerLook = 4096;

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

/// While a capture holds more nodes than a graph may have, its context does nothing but end it.
bool is_refused(const ContextState& context, const Call& call) {
  return context.captured > kMostNodesOfGraph && call.header().op != static_cast<uint16_t>(api::Op::stream_end_capture);
}

}  // namespace

bool silence(int bell) {
  uint64_t rung = 0;
  const iovec to{&rung, sizeof rung};
  ssize_t got = ::preadv2(bell, &to, 1, -1, RWF_NOWAIT);
  if (got < 0 && errno == EOPNOTSUPP) got = ::read(bell, &rung, sizeof rung);  // kernels before 5.8
  return got >= 0 || errno == EAGAIN;
}

Dispatcher::Dispatcher(Session& session, const shm::Window& window, Doorbell doorbell, shm::GrantReader grant)
    : session_(session),
      window_(&window),
      doorbell_(std::move(doorbell)),
      grant_(std::move(grant)),
      consumer_(window),
      replies_(window) {}

bool Dispatcher::may_submit() { return grant_.is_open() || grant_.is_stale(shm::monotonic_ms()); }

void Dispatcher::publish_usage() {
  usage_.requested_bytes = session_.allocations().charged() + session_.virtual_memory().charged();
  usage_.pinned_bytes = session_.allocations().pinned();
  grant_.publish(usage_);
}

bool Dispatcher::may_take() { return !draining_ && pendings_.size() < kMostPendings && may_submit(); }

void Dispatcher::run() {
  try {
    serve();
  } catch (const std::exception& error) {
    session_.tell(fmt::format("the worker cannot go on: {}", error.what()), CUDA_SUCCESS);
    session_.set_end(End::internal);
  }
  answer_the_waiting();
  session_.host_steps().stop();
}

void Dispatcher::serve() {
  uint64_t quiet_since = 0;  // 0: there was work in the last round
  unsigned rounds = 0;
  unsigned busy_rounds = 0;
  consumer_.announce_awake();
  while (session_.end() == End::running) {
    bool worked = false;
    for (unsigned left = kRecordsPerRound; left > 0 && may_take() && take_record(); --left) worked = true;
    worked |= look_at_pendings();
    if (worked) {
      quiet_since = 0;
      grant_.publish_records(usage_.records);  // once for all records of the round
      if (++busy_rounds % kBusyRoundsPerLook != 0) continue;
      publish_usage();
      if (is_client_gone({})) session_.set_end(End::client_gone);
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
}

void Dispatcher::answer_the_waiting() {
  const CUresult last = session_.sticky() != CUDA_SUCCESS ? session_.sticky() : CUDA_ERROR_LAUNCH_FAILED;
  for (Pending& pending : pendings_) {
    if (pending.call == nullptr) continue;
    pending.call->finish(last);
    replies_.answer(*pending.call);
  }
}

uint64_t Dispatcher::oldest_wait(uint64_t now) const {
  uint64_t oldest = 0;
  for (const Pending& pending : pendings_) oldest = std::max(oldest, now - pending.since);
  return oldest;
}

void Dispatcher::sleep(uint64_t now) {
  publish_usage();
  // With records that may not be taken yet, the ring is not what to sleep on.
  const bool held_back = !may_take();
  if (!held_back && !consumer_.announce_sleep()) return;
  const uint64_t nap = held_back           ? kLongestNapNs
                       : pendings_.empty() ? kIdleLookNs
                                           : std::clamp(oldest_wait(now) / 32, kShortestNapNs, kLongestNapNs);
  const timespec timeout{static_cast<time_t>(nap / 1'000'000'000), static_cast<long>(nap % 1'000'000'000)};
  if (is_client_gone(timeout)) session_.set_end(End::client_gone);
  consumer_.announce_awake();
}

/// Waits for the doorbell or the client's end.
bool Dispatcher::is_client_gone(const timespec& timeout) {
  pollfd waits[2] = {{doorbell_.bell.get(), POLLIN, 0},
                     {doorbell_.client.get(), POLLIN, 0}};  // a negative descriptor is ignored
  const int ready = ::ppoll(waits, 2, &timeout, nullptr);
  if (ready > 0 && (waits[0].revents & POLLIN) != 0) silence(doorbell_.bell.get());
  const auto status = window_->word32(offsetof(vgpu_control, peer_status));
  return (ready > 0 && waits[1].revents != 0) || status.load(std::memory_order_relaxed) == VGPU_PEER_REVOKED;
}

// Intake.

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
  if (!posted && std::exchange(waiting_[record.header.slot], true)) {
    session_.violation("a second call of a thread that waits for its answer");
    return false;
  }
  auto call = new_call();
  call->begin(record.header, row, ++taken_);
  if (trace_.is_on()) [[unlikely]]
    trace_.took(*call);
  execute(std::move(call), record.body);
  return true;
}

void Dispatcher::execute(std::unique_ptr<Call> call, std::span<const uint8_t> body) {
  const Row& row = *call->row();
  const uint64_t context = call->header().context;
  if (row.needs_context) {
    CUresult entered = session_.enter(context);
    if (entered == CUDA_SUCCESS && is_refused(session_.context(), *call)) entered = CUDA_ERROR_OUT_OF_MEMORY;
    if (entered != CUDA_SUCCESS) {
      call->finish(entered);
      return done(std::move(call));
    }
  } else if (context != 0 && session_.contexts().find(context) != nullptr) {
    session_.enter(context);
  }
  uint64_t busy_context = 0;
  if (row.blocks == Blocks::context && must_wait_for_context(*call, busy_context))
    return park(std::move(call), body, busy_context);
  wire::Reader in(body);
  try {
    row.run(session_, in, *call);
  } catch (const std::bad_alloc&) {
    call->finish(CUDA_ERROR_OUT_OF_MEMORY);
  }
  for (Pending& pending : made_in_handler_) {
    if (pending.what == After::answer && call != nullptr) pending.call = std::move(call);
    pendings_.push(std::move(pending));
  }
  made_in_handler_.clear();
  if (call != nullptr) done(std::move(call));
}

void Dispatcher::done(std::unique_ptr<Call> call) {
  ++usage_.records;
  session_.observe(call->result());
  if (call->result() != CUDA_SUCCESS && log::enabled(log::Level::debug) && debug_lines_++ < kMostDebugLines)
    log::debug("{} gives {}", call->row()->name, static_cast<int>(call->result()));
  if (trace_.is_on()) [[unlikely]]
    trace_.done(*call);
  if (!call->posted()) waiting_[call->header().slot] = false;
  replies_.answer(*call);
  free_calls_.push_back(std::move(call));
}

// Calls that the driver would block in.

bool Dispatcher::must_wait_for_context(const Call& call, uint64_t& busy_context) {
  const bool only_current = call.row()->needs_context && !session_.contexts().has_peers();
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
  event = nullptr;
  if (record == nullptr) return false;
  CUresult result = session_.contexts().take_event(context, event);
  if (result == CUDA_SUCCESS) result = record(context.real, event);
  session_.observe(result);
  if (result == CUDA_SUCCESS) return true;
  if (event != nullptr) session_.contexts().give_event(context, event);
  event = nullptr;
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
  pendings_.push(std::move(pending));
}

}  // namespace vgpu::worker
