// SPDX-License-Identifier: Apache-2.0
#include "tests/conformance/harness/report.hpp"

#include <cstdio>
#include <fstream>

namespace conformance {

std::string Expectations::load(const std::string& path) {
  if (path.empty()) return {};
  std::ifstream file(path);
  if (!file) return "cannot read the expected differences: " + path;
  int number = 0;
  for (std::string line; std::getline(file, line);) {
    ++number;
    const size_t first = line.find_first_not_of(" \t");
    if (first == std::string::npos || line[first] == '#') continue;
    const size_t end = line.find_first_of(" \t", first);
    const size_t reason = end == std::string::npos ? end : line.find_first_not_of(" \t", end);
    const std::string name = line.substr(first, end == std::string::npos ? end : end - first);
    const std::string at = path + ":" + std::to_string(number) + ": ";
    if (reason == std::string::npos) return at + "the case " + name + " needs a reason";
    if (find_case(name) == nullptr) return at + "there is no case named " + name;
    reasons_[name] = line.substr(reason);
  }
  return {};
}

const std::string* Expectations::reason(const std::string& name) const {
  const auto found = reasons_.find(name);
  return found == reasons_.end() ? nullptr : &found->second;
}

void print_result(const Result& result, const Expectations& expectations, bool verbose) {
  const std::string* reason = expectations.reason(result.name);
  const bool failed = result.status == "fail";
  if (result.status == "pass" && reason == nullptr && !verbose) return;
  std::printf("%-4s %-50s %6.2f s  %s\n", result.status.c_str(), result.name.c_str(), result.seconds,
              result.detail.c_str());
  if (failed && reason != nullptr) std::printf("     expected: %s\n", reason->c_str());
  if (result.status == "pass" && reason != nullptr)
    std::printf("     passes now, though expected to differ: %s\n", reason->c_str());
  if (failed && (verbose || reason == nullptr) && !result.output.empty())
    std::printf("     it printed: %s\n", result.output.c_str());
  std::fflush(stdout);
}

bool print_summary(const std::vector<Result>& results, const Expectations& expectations) {
  size_t passed = 0, failed = 0, skipped = 0, expected = 0;
  for (const Result& result : results) {
    if (result.status == "pass") ++passed;
    if (result.status == "skip") ++skipped;
    if (result.status == "fail") {
      ++failed;
      if (expectations.reason(result.name) != nullptr) ++expected;
    }
  }
  if (expected > 0) std::printf("%zu of the failures are expected differences\n", expected);
  std::printf("%zu passed, %zu failed, %zu skipped\n", passed, failed, skipped);
  return failed == expected;
}

bool write_tsv(const std::string& path, const std::vector<Result>& results) {
  std::ofstream file(path);
  for (const Result& result : results) file << result.name << '\t' << result.status << '\t' << result.detail << '\n';
  file.flush();
  if (!file) std::fprintf(stderr, "cannot write %s\n", path.c_str());
  return static_cast<bool>(file);
}

}  // namespace conformance
