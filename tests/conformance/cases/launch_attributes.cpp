// SPDX-License-Identifier: Apache-2.0
// Cooperative launches and launches with attributes.
#include <cstring>

#include "tests/conformance/fixtures/objects.hpp"
#include "tests/conformance/harness/registry.hpp"

namespace conformance {
namespace {

CUlaunchAttribute attribute(CUlaunchAttributeID id, std::initializer_list<uint32_t> words) {
  CUlaunchAttribute result = {};
  result.id = id;
  if (words.size() != 0) std::memcpy(result.value.bytes, words.begin(), words.size() * sizeof(uint32_t));
  return result;
}

CUlaunchConfig config_of(Dim grid, Dim block, CUlaunchAttribute* attributes, unsigned count,
                         CUstream stream = nullptr) {
  CUlaunchConfig config = {};
  config.gridDimX = grid.x, config.gridDimY = grid.y, config.gridDimZ = grid.z;
  config.blockDimX = block.x, config.blockDimY = block.y, config.blockDimZ = block.z;
  config.hStream = stream, config.attrs = attributes, config.numAttrs = count;
  return config;
}

/// Launches count_threads with these attributes and checks that every thread ran.
void launch_and_count(std::vector<CUlaunchAttribute> attributes, Dim grid, Dim block) {
  const Context context;
  const Module module;
  const Stream stream;
  const DeviceMemory count(4);
  count.write_word(0);
  CUdeviceptr address = count.at();
  void* parameters[] = {&address};
  const auto config = config_of(grid, block, attributes.data(), static_cast<unsigned>(attributes.size()), stream);
  expect_ok(CU(cuLaunchKernelEx, &config, module.function("count_threads"), parameters, nullptr));
  stream.synchronize();
  expect_equal(count.word(), grid.x * grid.y * grid.z * block.x * block.y * block.z, "the number of threads that ran");
}

CASE(launch_ex, no_attributes) { launch_and_count({}, {7, 2}, {64}); }
CASE(launch_ex, ignored_attribute) { launch_and_count({attribute(CU_LAUNCH_ATTRIBUTE_IGNORE, {})}, {4}, {32}); }
CASE(launch_ex, cooperative) { launch_and_count({attribute(CU_LAUNCH_ATTRIBUTE_COOPERATIVE, {1})}, {2}, {128}); }
CASE(launch_ex, priority) { launch_and_count({attribute(CU_LAUNCH_ATTRIBUTE_PRIORITY, {0})}, {2}, {128}); }
CASE(launch_ex, cluster_of_one) {
  if (device_attribute(CU_DEVICE_ATTRIBUTE_CLUSTER_LAUNCH) == 0) skip("the device has no clusters");
  launch_and_count({attribute(CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION, {1, 1, 1})}, {5}, {32});
}
CASE(launch_ex, cluster_that_does_not_divide_the_grid) {
  if (device_attribute(CU_DEVICE_ATTRIBUTE_CLUSTER_LAUNCH) == 0) skip("the device has no clusters");
  const Context context;
  const Module module(kNoop);
  auto cluster = attribute(CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION, {2, 1, 1});
  const auto config = config_of({3}, {32}, &cluster, 1);
  expect(CU(cuLaunchKernelEx, &config, module.function("noop"), nullptr, nullptr), CUDA_ERROR_INVALID_CLUSTER_SIZE);
}
CASE(launch_ex, several_attributes) {
  launch_and_count({attribute(CU_LAUNCH_ATTRIBUTE_COOPERATIVE, {0}), attribute(CU_LAUNCH_ATTRIBUTE_PRIORITY, {0}),
                    attribute(CU_LAUNCH_ATTRIBUTE_IGNORE, {})},
                   {3}, {32});
}
/// Launches count_threads so that it records an event, which must come, and not before what runs ahead of the launch.
void launch_with_event(CUlaunchAttributeID id) {
  const Context context;
  const Module module;
  const Stream stream;
  const Event event(CU_EVENT_DISABLE_TIMING);
  const DeviceMemory count(4);
  count.write_word(0);
  Spinner spinner(module);
  CUdeviceptr address = count.at();
  void* parameters[] = {&address};
  auto with_event = attribute(id, {});
  const CUevent handle = event;
  std::memcpy(with_event.value.bytes, &handle, sizeof(CUevent));
  const auto config = config_of({4}, {32}, &with_event, 1, stream);
  // Loads what is to be loaded, so that nothing waits for the spinner.
  expect_ok(CU(cuLaunchKernelEx, &config, module.function("count_threads"), parameters, nullptr));
  expect_ok(CU(cuEventSynchronize, event));
  spinner.start(stream);
  expect_ok(CU(cuLaunchKernelEx, &config, module.function("count_threads"), parameters, nullptr));
  expect(CU(cuEventQuery, event), CUDA_ERROR_NOT_READY);
  spinner.release();
  expect_ok(CU(cuEventSynchronize, event));
  stream.synchronize();
  spinner.require_not_expired();
  expect_equal(count.word(), 256U, "the number of threads that ran");
}
CASE(launch_ex, completion_event) { launch_with_event(CU_LAUNCH_ATTRIBUTE_LAUNCH_COMPLETION_EVENT); }
CASE(launch_ex, programmatic_event) {
  if (device_attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR) < 9) skip("the device has no programmatic events");
  launch_with_event(CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_EVENT);
}
CASE(launch_ex, event_that_is_none) {
  const Context context;
  const Module module(kNoop);
  auto with_event = attribute(CU_LAUNCH_ATTRIBUTE_LAUNCH_COMPLETION_EVENT, {});
  const auto config = config_of({}, {}, &with_event, 1);
  expect_one_of(CU(cuLaunchKernelEx, &config, module.function("noop"), nullptr, nullptr),
                {CUDA_ERROR_INVALID_HANDLE, CUDA_ERROR_INVALID_VALUE});
}
CASE(launch_ex, packed_parameters) {
  const Context context;
  const Module module;
  const DeviceMemory memory(4);
  memory.write_word(1);
  CUdeviceptr address = memory.at();
  size_t size = sizeof address;
  void* extra[] = {reinterpret_cast<void*>(kLaunchParamBufferPointer), &address,
                   reinterpret_cast<void*>(kLaunchParamBufferSize), &size, reinterpret_cast<void*>(kLaunchParamEnd)};
  const auto config = config_of({}, {}, nullptr, 0);
  expect_ok(CU(cuLaunchKernelEx, &config, module.function("increment"), nullptr, extra));
  expect_equal(memory.word(), 2U, "the word");
}
CASE(launch_ex, errors) {
  const Context context;
  const Module module(kNoop);
  const CUfunction noop = module.function("noop");
  expect(CU(cuLaunchKernelEx, nullptr, noop, nullptr, nullptr), CUDA_ERROR_INVALID_VALUE);
  auto config = config_of({}, {}, nullptr, 0);
  expect(CU(cuLaunchKernelEx, &config, nullptr, nullptr, nullptr), CUDA_ERROR_INVALID_HANDLE);
  config.blockDimX = 0;
  expect(CU(cuLaunchKernelEx, &config, noop, nullptr, nullptr), CUDA_ERROR_INVALID_VALUE);
  auto unknown = attribute(99, {1});
  config = config_of({}, {}, &unknown, 1);
  expect(CU(cuLaunchKernelEx, &config, noop, nullptr, nullptr), CUDA_ERROR_INVALID_VALUE);
}

CASE(cooperative, launch) {
  const Context context;
  const Module module;
  const DeviceMemory count(4);
  count.write_word(0);
  CUdeviceptr address = count.at();
  void* parameters[] = {&address};
  expect_ok(CU(cuLaunchCooperativeKernel, module.function("count_threads"), 2, 1, 1, 64, 1, 1, 0, nullptr, parameters));
  expect_equal(count.word(), 128U, "the number of threads that ran");
}
CASE(cooperative, too_large) {
  const Context context;
  const Module module(kNoop);
  expect(CU(cuLaunchCooperativeKernel, module.function("noop"), 1'000'000, 1, 1, 1024, 1, 1, 0, nullptr, nullptr),
         CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE);
}
CASE(cooperative, errors) {
  const Context context;
  const Module module(kNoop);
  expect(CU(cuLaunchCooperativeKernel, module.function("noop"), 0, 1, 1, 1, 1, 1, 0, nullptr, nullptr),
         CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuLaunchCooperativeKernel, nullptr, 1, 1, 1, 1, 1, 1, 0, nullptr, nullptr), CUDA_ERROR_INVALID_HANDLE);
}

}  // namespace
}  // namespace conformance
