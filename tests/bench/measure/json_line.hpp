// SPDX-License-Identifier: Apache-2.0
// One JSON object as one line of standard output.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tests/bench/measure/statistics.hpp"

namespace bench {

class JsonLine {
 public:
  JsonLine& put(std::string_view name, std::string_view text);
  JsonLine& put(std::string_view name, double number);
  JsonLine& put(std::string_view name, const std::vector<double>& numbers);
  /// samples, least, median, p99, most, and repetitions: the median of each.
  JsonLine& put(const Repetitions& repetitions);
  /// Writes the line at once, so that a reader on a pipe sees it.
  void print() const;

 private:
  void begin(std::string_view name);
  std::string text_ = "{";
};

}  // namespace bench
