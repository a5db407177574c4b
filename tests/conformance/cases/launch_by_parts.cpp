// SPDX-License-Identifier: Apache-2.0
// Launches whose parts are set on the function beforehand, as before cuLaunchKernel.
#include "tests/conformance/fixtures/objects.hpp"
#include "tests/conformance/harness/registry.hpp"

namespace conformance {
namespace {

void need_launches_by_parts() {
  if (driver().cuLaunchGrid == nullptr) skip("the library has no launches by parts");
}

CASE(launch_by_parts, grid) {
  need_launches_by_parts();
  const Context context;
  const Module module;
  const DeviceMemory count(4);
  count.write_word(0);
  const CUfunction function = module.function("count_threads");
  CUdeviceptr address = count.at();
  expect_ok(CU(cuFuncSetBlockShape, function, 32, 2, 1));
  expect_ok(CU(cuParamSetSize, function, 8));
  expect_ok(CU(cuParamSetv, function, 0, &address, 8));
  expect_ok(CU(cuLaunchGrid, function, 3, 2));
  expect_ok(CU(cuCtxSynchronize));
  expect_equal(count.word(), 3U * 2 * 64, "the number of threads that ran");
}
CASE(launch_by_parts, numbers_in_a_stream) {
  need_launches_by_parts();
  const Context context;
  const Module module;
  const Stream stream;
  const DeviceMemory memory(256);
  const CUfunction fill = module.function("fill");
  CUdeviceptr address = memory.at();
  expect_ok(CU(cuFuncSetBlockShape, fill, 64, 1, 1));
  expect_ok(CU(cuFuncSetSharedSize, fill, 0));
  expect_ok(CU(cuParamSetv, fill, 0, &address, 8));
  expect_ok(CU(cuParamSetf, fill, 8, 1.0f));
  expect_ok(CU(cuParamSeti, fill, 12, 64));
  expect_ok(CU(cuParamSetSize, fill, 16));
  expect_ok(CU(cuLaunchGridAsync, fill, 1, 1, stream));
  stream.synchronize();
  expect_equal(memory.word(0), 0x3f800000U, "the first word");
  expect_equal(memory.word(63), 0x3f800000U, "the last word");
}
CASE(launch_by_parts, one_block) {
  need_launches_by_parts();
  const Context context;
  const Module module;
  const DeviceMemory count(4);
  count.write_word(0);
  const CUfunction function = module.function("count_threads");
  CUdeviceptr address = count.at();
  expect_ok(CU(cuFuncSetBlockShape, function, 96, 1, 1));
  expect_ok(CU(cuParamSetSize, function, 8));
  expect_ok(CU(cuParamSetv, function, 0, &address, 8));
  expect_ok(CU(cuLaunch, function));
  expect_ok(CU(cuCtxSynchronize));
  expect_equal(count.word(), 96U, "the number of threads that ran");
}
CASE(launch_by_parts, errors) {
  need_launches_by_parts();
  const Context context;
  const Module module(kNoop);
  const CUfunction noop = module.function("noop");
  expect(CU(cuFuncSetBlockShape, noop, 0, 1, 1), CUDA_ERROR_INVALID_VALUE);
  expect_ok(CU(cuFuncSetBlockShape, noop, 1, 1, 1));
  expect(CU(cuLaunchGrid, noop, 0, 1), CUDA_ERROR_INVALID_VALUE);
}

}  // namespace
}  // namespace conformance
