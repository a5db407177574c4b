// SPDX-License-Identifier: Apache-2.0
// How many launches a second: posted without end, and in batches that are waited for.
#include "tests/bench/path/crew.hpp"
#include "tests/bench/path/figure.hpp"

namespace bench {
namespace {

class LaunchLane : public Lane {
 public:
  LaunchLane(const Device& device, bool waits) : device_(device), stream_(device), waits_(waits) {}

  double step() override {
    CUresult result = CUDA_SUCCESS;
    for (unsigned i = 0; i < kBatch && result == CUDA_SUCCESS; ++i) result = device_.launch_nothing(stream_.get());
    check(result, "cuLaunchKernel");
    if (waits_) stream_.synchronise();
    return kBatch;
  }
  void finish() override { stream_.synchronise(); }

 private:
  static constexpr unsigned kBatch = 16;
  const Device& device_;
  OwnStream stream_;
  const bool waits_;
};

template <bool Waits>
class Records : public Figure {
 public:
  Records(const Device& device, unsigned threads)
      : crew_(device, threads, [&device] { return std::make_unique<LaunchLane>(device, Waits); }) {}
  Samples measure(double seconds) override { return {crew_.rate(seconds)}; }

 private:
  Crew crew_;
};

template <bool Waits>
std::unique_ptr<Figure> make(const Device& device, const Conditions& conditions) {
  return std::make_unique<Records<Waits>>(device, conditions.threads);
}

}  // namespace

std::vector<FigureKind> record_figures() {
  return {{"records_posted", "records/s", "more", true, make<false>},
          {"records_batched", "records/s", "more", true, make<true>}};
}

}  // namespace bench
