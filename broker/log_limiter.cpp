#include "broker/log_limiter.hpp"

#include <utility>

namespace vgpu::broker {
namespace {

constexpr std::size_t kMany = 1024;

}  // namespace

bool LogLimiter::take(const std::string& vm, Clock::time_point now, std::uint64_t& suppressed) {
  if (buckets_.size() >= kMany) forget_quiet_ones(now);
  auto& bucket = buckets_.try_emplace(vm, Bucket{TokenBucket(burst_, per_second_, now)}).first->second;
  if (!bucket.tokens.take(now)) {
    ++bucket.suppressed;
    return false;
  }
  suppressed = std::exchange(bucket.suppressed, 0);
  return true;
}

// A full bucket without suppressed lines says as much as none.
void LogLimiter::forget_quiet_ones(Clock::time_point now) {
  std::erase_if(buckets_,
                [&](const auto& entry) { return entry.second.tokens.is_full(now) && entry.second.suppressed == 0; });
}

}  // namespace vgpu::broker
