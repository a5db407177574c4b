#include "broker/log_limiter.hpp"

#include <catch2/catch.hpp>

using vgpu::broker::LogLimiter;
using namespace std::chrono_literals;

TEST_CASE("a burst passes, then so many lines a second, and what is left out is counted") {
  LogLimiter limiter(3, 2);
  const LogLimiter::Clock::time_point start{};
  std::uint64_t suppressed = 99;
  for (int i = 0; i < 3; ++i) CHECK(limiter.take("a", start, suppressed));
  CHECK(suppressed == 0);
  for (int i = 0; i < 5; ++i) CHECK_FALSE(limiter.take("a", start, suppressed));
  CHECK(limiter.take("b", start, suppressed));  // another VM has lines of its own
  CHECK(suppressed == 0);
  CHECK(limiter.take("a", start + 500ms, suppressed));
  CHECK(suppressed == 5);
  CHECK_FALSE(limiter.take("a", start + 500ms, suppressed));
}

TEST_CASE("quiet ones are forgotten, noisy ones are not") {
  LogLimiter limiter(1, 1);
  LogLimiter::Clock::time_point now{};
  std::uint64_t suppressed = 0;
  CHECK(limiter.take("noisy", now, suppressed));
  CHECK_FALSE(limiter.take("noisy", now, suppressed));
  now += 10s;
  for (int i = 1; i < 5000; ++i) CHECK(limiter.take(std::to_string(i), now, suppressed));
  CHECK(limiter.take("noisy", now, suppressed));
  CHECK(suppressed == 1);
}
