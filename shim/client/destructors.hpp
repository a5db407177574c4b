// The thread that runs the program's destructors of user objects, at once or behind the last launch of a graph.
#pragma once

#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "shim/client/context.hpp"

namespace vgpu::shim {

using namespace vgpu::cuda;

struct Destructor {
  CUhostFn function;
  void* user;
};

/// A place in a stream: an event of ours. Gives it back when it goes.
class LaunchMark {
 public:
  LaunchMark() = default;
  LaunchMark(LaunchMark&& other) noexcept
      : event_(std::exchange(other.event_, 0)), context_(std::exchange(other.context_, nullptr)) {}
  LaunchMark& operator=(LaunchMark&& other) noexcept {
    std::swap(event_, other.event_);
    std::swap(context_, other.context_);
    return *this;
  }
  ~LaunchMark();

  bool empty() const { return event_ == 0; }
  /// Moves it behind what the stream was given so far. Without an event to be had it stays where it is.
  void put_behind(CUstream stream);
  /// Whether the stream got there; also if that cannot be known any more.
  bool is_reached() const;

 private:
  uint64_t event_ = 0;  // handle
  Context* context_ = nullptr;
};

/// Makes the thread; false if there is none to be had.
bool start_destructors();
void run_destructors(std::vector<Destructor> due);
/// Asks `then` for destructors once the mark is reached.
void run_after(LaunchMark mark, std::function<std::vector<Destructor>()> then);

}  // namespace vgpu::shim
