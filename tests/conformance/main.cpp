// SPDX-License-Identifier: Apache-2.0
// vgpu-conformance: does a libcuda behave as the CUDA driver does? Runs its cases against any library with that ABI.
#include "tests/conformance/harness/suite.hpp"

int main(int argc, char** argv) {
  return conformance::run_suite(argc, argv, "does a libcuda behave as the CUDA driver does?");
}
