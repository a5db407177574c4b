// SPDX-License-Identifier: Apache-2.0
#include "tests/conformance/harness/child.hpp"

#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cstdio>

#include "tests/conformance/harness/check.hpp"
#include "tests/conformance/harness/driver.hpp"
#include "tests/conformance/harness/registry.hpp"
#include "tests/conformance/harness/standing.hpp"

namespace conformance {
namespace {

bool shared_process = false;

// One write per line, so that a line is never torn by a death in between (it is shorter than PIPE_BUF).
void report(std::string line) {
  constexpr size_t kLongestLine = 3000;
  if (line.size() > kLongestLine) line.resize(kLongestLine);
  for (char& c : line) {
    if (c == '\n') c = ' ';
  }
  line += '\n';
  if (write(kReportDescriptor, line.data(), line.size()) < 0) _exit(3);  // the parent is gone
}

bool run_case(const Case& c) {
  report("begin\t" + c.name);
  std::string status = "pass", why;
  try {
    if (c.process != Process::uninitialised) expect_ok(CU(cuInit, 0));
    c.body();
  } catch (const Failure& failure) {
    status = "fail", why = failure.what();
  } catch (const Skip& reason) {
    status = "skip", why = reason.what();
  } catch (const std::exception& other) {
    status = "fail", why = std::string("exception: ") + other.what();
  }
  const std::string observed = take_observed();
  if (!why.empty() && !observed.empty()) why += "; ";
  why += observed;
  for (char& letter : why) {
    if (letter == '\t') letter = ' ';
  }
  report("end\t" + c.name + "\t" + status + "\t" + why);
  return status != "fail";
}

}  // namespace

bool is_shared_process() { return shared_process; }

int run_child(const std::string& libcuda, const std::vector<std::string>& names) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  tell_where_threads_stand_when_asked();
  std::string error;
  if (!open_driver(libcuda, error)) {
    std::fprintf(stderr, "%s\n", error.c_str());
    return 2;
  }
  shared_process = names.size() > 1;
  for (const auto& name : names) {
    const Case* c = find_case(name);
    if (c == nullptr) {
      std::fprintf(stderr, "there is no case named %s\n", name.c_str());
      return 2;
    }
    if (!run_case(*c)) return 0;
  }
  return 0;
}

}  // namespace conformance
