// So many at once, then so many a second.
#pragma once

#include <algorithm>
#include <chrono>

namespace vgpu::broker {

class TokenBucket {
 public:
  using Clock = std::chrono::steady_clock;

  TokenBucket(unsigned burst, unsigned per_second, Clock::time_point now)
      : burst_(burst), per_second_(per_second), tokens_(burst), filled_(now) {}

  /// False if it is empty.
  bool take(Clock::time_point now) {
    tokens_ = tokens_at(now);
    filled_ = now;
    if (tokens_ < 1) return false;
    tokens_ -= 1;
    return true;
  }
  bool is_full(Clock::time_point now) const { return tokens_at(now) >= burst_; }

 private:
  double tokens_at(Clock::time_point now) const {
    return std::min(burst_, tokens_ + std::chrono::duration<double>(now - filled_).count() * per_second_);
  }

  double burst_;
  double per_second_;
  double tokens_;
  Clock::time_point filled_;
};

}  // namespace vgpu::broker
