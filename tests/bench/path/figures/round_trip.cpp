// SPDX-License-Identifier: Apache-2.0
// Calls that wait for an answer: while everybody polls, and out of sleep.
#include <algorithm>

#include "tests/bench/measure/clock.hpp"
#include "tests/bench/path/figure.hpp"

namespace bench {
namespace {

constexpr long kUntilAsleepUs = 1000;

/// Times one action again and again, with a pause before each if asked.
template <typename Action>
Samples time_each(double seconds, long pause_us, Action action) {
  Samples samples;
  const uint64_t end = now_ns() + seconds_to_ns(seconds);
  do {
    if (pause_us != 0) pause_for_us(pause_us);
    const uint64_t begun = now_ns();
    action();
    samples.push_back(static_cast<double>(now_ns() - begun));
  } while (now_ns() < end);
  return samples;
}

/// A question that the driver answers from memory: remoted it is the bare round trip, natively next to nothing.
class Question : public Figure {
 public:
  Question(const Device& device, long pause_us) : device_(device), pause_us_(pause_us) {}

  Samples measure(double seconds) override {
    return time_each(seconds, pause_us_, [this] {
      size_t limit = 0;
      check(device_.driver()->cuCtxGetLimit(&limit, CU_LIMIT_STACK_SIZE), "cuCtxGetLimit");
    });
  }

 private:
  const Device& device_;
  const long pause_us_;
};

/// A launch of the kernel that does nothing, and the wait for its end: the shortest work of a GPU.
class LaunchAndWait : public Figure {
 public:
  LaunchAndWait(const Device& device, long pause_us) : device_(device), stream_(device), pause_us_(pause_us) {}

  Samples measure(double seconds) override {
    return time_each(seconds, pause_us_, [this] {
      check(device_.launch_nothing(stream_.get()), "cuLaunchKernel");
      stream_.synchronise();
    });
  }

 private:
  const Device& device_;
  OwnStream stream_;
  const long pause_us_;
};

class Event {
 public:
  explicit Event(const Device& device) : device_(device) {
    check(device.driver()->cuEventCreate(&event_, 0), "cuEventCreate");
  }
  ~Event() { static_cast<void>(device_.driver()->cuEventDestroy_v2(event_)); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  void record(CUstream stream) const { check(device_.driver()->cuEventRecord(event_, stream), "cuEventRecord"); }
  double ns_since(const Event& earlier) const {
    float milliseconds = 0;
    check(device_.driver()->cuEventElapsedTime(&milliseconds, earlier.event_, event_), "cuEventElapsedTime");
    return static_cast<double>(milliseconds) * 1e6;
  }

 private:
  const Device& device_;
  CUevent event_ = nullptr;
};

/// How much longer than the GPU worked the program waited, for a kernel of about a millisecond: long enough that a
/// remoted thread has gone to sleep on its reply.
class WaitAsleep : public Figure {
 public:
  explicit WaitAsleep(const Device& device) : device_(device), stream_(device), before_(device), after_(device) {
    calibrate();
  }

  Samples measure(double seconds) override {
    Samples samples;
    const uint64_t end = now_ns() + seconds_to_ns(seconds);
    do {
      double busy = 0;
      const double waited = wait_once(busy);
      samples.push_back(std::max(0.0, waited - busy));
    } while (now_ns() < end);
    return samples;
  }

 private:
  static constexpr double kWantedNs = 1e6;

  /// Nanoseconds from the first call to the end of the wait; `busy`: between the two events on the GPU.
  double wait_once(double& busy) const {
    const uint64_t begun = now_ns();
    before_.record(stream_.get());
    check(device_.launch_busy(stream_.get(), rounds_), "cuLaunchKernel");
    after_.record(stream_.get());
    stream_.synchronise();
    const auto waited = static_cast<double>(now_ns() - begun);
    busy = after_.ns_since(before_);
    return waited;
  }

  void calibrate() {
    for (int i = 0; i < 4; ++i) {
      double busy = 0;
      wait_once(busy);
      rounds_ = static_cast<uint32_t>(std::clamp(rounds_ * kWantedNs / std::max(busy, 1000.0), 1.0, 1e8));
    }
  }

  const Device& device_;
  OwnStream stream_;
  Event before_, after_;
  uint32_t rounds_ = 1000;
};

template <typename T, long PauseUs>
std::unique_ptr<Figure> make(const Device& device, const Conditions&) {
  return std::make_unique<T>(device, PauseUs);
}

std::unique_ptr<Figure> make_wait_asleep(const Device& device, const Conditions&) {
  return std::make_unique<WaitAsleep>(device);
}

}  // namespace

std::vector<FigureKind> round_trip_figures() {
  return {{"round_trip", "ns", "less", false, make<Question, 0>},
          {"round_trip_worker_asleep", "ns", "less", false, make<Question, kUntilAsleepUs>},
          {"launch_and_wait", "ns", "less", false, make<LaunchAndWait, 0>},
          {"launch_and_wait_worker_asleep", "ns", "less", false, make<LaunchAndWait, kUntilAsleepUs>},
          {"wait_client_asleep", "ns", "less", false, make_wait_asleep}};
}

}  // namespace bench
