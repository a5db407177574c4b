// SPDX-License-Identifier: Apache-2.0
#include "tests/conformance/harness/suite.hpp"

#include <fnmatch.h>

#include <cstdio>
#include <cstring>

#include "tests/conformance/harness/child.hpp"
#include "tests/conformance/harness/options.hpp"
#include "tests/conformance/harness/report.hpp"
#include "tests/conformance/harness/runner.hpp"

namespace conformance {
namespace {

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

int run_suite(int argc, char** argv, const char* purpose) {
  Options options;
  if (const auto error = parse_options(argc, argv, options); !error.empty()) {
    std::fprintf(stderr, "%s\n", error.c_str());
    return 2;
  }
  if (options.help) return print_help(purpose), 0;
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

}  // namespace conformance
