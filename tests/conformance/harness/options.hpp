// SPDX-License-Identifier: Apache-2.0
// The command line of a suite.
#pragma once

#include <string>
#include <vector>

#include "tests/conformance/harness/runner.hpp"

namespace conformance {

struct Options {
  RunOptions run;
  std::vector<std::string> globs;
  std::string tsv_file, expect_file;
  bool list = false, help = false, verbose = false;
  // What the runner passes to its children.
  bool child = false;
  std::vector<std::string> child_cases;
};

/// Empty, or a sentence that says what is wrong with the command line.
std::string parse_options(int argc, char** argv, Options& options);
void print_help(const char* purpose);

}  // namespace conformance
