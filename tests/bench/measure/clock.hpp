// SPDX-License-Identifier: Apache-2.0
// The clock of all benchmarks: nanoseconds since some fixed moment, the same in every process of the machine.
#pragma once

#include <time.h>

#include <cstdint>

namespace bench {

inline uint64_t now_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

inline uint64_t seconds_to_ns(double seconds) { return static_cast<uint64_t>(seconds * 1e9); }

inline void pause_for_us(long microseconds) {
  const timespec pause{microseconds / 1'000'000, (microseconds % 1'000'000) * 1000};
  ::clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, nullptr);
}

}  // namespace bench
