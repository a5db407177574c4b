// SPDX-License-Identifier: Apache-2.0
// The command line of vgpu-bench.
#pragma once

#include <string>
#include <vector>

namespace bench {

struct Options {
  std::vector<std::string> only;  // empty: all
  std::vector<unsigned> threads = {1};
  double seconds = 0.3;  // of one repetition
  double warm_up = 0.1;  // seconds before the first
  unsigned repetitions = 5;
  size_t bytes = 32u << 20;  // of one copy
  bool gate = false;         // before each repetition say "ready" and wait for a line
  bool list = false;
  bool first_call = false;    // be the child whose start is timed: as far as cuInit
  bool first_result = false;  // as far as a result
};

/// False: wrong usage, or help was asked for; `status` is what to exit with.
bool parse_options(int count, char** arguments, Options& options, int& status);

}  // namespace bench
