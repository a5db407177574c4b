// SPDX-License-Identifier: Apache-2.0
// Limits, cache configuration and stream priorities of a context. The limits stay with the context: own processes.
#include "tests/conformance/fixtures/objects.hpp"
#include "tests/conformance/harness/registry.hpp"

namespace conformance {
namespace {

size_t limit(CUlimit which) {
  size_t value = 0;
  expect_ok(CU(cuCtxGetLimit, &value, which));
  return value;
}

CASE(limit, defaults) {
  const Context context;
  require(limit(CU_LIMIT_STACK_SIZE) >= 1024, "the stack has 1 KiB");
  require(limit(CU_LIMIT_PRINTF_FIFO_SIZE) >= 64 << 10, "the printf buffer has 64 KiB");
  require(limit(CU_LIMIT_MALLOC_HEAP_SIZE) >= 1 << 20, "the device heap has 1 MiB");
  observe("stack " + std::to_string(limit(CU_LIMIT_STACK_SIZE)) + ", printf " +
          std::to_string(limit(CU_LIMIT_PRINTF_FIFO_SIZE)) + ", heap " +
          std::to_string(limit(CU_LIMIT_MALLOC_HEAP_SIZE)));
}

OWN_PROCESS_CASE(limit, stack_size) {
  const Context context;
  expect_ok(CU(cuCtxSetLimit, CU_LIMIT_STACK_SIZE, 4096));
  require(limit(CU_LIMIT_STACK_SIZE) >= 4096, "the stack has the new size");
}
OWN_PROCESS_CASE(limit, printf_buffer) {
  const Context context;
  expect_ok(CU(cuCtxSetLimit, CU_LIMIT_PRINTF_FIFO_SIZE, 2 << 20));
  require(limit(CU_LIMIT_PRINTF_FIFO_SIZE) >= 2 << 20, "the buffer has the new size");
}
OWN_PROCESS_CASE(limit, device_heap) {
  const Context context;
  expect_ok(CU(cuCtxSetLimit, CU_LIMIT_MALLOC_HEAP_SIZE, 16 << 20));
  require(limit(CU_LIMIT_MALLOC_HEAP_SIZE) >= 16 << 20, "the heap has the new size");
}
OWN_PROCESS_CASE(limit, device_runtime) {
  const Context context;
  size_t value = 0;
  expect(CU(cuCtxGetLimit, &value, CU_LIMIT_DEV_RUNTIME_SYNC_DEPTH), CUDA_ERROR_UNSUPPORTED_LIMIT);
  expect(CU(cuCtxSetLimit, CU_LIMIT_DEV_RUNTIME_SYNC_DEPTH, 2), CUDA_ERROR_UNSUPPORTED_LIMIT);
  expect_ok(CU(cuCtxGetLimit, &value, CU_LIMIT_DEV_RUNTIME_PENDING_LAUNCH_COUNT));
}
OWN_PROCESS_CASE(limit, l2) {
  const Context context;
  size_t value = 0;
  expect_ok(CU(cuCtxGetLimit, &value, CU_LIMIT_MAX_L2_FETCH_GRANULARITY));
  expect_ok(CU(cuCtxGetLimit, &value, CU_LIMIT_PERSISTING_L2_CACHE_SIZE));
}
CASE(limit, unknown) {
  const Context context;
  size_t value = 77;
  expect(CU(cuCtxGetLimit, &value, 99), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuCtxSetLimit, 99, 1), CUDA_ERROR_INVALID_VALUE);
  expect_equal(value, size_t{77}, "what a refused call left in the result");
}
CASE(limit, needs_a_place) {
  const Context context;
  expect(CU(cuCtxGetLimit, nullptr, CU_LIMIT_STACK_SIZE), CUDA_ERROR_INVALID_VALUE);
}

OWN_PROCESS_CASE(cache_config, set_and_get) {
  const Context context;
  CUfunc_cache config = 99;
  expect_ok(CU(cuCtxGetCacheConfig, &config));
  expect_equal(config, 0U + CU_FUNC_CACHE_PREFER_NONE, "the default");
  for (const CUfunc_cache wanted : {CU_FUNC_CACHE_PREFER_SHARED, CU_FUNC_CACHE_PREFER_L1, CU_FUNC_CACHE_PREFER_EQUAL}) {
    expect_ok(CU(cuCtxSetCacheConfig, wanted));
    expect_ok(CU(cuCtxGetCacheConfig, &config));
    observe("set " + std::to_string(wanted) + " got " + std::to_string(config));
    require(config == wanted || config == CU_FUNC_CACHE_PREFER_NONE,
            "what was set comes back, or none on a device without the choice");
  }
}
CASE(cache_config, errors) {
  const Context context;
  expect(CU(cuCtxGetCacheConfig, nullptr), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuCtxSetCacheConfig, 99), CUDA_ERROR_INVALID_VALUE);
}
CASE(cache_config, shared_memory_banks) {
  const Context context;
  CUsharedconfig config = 99;
  expect_ok(CU(cuCtxGetSharedMemConfig, &config));
  observe("config " + std::to_string(config));
  expect_ok(CU(cuCtxSetSharedMemConfig, 1));
}

CASE(priority, range) {
  const Context context;
  int least = -99, greatest = 99;
  expect_ok(CU(cuCtxGetStreamPriorityRange, &least, &greatest));
  require(least >= greatest, "a lower number is a higher priority");
  expect_equal(least, 0, "the least priority");
  observe("greatest " + std::to_string(greatest));
}
CASE(priority, range_places_are_optional) {
  const Context context;
  int least = -99, greatest = 99;
  expect_ok(CU(cuCtxGetStreamPriorityRange, &least, nullptr));
  expect_ok(CU(cuCtxGetStreamPriorityRange, nullptr, &greatest));
  expect_ok(CU(cuCtxGetStreamPriorityRange, nullptr, nullptr));
}

}  // namespace
}  // namespace conformance
