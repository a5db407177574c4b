// Log lines that guests can provoke at will: so many a second of one VM, the rest is counted.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>

#include "common/base/log.hpp"

namespace vgpu::broker {

class LogLimiter {
 public:
  using Clock = std::chrono::steady_clock;

  /// Of each VM `burst` lines at once, then `per_second`.
  LogLimiter(unsigned burst, unsigned per_second) : burst_(burst), per_second_(per_second) {}

  template <typename... Args>
  void write(log::Level level, const std::string& vm, fmt::format_string<Args...> format, Args&&... args) {
    std::uint64_t suppressed = 0;
    if (!log::enabled(level) || !take(vm, Clock::now(), suppressed)) return;
    auto line = fmt::format(format, std::forward<Args>(args)...);
    if (suppressed != 0) line += fmt::format(" ({} lines about {} were left out)", suppressed, vm);
    log::write(level, line);
  }

  /// True if a line may be written; `suppressed` is then how many were not since the last one that was.
  bool take(const std::string& vm, Clock::time_point now, std::uint64_t& suppressed);

 private:
  struct Bucket {
    double tokens;
    Clock::time_point filled;
    std::uint64_t suppressed = 0;
  };
  double tokens_at(const Bucket& bucket, Clock::time_point now) const;
  void forget_quiet_ones(Clock::time_point now);

  unsigned burst_;
  unsigned per_second_;
  std::map<std::string, Bucket> buckets_;
};

}  // namespace vgpu::broker
