// SPDX-License-Identifier: Apache-2.0
#include "tests/conformance/harness/options.hpp"

#include <errno.h>
#include <getopt.h>

#include <cstdio>
#include <cstdlib>

namespace conformance {
namespace {

enum Letter { kChild = 256, kCase };

constexpr option kLong[] = {
    {"libcuda", required_argument, nullptr, 'l'},  {"list", no_argument, nullptr, 'L'},
    {"run", required_argument, nullptr, 'r'},      {"tsv", required_argument, nullptr, 't'},
    {"expect", required_argument, nullptr, 'e'},   {"isolate", no_argument, nullptr, 'i'},
    {"group", no_argument, nullptr, 'g'},          {"jobs", required_argument, nullptr, 'j'},
    {"deadline", required_argument, nullptr, 'd'}, {"verbose", no_argument, nullptr, 'v'},
    {"help", no_argument, nullptr, 'h'},           {"child", no_argument, nullptr, kChild},
    {"case", required_argument, nullptr, kCase},   {},
};

bool parse_count(const char* text, long most, long& value) {
  char* end = nullptr;
  value = std::strtol(text, &end, 10);
  return *text != '\0' && *end == '\0' && value >= 1 && value <= most;
}

}  // namespace

std::string parse_options(int argc, char** argv, Options& options) {
  long count = 0;
  for (int letter = 0; (letter = getopt_long(argc, argv, "j:vh", kLong, nullptr)) != -1;) {
    switch (letter) {
      case 'l':
        options.run.libcuda = optarg;
        break;
      case 'L':
        options.list = true;
        break;
      case 'r':
        options.globs.emplace_back(optarg);
        break;
      case 't':
        options.tsv_file = optarg;
        break;
      case 'e':
        options.expect_file = optarg;
        break;
      case 'i':
        options.run.group = false;
        break;
      case 'g':
        options.run.group = true;
        break;
      case 'v':
        options.verbose = true;
        break;
      case 'h':
        options.help = true;
        break;
      case kChild:
        options.child = true;
        break;
      case kCase:
        options.child_cases.emplace_back(optarg);
        break;
      case 'j':
        if (!parse_count(optarg, 256, count)) return "--jobs takes a number from 1 to 256";
        options.run.jobs = static_cast<unsigned>(count);
        break;
      case 'd':
        if (!parse_count(optarg, 3600, count)) return "--deadline takes a number of seconds from 1 to 3600";
        options.run.deadline = std::chrono::seconds(count);
        break;
      default:
        return "see --help";
    }
  }
  if (optind < argc) return std::string("unexpected argument ") + argv[optind] + "; see --help";
  return {};
}

void print_help(const char* purpose) {
  std::printf("%s: %s\n", program_invocation_short_name, purpose);
  std::puts(
      "  --libcuda PATH    the library under test (libcuda.so.1)\n"
      "  --list            print the names of the cases\n"
      "  --run GLOB        only these cases, e.g. 'stream.*'; may be repeated\n"
      "  --isolate         every case in a process of its own (the default)\n"
      "  --group           the cases of a group share a process where they allow it: quicker where a context is slow "
      "to make\n"
      "  -j, --jobs N      so many processes at a time (1)\n"
      "  --deadline S      seconds that one case may take (30)\n"
      "  --expect FILE     lines 'case reason': differences that do not make the run fail\n"
      "  --tsv FILE        write case, pass|fail|skip and the observed detail\n"
      "  -v, --verbose     print the cases that pass, too, and what those printed that fail as expected");
}

}  // namespace conformance
