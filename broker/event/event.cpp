#include "broker/event/event.hpp"

#include <poll.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

namespace vgpu::broker::event {

namespace asio = boost::asio;
using boost::system::error_code;

// In all states below: handlers hold the state, the owner's destructor only marks it dead. So the callback that is just
// running stays valid while it destroys its own owner.

struct Readable::State : std::enable_shared_from_this<State> {
  using Wait = asio::posix::stream_descriptor::wait_type;
  State(Loop& loop, int descriptor, Wait wait, Callback ready)
      : watched(loop, descriptor), awaited(wait), on_ready(std::move(ready)) {}

  void arm() {
    watched.async_wait(awaited, [self = shared_from_this()](error_code error) {
      if (!self->live || error == asio::error::operation_aborted) return;
      // Asio gives the state of a descriptor that was closed to a new one, and an event that was still queued for the
      // old one then ends the wait of the new one.
      if (self->is_ready()) self->on_ready();
      if (self->live) self->arm();
    });
  }

  bool is_ready() {
    const bool to_read = awaited == asio::posix::stream_descriptor::wait_read;
    pollfd polled{watched.native_handle(), static_cast<short>(to_read ? POLLIN : POLLOUT), 0};
    return ::poll(&polled, 1, 0) != 0;
  }

  asio::posix::stream_descriptor watched;
  const Wait awaited;
  Callback on_ready;
  bool live = true;
};

Readable::Readable(std::shared_ptr<State> state) : state_(std::move(state)) { state_->arm(); }

Readable::Readable(Loop& loop, base::UniqueFd descriptor, Callback on_ready)
    : Readable(std::make_shared<State>(loop, descriptor.release(), asio::posix::stream_descriptor::wait_read,
                                       std::move(on_ready))) {}

Writable::Writable(Loop& loop, base::UniqueFd descriptor, Callback on_ready)
    : Readable(std::make_shared<State>(loop, descriptor.release(), asio::posix::stream_descriptor::wait_write,
                                       std::move(on_ready))) {}

Readable::~Readable() {
  if (!state_) return;
  state_->live = false;
  error_code ignored;
  state_->watched.close(ignored);
}

int Readable::descriptor() const { return state_->watched.native_handle(); }

base::UniqueFd Readable::release() {
  state_->live = false;
  return base::UniqueFd(state_->watched.release());
}

struct Timer::State {
  explicit State(Loop& loop) : timer(loop) {}
  asio::steady_timer timer;
  std::uint64_t generation = 0;  // of the latest start or cancel; a handler of an older one does nothing
  bool running = false;
};

Timer::Timer(Loop& loop) : state_(std::make_shared<State>(loop)) {}
Timer::~Timer() { cancel(); }
bool Timer::is_running() const { return state_->running; }

void Timer::cancel() {
  ++state_->generation;
  state_->running = false;
  state_->timer.cancel();
}

void Timer::start(std::chrono::milliseconds delay, Callback on_time) {
  cancel();
  state_->running = true;
  state_->timer.expires_after(delay);
  state_->timer.async_wait(
      [state = state_, generation = state_->generation, call = std::move(on_time)](error_code error) {
        if (error || generation != state->generation) return;
        state->running = false;
        call();
      });
}

struct Signals::State : std::enable_shared_from_this<State> {
  State(Loop& loop, std::function<void(int)> call) : set(loop), on_signal(std::move(call)) {}

  void arm() {
    set.async_wait([self = shared_from_this()](error_code error, int signal) {
      if (!self->live || error) return;
      self->on_signal(signal);
      if (self->live) self->arm();
    });
  }

  asio::signal_set set;
  std::function<void(int)> on_signal;
  bool live = true;
};

Signals::Signals(Loop& loop, std::initializer_list<int> signals, std::function<void(int)> on_signal)
    : state_(std::make_shared<State>(loop, std::move(on_signal))) {
  for (const int signal : signals) state_->set.add(signal);
  state_->arm();
}

Signals::~Signals() {
  state_->live = false;
  error_code ignored;
  state_->set.cancel(ignored);
}

void defer(Loop& loop, Callback callback) { asio::post(loop, std::move(callback)); }

}  // namespace vgpu::broker::event
