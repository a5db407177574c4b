// SPDX-License-Identifier: Apache-2.0
// What is said of many measured values.
#pragma once

#include <cstddef>
#include <vector>

namespace bench {

using Samples = std::vector<double>;

struct Summary {
  size_t count = 0;
  double least = 0;
  double median = 0;
  double p99 = 0;  // the value that 99 of 100 do not exceed; of few values, the largest
  double most = 0;
};

Summary summarise(Samples samples);

/// Values of several repetitions: all of them together, and each repetition's own median, whose range is the spread.
class Repetitions {
 public:
  void add(const Samples& repetition);
  Summary all() const { return summarise(all_); }
  const std::vector<double>& medians() const { return medians_; }

 private:
  Samples all_;
  std::vector<double> medians_;
};

}  // namespace bench
