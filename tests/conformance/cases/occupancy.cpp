// SPDX-License-Identifier: Apache-2.0
// Occupancy.
#include "tests/conformance/fixtures/objects.hpp"
#include "tests/conformance/harness/registry.hpp"

namespace conformance {
namespace {

CASE(occupancy, blocks_per_multiprocessor) {
  const Context context;
  const Module module;
  const CUfunction function = module.function("reduce");
  int blocks = 0;
  expect_ok(CU(cuOccupancyMaxActiveBlocksPerMultiprocessor, &blocks, function, 256, 0));
  observe("blocks " + std::to_string(blocks));
  require(blocks >= 1 && blocks * 256 <= device_attribute(CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR),
          "the blocks fit on the multiprocessor");
  int same = 0;
  expect_ok(CU(cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags, &same, function, 256, 0, 0));
  expect_equal(same, blocks, "with flags of zero");
}
CASE(occupancy, blocks_of_a_kernel_as_library_kernel) {
  const Context context;
  const Library library;
  int blocks = 0;
  expect_ok(CU(cuOccupancyMaxActiveBlocksPerMultiprocessor, &blocks,
               reinterpret_cast<CUfunction>(library.kernel("reduce")), 256, 0));
  require(blocks >= 1, "a block fits");
}
CASE(occupancy, shared_memory_limits_blocks) {
  const Context context;
  const Module module;
  int few = 0, many = 0;
  expect_ok(CU(cuOccupancyMaxActiveBlocksPerMultiprocessor, &many, module.function("dynamic_shared"), 32, 0));
  expect_ok(CU(cuOccupancyMaxActiveBlocksPerMultiprocessor, &few, module.function("dynamic_shared"), 32, 48 << 10));
  require(few >= 1 && few < many, "more shared memory, fewer blocks");
}
CASE(occupancy, errors) {
  const Context context;
  const Module module(kNoop);
  const CUfunction noop = module.function("noop");
  int blocks = 77;
  expect(CU(cuOccupancyMaxActiveBlocksPerMultiprocessor, nullptr, noop, 128, 0), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuOccupancyMaxActiveBlocksPerMultiprocessor, &blocks, noop, 0, 0), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuOccupancyMaxActiveBlocksPerMultiprocessor, &blocks, noop, -1, 0), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuOccupancyMaxActiveBlocksPerMultiprocessor, &blocks, nullptr, 128, 0), CUDA_ERROR_INVALID_HANDLE);
  expect(CU(cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags, &blocks, noop, 128, 0, 0x100),
         CUDA_ERROR_INVALID_VALUE);
}
CASE(occupancy, block_larger_than_possible) {
  const Context context;
  const Module module(kNoop);
  int blocks = 77;
  expect_ok(CU(cuOccupancyMaxActiveBlocksPerMultiprocessor, &blocks, module.function("noop"), 2048, 0));
  expect_equal(blocks, 0, "the blocks that fit");
}
CASE(occupancy, potential_block_size) {
  const Context context;
  const Module module;
  int grid = 0, block = 0;
  expect_ok(CU(cuOccupancyMaxPotentialBlockSize, &grid, &block, module.function("vector_add"), nullptr, 0, 0));
  observe("grid " + std::to_string(grid) + ", block " + std::to_string(block));
  require(grid >= device_attribute(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT), "the grid fills the device");
  require(block >= 32 && block <= 1024, "the block is possible");
  expect_ok(
      CU(cuOccupancyMaxPotentialBlockSizeWithFlags, &grid, &block, module.function("vector_add"), nullptr, 0, 128, 0));
  require(block <= 128, "the block keeps to the limit");
}

int callback_calls;

CASE(occupancy, potential_block_size_with_a_function) {
  const Context context;
  const Module module;
  callback_calls = 0;
  int grid = 0, block = 0;
  const CUoccupancyB2DSize shared = [](int size) {
    ++callback_calls;
    return static_cast<size_t>(size) * 64;
  };
  expect_ok(CU(cuOccupancyMaxPotentialBlockSize, &grid, &block, module.function("dynamic_shared"), shared, 0, 0));
  require(callback_calls > 0, "the function was asked");
  require(block >= 1 && block * 64 <= 49'152, "the block's shared memory fits");
}
CASE(occupancy, available_shared_memory) {
  const Context context;
  const Module module(kNoop);
  size_t one = 0, four = 0;
  expect_ok(CU(cuOccupancyAvailableDynamicSMemPerBlock, &one, module.function("noop"), 1, 128));
  expect_ok(CU(cuOccupancyAvailableDynamicSMemPerBlock, &four, module.function("noop"), 8, 128));
  observe(std::to_string(one) + " for one block, " + std::to_string(four) + " for eight");
  require(one > 0 && four <= one, "more blocks, less for each");
}
CASE(occupancy, clusters) {
  if (device_attribute(CU_DEVICE_ATTRIBUTE_CLUSTER_LAUNCH) == 0) skip("the device has no clusters");
  const Context context;
  const Module module(kNoop);
  CUlaunchConfig config = {};
  config.gridDimX = config.gridDimY = config.gridDimZ = 1;
  config.blockDimX = 128, config.blockDimY = config.blockDimZ = 1;
  int size = 0, clusters = 0;
  expect_ok(CU(cuOccupancyMaxPotentialClusterSize, &size, module.function("noop"), &config));
  require(size >= 1, "a cluster has a block");
  CUlaunchAttribute cluster = {};
  cluster.id = CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION;
  const uint32_t one = 1;
  for (int i = 0; i < 3; ++i) __builtin_memcpy(cluster.value.bytes + 4 * i, &one, 4);
  config.attrs = &cluster, config.numAttrs = 1;
  expect_ok(CU(cuOccupancyMaxActiveClusters, &clusters, module.function("noop"), &config));
  observe("size " + std::to_string(size) + ", clusters " + std::to_string(clusters));
  require(clusters >= 1, "a cluster fits");
}

}  // namespace
}  // namespace conformance
