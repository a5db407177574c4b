// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/path/options.hpp"

#include <getopt.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <sstream>

namespace bench {
namespace {

constexpr int kUsage = 64;

void print_usage() {
  std::puts(
      "usage: vgpu-bench [options]\n"
      "Measures what calls of the CUDA driver interface cost, on whatever libcuda.so.1 the dynamic linker finds.\n"
      "One JSON object a line on standard output; scripts/bench runs it natively and remoted and compares.\n"
      "  --only FIGURE,...    only these (see --list)\n"
      "  --threads N,...      how many threads at once, for figures of throughput (default 1)\n"
      "  --seconds S          how long one repetition measures (default 0.3)\n"
      "  --warm-up S          how long before the first one (default 0.1)\n"
      "  --repetitions N      how many (default 5)\n"
      "  --bytes N            size of one copy (default 33554432)\n"
      "  --gate               before each repetition print {\"ready\": 1} and wait for a line on standard input, so "
      "that\n"
      "                       several processes begin together\n"
      "  --list               the figures' names\n"
      "Exit status: 0 all was measured; 1 something failed, a line on standard error says what; 64 wrong usage.");
}

template <typename Convert>
auto split(const char* text, Convert convert) {
  std::vector<decltype(convert(std::string()))> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, ',');) parts.push_back(convert(part));
  return parts;
}

unsigned to_number(const std::string& text) { return static_cast<unsigned>(std::strtoul(text.c_str(), nullptr, 10)); }

bool is_sensible(const Options& options) {
  const auto in_range = [](unsigned threads) { return threads >= 1 && threads <= 256; };
  return options.seconds > 0 && options.seconds <= 60 && options.warm_up >= 0 && options.warm_up <= 60 &&
         options.repetitions >= 1 && options.repetitions <= 1000 && options.bytes >= 4 &&
         options.bytes <= size_t{1} << 32 && !options.threads.empty() &&
         std::all_of(options.threads.begin(), options.threads.end(), in_range);
}

}  // namespace

bool parse_options(int count, char** arguments, Options& options, int& status) {
  enum { only = 1, threads, seconds, warm_up, repetitions, bytes, gate, list, first_call, first_result, help };
  static const option known[] = {{"only", required_argument, nullptr, only},
                                 {"threads", required_argument, nullptr, threads},
                                 {"seconds", required_argument, nullptr, seconds},
                                 {"warm-up", required_argument, nullptr, warm_up},
                                 {"repetitions", required_argument, nullptr, repetitions},
                                 {"bytes", required_argument, nullptr, bytes},
                                 {"gate", no_argument, nullptr, gate},
                                 {"list", no_argument, nullptr, list},
                                 {"first-call", no_argument, nullptr, first_call},
                                 {"first-result", no_argument, nullptr, first_result},
                                 {"help", no_argument, nullptr, help},
                                 {nullptr, 0, nullptr, 0}};
  status = kUsage;
  for (int which; (which = ::getopt_long(count, arguments, "", known, nullptr)) != -1;) {
    switch (which) {
      case only:
        options.only = split(optarg, [](const std::string& part) { return part; });
        break;
      case threads:
        options.threads = split(optarg, to_number);
        break;
      case seconds:
        options.seconds = std::atof(optarg);
        break;
      case warm_up:
        options.warm_up = std::atof(optarg);
        break;
      case repetitions:
        options.repetitions = to_number(optarg);
        break;
      case bytes:
        options.bytes = std::strtoull(optarg, nullptr, 10);
        break;
      case gate:
        options.gate = true;
        break;
      case list:
        options.list = true;
        break;
      case first_call:
        options.first_call = true;
        break;
      case first_result:
        options.first_result = true;
        break;
      case help:
        print_usage();
        status = 0;
        return false;
      default:
        return false;
    }
  }
  if (optind == count && is_sensible(options)) return true;
  std::fputs("vgpu-bench: a value that makes no sense; see --help\n", stderr);
  return false;
}

}  // namespace bench
