// SPDX-License-Identifier: Apache-2.0
// vgpu-bench-parts: where the nanoseconds of a call go. Shim and worker in one process, each on a core of its own; the
// driver is the software GPU with launches that do nothing. JSON lines on standard output.
#include <getopt.h>

#include <cstdio>
#include <cstdlib>
#include <exception>

#include "tests/bench/parts/client.hpp"
#include "tests/bench/parts/cores.hpp"
#include "tests/bench/parts/host.hpp"
#include "tests/bench/parts/part.hpp"

namespace {

void print_usage() {
  std::puts(
      "usage: vgpu-bench-parts [--seconds S] [--repetitions N]\n"
      "Measures the parts of a posted launch and of a call that waits, each by itself, and the wholes beside them.\n"
      "  --seconds S       how long one repetition measures (default 0.1)\n"
      "  --repetitions N   how many (default 5)\n"
      "Exit status: 0 all was measured; 1 something failed, a line on standard error says what; 64 wrong usage.");
}

/// False: `status` is what to exit with.
bool parse(int count, char** arguments, bench::PartOptions& options, int& status) {
  static const option known[] = {{"seconds", required_argument, nullptr, 's'},
                                 {"repetitions", required_argument, nullptr, 'r'},
                                 {"help", no_argument, nullptr, 'h'},
                                 {nullptr, 0, nullptr, 0}};
  status = 64;
  for (int which; (which = ::getopt_long(count, arguments, "", known, nullptr)) != -1;) {
    if (which == 's') options.seconds = std::atof(optarg);
    if (which == 'r') options.repetitions = static_cast<unsigned>(std::strtoul(optarg, nullptr, 10));
    if (which == '?') return false;
    if (which != 'h') continue;
    print_usage();
    status = 0;
    return false;
  }
  const bool sensible = options.seconds > 0 && options.seconds <= 60 && options.repetitions >= 1;
  if (sensible && options.repetitions <= 1000 && optind == count) return true;
  std::fputs("vgpu-bench-parts: a value that makes no sense; see --help\n", stderr);
  return false;
}

void measure(const bench::PartOptions& options) {
  bench::pin_to(bench::cores().program);
  bench::Client::instance();
  bench::measure_wholes(options);
  bench::measure_shim_parts(options);
  bench::measure_worker_parts(options);
  bench::measure_answer_parts(options);
  bench::measure_core_parts(options);
}

}  // namespace

int main(int count, char** arguments) {
  bench::PartOptions options;
  int status = 0;
  if (!parse(count, arguments, options, status)) return status;
  try {
    measure(options);
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "vgpu-bench-parts: %s\n", failure.what());
    status = 1;
  }
  if (status != 1) status = 0;
  bench::host::stop();
  return status;
}
