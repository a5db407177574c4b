#include "broker/log_limiter.hpp"

#include <catch2/catch.hpp>

using vgpu::broker::LogLimiter;
using namespace std::chrono_literals;

TEST_CASE("a burst passes, then so many lines a second, and what is left out is counted") {
  LogLimiter limiter(3, 2);
  const LogLimiter::Clock::time_point start{};
  std::uint64_t suppressed = 99;
  for (int i = 0; i < 3; ++i) CHECK(limiter.take(1, start, suppressed));
  CHECK(suppressed == 0);
  for (int i = 0; i < 5; ++i) CHECK_FALSE(limiter.take(1, start, suppressed));
  CHECK(limiter.take(2, start, suppressed));  // another user has lines of its own
  CHECK(suppressed == 0);
  CHECK(limiter.take(1, start + 500ms, suppressed));
  CHECK(suppressed == 5);
  CHECK_FALSE(limiter.take(1, start + 500ms, suppressed));
}

TEST_CASE("quiet users are forgotten, noisy ones are not") {
  LogLimiter limiter(1, 1);
  LogLimiter::Clock::time_point now{};
  std::uint64_t suppressed = 0;
  CHECK(limiter.take(0, now, suppressed));
  CHECK_FALSE(limiter.take(0, now, suppressed));
  now += 10s;
  for (uid_t uid = 1; uid < 5000; ++uid) CHECK(limiter.take(uid, now, suppressed));
  CHECK(limiter.take(0, now, suppressed));
  CHECK(suppressed == 1);
}
