// SPDX-License-Identifier: Apache-2.0
// What the runner prints and writes, and the list of differences that are expected of a library.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "tests/conformance/harness/runner.hpp"

namespace conformance {

class Expectations {
 public:
  /// Reads lines "case reason" (# begins a comment); an empty path means none. Empty, or a sentence with file and line.
  std::string load(const std::string& path);
  /// The reason why this case is expected to differ; null where it is not.
  const std::string* reason(const std::string& name) const;

 private:
  std::map<std::string, std::string> reasons_;
};

void print_result(const Result& result, const Expectations& expectations, bool verbose);
/// True when every failure was expected.
bool print_summary(const std::vector<Result>& results, const Expectations& expectations);
bool write_tsv(const std::string& path, const std::vector<Result>& results);

}  // namespace conformance
