// SPDX-License-Identifier: Apache-2.0
// One thing that is measured. A figure is made, warmed up, asked for some repetitions, and destroyed.
#pragma once

#include <memory>
#include <vector>

#include "tests/bench/measure/statistics.hpp"
#include "tests/bench/path/device.hpp"

namespace bench {

struct Conditions {
  unsigned threads = 1;
  size_t bytes = 0;  // of one copy
};

class Figure {
 public:
  virtual ~Figure() = default;
  /// Measures for about so long: at least one value. Times give one value per call, rates one per repetition.
  virtual Samples measure(double seconds) = 0;
};

/// What a figure is called and means. `make` prepares everything that shall not be measured.
struct FigureKind {
  const char* name;
  const char* unit;
  const char* better;  // "less" or "more"
  bool threaded;       // may be measured with several threads
  std::unique_ptr<Figure> (*make)(const Device& device, const Conditions& conditions);
};

const std::vector<FigureKind>& all_figures();

// By theme, one file each in figures/.
std::vector<FigureKind> enqueue_figures();
std::vector<FigureKind> round_trip_figures();
std::vector<FigureKind> record_figures();
std::vector<FigureKind> copy_figures();
std::vector<FigureKind> start_figures();

}  // namespace bench
