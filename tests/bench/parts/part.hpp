// SPDX-License-Identifier: Apache-2.0
// One part of a call's time, measured by itself, and the whole that it is a part of.
#pragma once

#include <sched.h>

#include <cstdint>

#include "tests/bench/measure/clock.hpp"
#include "tests/bench/measure/json_line.hpp"
#include "tests/bench/measure/statistics.hpp"

namespace bench {

struct PartOptions {
  double seconds = 0.1;  // of one repetition
  unsigned repetitions = 5;
};

/// Keeps the compiler from leaving out what made `value`.
template <typename T>
inline void keep(T& value) {
  asm volatile("" : : "g"(&value) : "memory");
}

inline void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

/// How a measurement waits for the other core: it looks all the time, as both sides of a ring do; but on a machine with
/// too much to do it lets others run, or they would wait for us while we wait for them.
class Looking {
 public:
  void pause(bool relaxes = true) {
    if (++looks_ > kMost) {
      ::sched_yield();
    } else if (relaxes) {
      relax();
    }
  }

 private:
  // Some milliseconds: longer than the other side's absence, or both would miss one another again and again.
  static constexpr unsigned kMost = 400'000;
  unsigned looks_ = 0;
};

/// Nanoseconds per call of `action`, in batches long enough that reading the clock does not count. `between` runs
/// untimed after each batch.
template <typename Action, typename Between>
Samples time_batches(double seconds, unsigned batch, Action action, Between between) {
  Samples samples;
  const uint64_t end = now_ns() + seconds_to_ns(seconds);
  do {
    const uint64_t begun = now_ns();
    for (unsigned i = 0; i < batch; ++i) action();
    samples.push_back(static_cast<double>(now_ns() - begun) / batch);
    between();
  } while (now_ns() < end);
  return samples;
}

template <typename Action>
Samples time_batches(double seconds, unsigned batch, Action action) {
  return time_batches(seconds, batch, action, [] {});
}

/// Measures and prints one part. `whole`: what it is a part of; `role`: "part", "whole", or "single" for what is
/// neither; `how`: for the reader.
template <typename Measure>
void report(const PartOptions& options, const char* whole, const char* role, const char* part, const char* how,
            Measure measure) {
  static_cast<void>(measure(options.seconds / 4));  // warm-up
  Repetitions repetitions;
  for (unsigned i = 0; i < options.repetitions; ++i) repetitions.add(measure(options.seconds));
  JsonLine line;
  line.put("part", part).put("of", whole).put("role", role).put("unit", "ns").put("how", how);
  line.put(repetitions).print();
}

// By side, one file each.
void measure_shim_parts(const PartOptions& options);
void measure_worker_parts(const PartOptions& options);
void measure_answer_parts(const PartOptions& options);
void measure_core_parts(const PartOptions& options);
void measure_wholes(const PartOptions& options);

}  // namespace bench
