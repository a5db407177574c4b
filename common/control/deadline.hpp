// A point in time by which something must have happened. Every wait in our programs takes one.
#pragma once

#include <chrono>

namespace vgpu::control {

class Deadline {
 public:
  using Clock = std::chrono::steady_clock;

  static Deadline after(std::chrono::milliseconds time) { return Deadline(Clock::now() + time); }

  bool passed() const { return Clock::now() >= when_; }
  /// Milliseconds left, rounded up, for poll(): 0 once passed.
  int remaining_ms() const {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(when_ - Clock::now()).count();
    if (left <= 0) return 0;
    return left > 3'600'000 ? 3'600'000 : static_cast<int>(left);
  }

 private:
  explicit Deadline(Clock::time_point when) : when_(when) {}
  Clock::time_point when_;
};

}  // namespace vgpu::control
