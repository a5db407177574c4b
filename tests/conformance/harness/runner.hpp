// SPDX-License-Identifier: Apache-2.0
// Runs cases in child processes under deadlines, several at a time.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "tests/conformance/harness/registry.hpp"

namespace conformance {

struct Result {
  std::string name;
  std::string status;  ///< "pass", "fail" or "skip"
  std::string detail;  ///< what was observed, or why it failed
  std::string output;  ///< last part of what the child printed; only of failures
  double seconds = 0;
};

struct RunOptions {
  std::string libcuda = "libcuda.so.1";
  bool group = false;  ///< cases that allow it share a process with their group
  unsigned jobs = 1;
  std::chrono::seconds deadline{30};  ///< of one case
};

/// One result for every case, sorted by name; `on_result` hears of each when it is known.
std::vector<Result> run_cases(const std::vector<const Case*>& cases, const RunOptions& options,
                              const std::function<void(const Result&)>& on_result);

}  // namespace conformance
