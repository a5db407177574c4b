// The broker's event loop as the rest of it sees it: descriptors that become readable, timers, signals. Asio is behind
// this header, because few files should pay for compiling it and because of lifetimes: the destructor of each class
// ends its callbacks for good, even one that is already queued, so an owner may capture itself by raw pointer. One
// thread only.
#pragma once

#include <chrono>
#include <functional>
#include <initializer_list>
#include <memory>

#include "common/base/unique_fd.hpp"

namespace boost::asio {
class io_context;
}

namespace vgpu::broker::event {

using Loop = boost::asio::io_context;
using Callback = std::function<void()>;

/// Calls back each time its descriptor is readable or hung up, until destroyed. Owns the descriptor.
class Readable {
 public:
  Readable(Loop& loop, base::UniqueFd descriptor, Callback on_ready);
  Readable(Readable&&) noexcept = default;
  ~Readable();

  int descriptor() const;
  /// Ends the callbacks and gives the descriptor back.
  [[nodiscard]] base::UniqueFd release();

 protected:
  struct State;
  explicit Readable(std::shared_ptr<State> state);

 private:
  std::shared_ptr<State> state_;
};

/// The same for a descriptor that has room to write.
class Writable : public Readable {
 public:
  Writable(Loop& loop, base::UniqueFd descriptor, Callback on_ready);
};

/// One point in time at most.
class Timer {
 public:
  explicit Timer(Loop& loop);
  ~Timer();
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  /// Calls back once after `delay`; replaces what was set before.
  void start(std::chrono::milliseconds delay, Callback on_time);
  void cancel();
  bool is_running() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

/// Turns signals into calls from the loop.
class Signals {
 public:
  Signals(Loop& loop, std::initializer_list<int> signals, std::function<void(int)> on_signal);
  ~Signals();
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

/// Calls back from the loop after the present callback has returned: for what destroys the object that is on the stack.
void defer(Loop& loop, Callback callback);

}  // namespace vgpu::broker::event
