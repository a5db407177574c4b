// SPDX-License-Identifier: Apache-2.0
// A posted launch as the program sees it: how long until cuLaunchKernel returns.
#include "tests/bench/measure/clock.hpp"
#include "tests/bench/path/figure.hpp"

namespace bench {
namespace {

// Short enough that no queue on the way fills up and makes the program wait.
constexpr unsigned kBurst = 64;
// A worker watches its ring for 0.1 ms before it sleeps.
constexpr long kUntilAsleepUs = 1000;

/// One value per burst: nanoseconds per launch. Before each burst everything is idle, and whoever serves us awake.
class Enqueue : public Figure {
 public:
  explicit Enqueue(const Device& device) : device_(device), stream_(device) {}

  Samples measure(double seconds) override {
    Samples samples;
    const uint64_t end = now_ns() + seconds_to_ns(seconds);
    do {
      stream_.synchronise();
      samples.push_back(burst() / kBurst);
    } while (now_ns() < end);
    stream_.synchronise();
    return samples;
  }

 private:
  double burst() const {
    CUresult result = CUDA_SUCCESS;
    const uint64_t begun = now_ns();
    for (unsigned i = 0; i < kBurst && result == CUDA_SUCCESS; ++i) result = device_.launch_nothing(stream_.get());
    const uint64_t ended = now_ns();
    check(result, "cuLaunchKernel");
    return static_cast<double>(ended - begun);
  }

  const Device& device_;
  OwnStream stream_;
};

/// A single launch after a pause: whoever serves us sleeps and must be woken.
class EnqueueAsleep : public Figure {
 public:
  explicit EnqueueAsleep(const Device& device) : device_(device), stream_(device) {}

  Samples measure(double seconds) override {
    Samples samples;
    const uint64_t end = now_ns() + seconds_to_ns(seconds);
    do {
      pause_for_us(kUntilAsleepUs);
      const uint64_t begun = now_ns();
      const CUresult result = device_.launch_nothing(stream_.get());
      samples.push_back(static_cast<double>(now_ns() - begun));
      check(result, "cuLaunchKernel");
      stream_.synchronise();
    } while (now_ns() < end);
    return samples;
  }

 private:
  const Device& device_;
  OwnStream stream_;
};

template <typename T>
std::unique_ptr<Figure> make(const Device& device, const Conditions&) {
  return std::make_unique<T>(device);
}

}  // namespace

std::vector<FigureKind> enqueue_figures() {
  return {{"enqueue", "ns", "less", false, make<Enqueue>},
          {"enqueue_asleep", "ns", "less", false, make<EnqueueAsleep>}};
}

}  // namespace bench
