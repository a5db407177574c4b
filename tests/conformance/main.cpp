// SPDX-License-Identifier: Apache-2.0
// vgpu-conformance: does a libcuda behave as the CUDA driver does? Runs its cases against any library with that ABI.
//
// Process model: this process opens no CUDA. Every case (or, with --group, every group of cases that allows it) runs in
// a child, which is this program again with --child; the child reports on a pipe, and is killed when a case outlasts
// its deadline.
#include <fnmatch.h>

#include <cstdio>
#include <cstring>

#include "tests/conformance/harness/child.hpp"
#include "tests/conformance/harness/options.hpp"
#include "tests/conformance/harness/report.hpp"
#include "tests/conformance/harness/runner.hpp"

namespace {

using namespace conformance;

std::vector<const Case*> chosen_cases(const std::vector<std::string>& globs) {
  std::vector<const Case*> chosen;
  for (const Case& c : all_cases()) {
    bool matches = globs.empty();
    for (const auto& glob : globs) matches = matches || fnmatch(glob.c_str(), c.name.c_str(), 0) == 0;
    if (matches) chosen.push_back(&c);
  }
  return chosen;
}

int list_cases(const std::vector<const Case*>& cases) {
  for (const Case* c : cases)
    std::printf("%s%s\n", c->name.c_str(), c->process == Process::shared ? "" : "\town process");
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  if (const auto error = parse_options(argc, argv, options); !error.empty()) {
    std::fprintf(stderr, "%s\n", error.c_str());
    return 2;
  }
  if (options.help) return print_help(), 0;
  if (options.child) return run_child(options.run.libcuda, options.child_cases);

  const auto cases = chosen_cases(options.globs);
  if (cases.empty()) {
    std::fprintf(stderr, "no case matches; see --list\n");
    return 2;
  }
  if (options.list) return list_cases(cases);

  Expectations expectations;
  if (const auto error = expectations.load(options.expect_file); !error.empty()) {
    std::fprintf(stderr, "%s\n", error.c_str());
    return 2;
  }
  const auto results =
      run_cases(cases, options.run, [&](const Result& result) { print_result(result, expectations, options.verbose); });
  if (!options.tsv_file.empty() && !write_tsv(options.tsv_file, results)) return 2;
  return print_summary(results, expectations) ? 0 : 1;
}
