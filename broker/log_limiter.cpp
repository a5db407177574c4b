#include "broker/log_limiter.hpp"

#include <algorithm>
#include <utility>

namespace vgpu::broker {
namespace {

constexpr std::size_t kMany = 1024;

}  // namespace

bool LogLimiter::take(const std::string& vm, Clock::time_point now, std::uint64_t& suppressed) {
  if (buckets_.size() >= kMany) forget_quiet_ones(now);
  auto& bucket = buckets_.try_emplace(vm, Bucket{static_cast<double>(burst_), now}).first->second;
  bucket.tokens = tokens_at(bucket, now);
  bucket.filled = now;
  if (bucket.tokens < 1) {
    ++bucket.suppressed;
    return false;
  }
  bucket.tokens -= 1;
  suppressed = std::exchange(bucket.suppressed, 0);
  return true;
}

double LogLimiter::tokens_at(const Bucket& bucket, Clock::time_point now) const {
  const double seconds = std::chrono::duration<double>(now - bucket.filled).count();
  return std::min<double>(burst_, bucket.tokens + seconds * per_second_);
}

// A full bucket without suppressed lines says as much as none.
void LogLimiter::forget_quiet_ones(Clock::time_point now) {
  std::erase_if(buckets_, [&](const auto& entry) {
    return tokens_at(entry.second, now) >= burst_ && entry.second.suppressed == 0;
  });
}

}  // namespace vgpu::broker
