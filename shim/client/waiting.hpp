// How threads of the program wait: a short spin, then sleep. Where futexes do not work (Transport::has_futex), sleep is
// a row of short naps.
#pragma once

#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

namespace vgpu::shim {

inline void cpu_pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

inline uint64_t monotonic_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(now.tv_nsec);
}

/// Longer than a fast answer takes, shorter than what sleeping and waking cost together.
inline constexpr uint64_t kSpinNs = 40'000;

/// True if `done()` came true within the spin.
template <typename Done>
bool spin_until(Done done) {
  if (done()) return true;
  const uint64_t end = monotonic_ns() + kSpinNs;
  for (;;) {
    for (int i = 0; i < 32; ++i) {
      if (done()) return true;
      cpu_pause();
    }
    if (monotonic_ns() >= end) return false;
  }
}

/// Sleeps while `word` holds `seen`, at most `longest`; false if that time passed. Shared: the waker is another
/// process.
inline bool futex_wait(const void* word, uint32_t seen, timespec longest = {1, 0}) {
  return ::syscall(SYS_futex, word, FUTEX_WAIT, seen, &longest, nullptr, 0) == 0 || errno != ETIMEDOUT;
}

inline void futex_wake(const void* word) { ::syscall(SYS_futex, word, FUTEX_WAKE, INT32_MAX, nullptr, nullptr, 0); }

/// Naps of growing length for waits that nobody ends by a wake: what a long wait costs is at most one nap.
class Naps {
 public:
  void take() {
    const timespec nap{0, length_ns_};
    ::nanosleep(&nap, nullptr);
    if (length_ns_ < kLongestNs) length_ns_ = length_ns_ * 2 < kLongestNs ? length_ns_ * 2 : kLongestNs;
  }

 private:
  static constexpr long kLongestNs = 500'000;
  long length_ns_ = 20'000;
};

/// As futex_wait, for words that have no futex: naps while `done()` is false, at most `longest`; false if that time
/// passed.
template <typename Done>
bool nap_until(Done done, timespec longest = {1, 0}) {
  const uint64_t end =
      monotonic_ns() + static_cast<uint64_t>(longest.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(longest.tv_nsec);
  for (Naps naps; !done(); naps.take())
    if (monotonic_ns() >= end) return false;
  return true;
}

/// Waits without a word to sleep on: spin, yield, then sleeps of growing length up to half a millisecond.
class Backoff {
 public:
  void pause() {
    ++rounds_;
    if (rounds_ < 64) {
      cpu_pause();
    } else if (rounds_ < 96) {
      ::sched_yield();
    } else {
      const timespec nap{0, rounds_ < 128 ? 20'000 : 500'000};
      ::nanosleep(&nap, nullptr);
    }
  }

 private:
  unsigned rounds_ = 0;
};

}  // namespace vgpu::shim
