// Log lines that guests can provoke at will: so many a second of one VM, the rest is counted.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>

#include "broker/token_bucket.hpp"
#include "common/base/log.hpp"

namespace vgpu::broker {

class LogLimiter {
 public:
  using Clock = TokenBucket::Clock;

  /// Of each VM `burst` lines at once, then `per_second`.
  LogLimiter(unsigned burst, unsigned per_second) : burst_(burst), per_second_(per_second) {}

  /// True if the line was written.
  template <typename... Args>
  bool write(log::Level level, const std::string& vm, fmt::format_string<Args...> format, Args&&... args) {
    std::uint64_t suppressed = 0;
    if (!log::enabled(level) || !take(vm, Clock::now(), suppressed)) return false;
    auto line = fmt::format(format, std::forward<Args>(args)...);
    if (suppressed != 0) line += fmt::format(" ({} lines about {} were left out)", suppressed, vm);
    log::write(level, line);
    return true;
  }

  /// True if a line may be written; `suppressed` is then how many were not since the last one that was.
  bool take(const std::string& vm, Clock::time_point now, std::uint64_t& suppressed);

 private:
  struct Bucket {
    TokenBucket tokens;
    std::uint64_t suppressed = 0;
  };
  void forget_quiet_ones(Clock::time_point now);

  unsigned burst_;
  unsigned per_second_;
  std::map<std::string, Bucket> buckets_;
};

}  // namespace vgpu::broker
