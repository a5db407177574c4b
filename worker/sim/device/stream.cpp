#include "worker/sim/device/stream.hpp"

#include <pthread.h>
#include <time.h>

#include <chrono>
#include <shared_mutex>

#include "worker/sim/device/context.hpp"
#include "worker/sim/device/simulator.hpp"

namespace vgpu::sim::device {
namespace {

std::uint64_t now_ns() {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
          .count());
}

std::uint64_t next_stream_id() {
  static std::atomic<std::uint64_t> next{1};
  return next.fetch_add(1);
}

/// However a command ended, nobody waits for it any more.
void set_marks(const Command& command) {
  for (const MarkPtr& mark : command.inner)
    if (!mark->done) mark->set();
  command.done->set();
}

}  // namespace

void Mark::set() {
  time_ns = now_ns();
  done = true;
}

Stream::Stream(std::shared_ptr<Context> context, Kind kind, int priority, std::uint64_t seed)
    : context_(std::move(context)),
      kind_(kind),
      priority_(priority),
      id_(next_stream_id()),
      tail_(std::make_shared<Mark>()),
      random_(seed) {
  tail_->done = true;
}

Stream::~Stream() {
  // The thread keeps the stream alive, so it can only be here itself, at its very end.
  if (thread_.joinable()) thread_.detach();
}

bool Stream::is_full() const { return counted_ > queue_depth || context_->counted_ > queue_depth_of_context; }

void Stream::submit(Command command, Manner manner) {
  Simulator& sim = Simulator::get();
  std::shared_lock gate(sim.gate, std::defer_lock);
  if (manner.through_gate) gate.lock();
  const std::lock_guard order(submit_mutex_);
  bool full = false;
  if (command.counted) {
    const std::lock_guard lock(context_->mutex);
    full = is_full();
  }
  const std::uint64_t staging = command.staging;
  const auto has_room = [&] {
    const bool staged = staging == 0 || context_->staging_ + staging <= staging_bytes;
    return (!is_full() && staged) || stopping_ || context_->closed_ || context_->error() != cuda::CUDA_SUCCESS;
  };
  if (full) {
    const std::lock_guard allocations(sim.allocation_gate);
    const std::lock_guard queries(query_mutex_);
    std::unique_lock lock(context_->mutex);
    context_->changed.wait(lock, has_room);
  } else if (staging != 0) {
    std::unique_lock lock(context_->mutex);
    context_->changed.wait(lock, has_room);
  }
  const std::vector<MarkPtr> done{command.done};
  push(std::move(command));
  if (!manner.wait) return;
  const std::lock_guard allocations(sim.allocation_gate);
  context_->wait(done);
}

void Stream::push(Command command) {
  const std::lock_guard lock(context_->mutex);
  if (stopping_ || context_->closed_) {
    set_marks(command);
    return;
  }
  // First of all: where no thread can be had this throws, and nothing may be queued that nobody will run.
  if (!thread_.joinable()) {
    thread_ = std::thread([self = shared_from_this()] { self->run(); });
    ::pthread_setname_np(thread_.native_handle(), "sim-stream");
  }
  const auto follow = [&](const Stream& other) {
    if (!other.tail_->done) command.after.push_back(other.tail_);
  };
  if (kind_ == Kind::blocking) follow(*context_->legacy_);
  if (kind_ == Kind::legacy) {
    for (const auto& stream : context_->streams_)
      if (stream->kind_ == Kind::blocking) follow(*stream);
  }
  if (command.counted) {
    ++counted_;
    ++context_->counted_;
  }
  context_->staging_ += command.staging;
  tail_ = command.done;
  queue_.push_back(std::move(command));
  context_->changed.notify_all();
}

bool Stream::is_idle() {
  const std::lock_guard queries(query_mutex_);
  for (const MarkPtr& mark : marks())
    if (!mark->done) return false;
  return true;
}

std::vector<MarkPtr> Stream::marks() {
  const std::lock_guard lock(context_->mutex);
  std::vector<MarkPtr> out{tail_};
  if (kind_ != Kind::legacy) return out;
  for (const auto& stream : context_->streams_)
    if (stream->kind_ == Kind::blocking) out.push_back(stream->tail_);
  return out;
}

void Stream::stop() {
  {
    const std::lock_guard lock(context_->mutex);
    stopping_ = true;
    context_->changed.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

void Stream::close() {
  const std::lock_guard lock(context_->mutex);
  closing_ = true;
  if (!thread_.joinable()) finished_ = true;
  context_->changed.notify_all();
}

void Stream::delay() {
  if (Simulator::get().settings().seed == 0) return;
  const std::uint64_t dice = random_();
  if (dice % 4 == 0) std::this_thread::yield();
  if (dice % 16 != 1) return;
  const timespec pause{0, static_cast<long>(dice >> 8 & 0x1ffff)};  // at most 131 us
  ::nanosleep(&pause, nullptr);
}

void Stream::run() {
  std::unique_lock lock(context_->mutex);
  const auto may_begin = [&] {
    if (queue_.empty()) return false;
    for (const MarkPtr& mark : queue_.front().after)
      if (!mark->done) return false;
    return true;
  };
  const auto has_news = [&] { return stopping_ || may_begin() || (closing_ && queue_.empty()); };
  while (true) {
    // Other contexts' marks wake nobody here: while it waits for any, the stream looks by itself.
    while (!has_news()) {
      if (queue_.empty())
        context_->changed.wait(lock);
      else
        context_->changed.wait_for(lock, std::chrono::milliseconds(1));
    }
    if (stopping_ || queue_.empty()) break;
    Command command = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    delay();
    if (command.work && (context_->error() == cuda::CUDA_SUCCESS || command.runs_after_error)) command.work(*context_);
    command.work = nullptr;  // what it holds is given back before the command counts as done
    lock.lock();
    if (command.counted) {
      --counted_;
      --context_->counted_;
    }
    context_->staging_ -= command.staging;
    set_marks(command);
    context_->changed.notify_all();
  }
  for (Command& command : queue_) {
    if (command.counted) --context_->counted_;
    context_->staging_ -= command.staging;
    set_marks(command);
  }
  std::deque<Command> dropped;
  dropped.swap(queue_);
  counted_ = 0;
  finished_ = true;
  context_->changed.notify_all();
  lock.unlock();
}

}  // namespace vgpu::sim::device
