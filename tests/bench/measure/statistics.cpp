// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/measure/statistics.hpp"

#include <algorithm>
#include <cmath>

namespace bench {
namespace {

/// Nearest rank: a value that was measured, never one in between.
double quantile(const Samples& sorted, double part) {
  const auto rank = static_cast<size_t>(std::ceil(part * static_cast<double>(sorted.size())));
  return sorted[std::clamp<size_t>(rank, 1, sorted.size()) - 1];
}

}  // namespace

Summary summarise(Samples samples) {
  if (samples.empty()) return {};
  std::sort(samples.begin(), samples.end());
  return {samples.size(), samples.front(), quantile(samples, 0.5), quantile(samples, 0.99), samples.back()};
}

void Repetitions::add(const Samples& repetition) {
  all_.insert(all_.end(), repetition.begin(), repetition.end());
  if (!repetition.empty()) medians_.push_back(summarise(repetition).median);
}

}  // namespace bench
