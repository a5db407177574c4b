// SPDX-License-Identifier: Apache-2.0
// What the machine itself costs: a cache line that goes to the other core, a pause, a thread that is woken.
#include <linux/futex.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "common/base/unique_fd.hpp"
#include "tests/bench/parts/cores.hpp"
#include "tests/bench/parts/part.hpp"

namespace bench {
namespace {

constexpr long kUntilAsleepUs = 200;

/// Words on lines of their own, for two threads that answer one another. The word 0 ends it.
struct Lines {
  alignas(64) std::atomic<uint32_t> there{1};
  alignas(64) std::atomic<uint32_t> back{1};
  alignas(64) std::atomic<uint32_t> with_there{1};  // what is read once the word has changed
  alignas(64) std::atomic<uint32_t> with_back{1};
  alignas(64) std::atomic<uint64_t> woken_ns{0};
};

enum class Message { word, word_and_line };

void send(std::atomic<uint32_t>& word, std::atomic<uint32_t>& line, Message message, uint32_t number) {
  if (message == Message::word_and_line) line.store(number, std::memory_order_relaxed);
  word.store(number, std::memory_order_release);
}

template <typename Arrived>
uint32_t receive(const std::atomic<uint32_t>& word, const std::atomic<uint32_t>& line, Message message, bool pauses,
                 Arrived arrived) {
  uint32_t seen = 0;
  for (Looking looking; !arrived(seen = word.load(std::memory_order_acquire));) looking.pause(pauses);
  if (message == Message::word_and_line) {
    uint32_t read = line.load(std::memory_order_relaxed);
    keep(read);
  }
  return seen;
}

/// Nanoseconds until a message to the other core has been answered from there.
Samples time_message(double seconds, Message message, bool pauses) {
  constexpr unsigned kBatch = 8;
  Lines lines;
  std::thread other([&] {
    pin_to(cores().worker);
    for (uint32_t last = 1; last != 0;) {
      last = receive(lines.there, lines.with_there, message, pauses, [&](uint32_t seen) { return seen != last; });
      send(lines.back, lines.with_back, message, last);
    }
  });
  uint32_t number = 1;
  const auto there_and_back = [&] {
    if (++number == 0) number = 2;
    send(lines.there, lines.with_there, message, number);
    receive(lines.back, lines.with_back, message, pauses, [&](uint32_t seen) { return seen == number; });
  };
  there_and_back();  // the thread has started
  Samples samples = time_batches(seconds, kBatch, there_and_back);
  lines.there.store(0, std::memory_order_release);
  other.join();
  return samples;
}

/// What waking the other thread costs the waker, and how long until the sleeper runs. `sleep` returns when woken.
template <typename Sleep, typename Wake>
Samples time_wake(double seconds, bool of_the_waker, Sleep sleep, Wake wake) {
  Lines lines;
  std::thread sleeper([&, sleep]() mutable {
    pin_to(cores().worker);
    for (;;) {
      sleep(lines);
      lines.woken_ns.store(now_ns(), std::memory_order_release);
      if (lines.there.load(std::memory_order_acquire) == 0) return;
    }
  });
  Samples samples;
  const uint64_t end = now_ns() + seconds_to_ns(seconds);
  const auto wake_once = [&] {
    lines.woken_ns.store(0, std::memory_order_relaxed);
    pause_for_us(kUntilAsleepUs);
    const uint64_t begun = now_ns();
    wake(lines);
    const uint64_t awake = now_ns();
    for (Looking looking; lines.woken_ns.load(std::memory_order_acquire) == 0;) looking.pause();
    samples.push_back(static_cast<double>((of_the_waker ? awake : lines.woken_ns.load()) - begun));
  };
  do {
    wake_once();
  } while (now_ns() < end);
  lines.there = 0;
  wake(lines);
  sleeper.join();
  return samples;
}

Samples time_futex(double seconds, bool of_the_waker) {
  // Sleeps from value to value, so that no wake-up is missed by a sleeper who is late.
  const auto sleep = [seen = uint32_t{1}](Lines& lines) mutable {
    const timespec second{1, 0};
    uint32_t now = seen;
    while ((now = lines.back.load(std::memory_order_acquire)) == seen)
      ::syscall(SYS_futex, &lines.back, FUTEX_WAIT, seen, &second, nullptr, 0);
    seen = now;
  };
  const auto wake = [](Lines& lines) {
    lines.back.fetch_add(1, std::memory_order_release);
    ::syscall(SYS_futex, &lines.back, FUTEX_WAKE, INT32_MAX, nullptr, nullptr, 0);
  };
  return time_wake(seconds, of_the_waker, sleep, wake);
}

Samples time_doorbell(double seconds, bool of_the_waker) {
  const vgpu::base::UniqueFd bell(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  const auto sleep = [&bell](Lines&) {
    pollfd wait{bell.get(), POLLIN, 0};
    const timespec second{1, 0};
    while (::ppoll(&wait, 1, &second, nullptr) != 1) {
    }
    eventfd_t rung = 0;
    ::eventfd_read(bell.get(), &rung);
  };
  return time_wake(seconds, of_the_waker, sleep, [&bell](Lines&) { ::eventfd_write(bell.get(), 1); });
}

}  // namespace

void measure_core_parts(const PartOptions& options) {
  report(options, "machine", "single", "read the clock", "clock_gettime, once",
         [](double seconds) { return time_batches(seconds, 256, [] { static_cast<void>(now_ns()); }); });
  report(options, "machine", "single", "pause", "one pause instruction, alone",
         [](double seconds) { return time_batches(seconds, 256, [] { relax(); }); });
  if (!cores().distinct()) return;  // nothing below means anything then
  const auto message = [](Message what, bool pauses) {
    return [=](double seconds) { return time_message(seconds, what, pauses); };
  };
  report(options, "machine", "single", "a line to the other core and one back", "both sides looking without pause",
         message(Message::word, false));
  report(options, "round_trip", "part", "four lines between the cores: tail, record, sequence, data",
         "two there and two back, both sides with a pause between looks", message(Message::word_and_line, true));
  report(options, "wake", "single", "ring the doorbell: the program's time",
         "write to an eventfd on which a thread sleeps", [](double seconds) { return time_doorbell(seconds, true); });
  report(options, "wake", "single", "doorbell until the worker runs", "from before the write to after ppoll",
         [](double seconds) { return time_doorbell(seconds, false); });
  report(options, "wake", "single", "wake a reply's sleeper: the worker's time", "FUTEX_WAKE of a sleeping thread",
         [](double seconds) { return time_futex(seconds, true); });
  report(options, "wake", "single", "futex until the program runs", "from before the store to after FUTEX_WAIT",
         [](double seconds) { return time_futex(seconds, false); });
}

}  // namespace bench
