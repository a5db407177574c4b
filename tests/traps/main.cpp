// SPDX-License-Identifier: Apache-2.0
// vgpu-traps: programs that have gone wrong on one driver or another. Cases as those of vgpu-conformance, but of
// several threads and processes at a time: nothing may hang, tear or leak that the CUDA driver lets through.
#include <cstring>
#include <string>
#include <vector>

#include "tests/conformance/harness/suite.hpp"
#include "tests/traps/support/act.hpp"

int main(int argc, char** argv) {
  if (argc > 1 && std::strcmp(argv[1], "--act") == 0) return traps::run_act({argv + 2, argv + argc});
  return conformance::run_suite(argc, argv, "does a libcuda keep out of known traps?");
}
