// SPDX-License-Identifier: Apache-2.0
// Errors of the device that stay for the life of the process. Each case has its own.
#include "tests/conformance/fixtures/objects.hpp"
#include "tests/conformance/harness/registry.hpp"

namespace conformance {
namespace {

constexpr CUdeviceptr kNoMemory = 0x10;

/// Writes where nothing is and waits for the verdict.
void fault(const Module& module) {
  launch(module.function("store"), {}, {}, nullptr, kNoMemory, uint32_t{1});
  expect(CU(cuCtxSynchronize), CUDA_ERROR_ILLEGAL_ADDRESS);
}

OWN_PROCESS_CASE(sticky, illegal_address) {
  const Context context;
  const Module module;
  fault(module);
}
OWN_PROCESS_CASE(sticky, reported_by_stream_synchronise) {
  const Context context;
  const Module module;
  const Stream stream;
  launch(module.function("store"), {}, {}, stream, kNoMemory, uint32_t{1});
  expect(CU(cuStreamSynchronize, stream), CUDA_ERROR_ILLEGAL_ADDRESS);
}
OWN_PROCESS_CASE(sticky, reported_by_event_synchronise) {
  const Context context;
  const Module module;
  const Event event;
  launch(module.function("store"), {}, {}, nullptr, kNoMemory, uint32_t{1});
  // The fault may be known already.
  expect_one_of(CU(cuEventRecord, event, nullptr), {CUDA_SUCCESS, CUDA_ERROR_ILLEGAL_ADDRESS});
  expect(CU(cuEventSynchronize, event), CUDA_ERROR_ILLEGAL_ADDRESS);
}
OWN_PROCESS_CASE(sticky, reported_by_a_copy) {
  const Context context;
  const Module module;
  const DeviceMemory memory(4);
  launch(module.function("store"), {}, {}, nullptr, kNoMemory, uint32_t{1});
  uint32_t word = 0;
  expect(CU(cuMemcpyDtoH_v2, &word, memory.at(), sizeof word), CUDA_ERROR_ILLEGAL_ADDRESS);
}

// Calls after the fault, one case each.
struct After {
  const char* name;
  void (*check)(const Context&, const Module&, const DeviceMemory&, const Stream&, const Event&);
};
#define AFTER(call, ...)                                                                                            \
  {                                                                                                                 \
#call, [](const Context&, [[maybe_unused]] const Module& module, [[maybe_unused]] const DeviceMemory& memory,   \
              [[maybe_unused]] const Stream& stream,                                                                \
              [[maybe_unused]] const Event& event) { expect(CU(call, ##__VA_ARGS__), CUDA_ERROR_ILLEGAL_ADDRESS); } \
  }

CUdeviceptr address;
void* host;
CUstream new_stream;
CUmodule new_module;
CUevent new_event;
uint32_t word;
CUfunction known_function;  // looked up before the fault

const After kAfter[] = {
    AFTER(cuCtxSynchronize),
    AFTER(cuStreamSynchronize, stream),
    AFTER(cuStreamQuery, stream),
    AFTER(cuEventRecord, event, stream),
    AFTER(cuEventSynchronize, event),
    AFTER(cuMemAlloc_v2, &address, 64),
    AFTER(cuMemFree_v2, memory.at()),
    AFTER(cuMemHostAlloc, &host, 64, 0),
    AFTER(cuMemcpyHtoD_v2, memory.at(), &word, 4),
    AFTER(cuMemcpyDtoH_v2, &word, memory.at(), 4),
    AFTER(cuMemcpyHtoDAsync_v2, memory.at(), &word, 4, stream),
    AFTER(cuMemsetD8_v2, memory.at(), 0, 4),
    AFTER(cuStreamCreate, &new_stream, 0),
    AFTER(cuEventCreate, &new_event, 0),
    AFTER(cuModuleLoadData, &new_module, kNoop),
    AFTER(
        cuLaunchHostFunc, stream, [](void*) {}, nullptr),
    {"cuLaunchKernel",
     [](const Context&, const Module&, const DeviceMemory&, const Stream& stream, const Event&) {
       expect(launch_outcome(known_function, {}, {}, 0, stream), CUDA_ERROR_ILLEGAL_ADDRESS);
     }},
};

[[maybe_unused]] const bool added = [] {
  for (const After& after : kAfter) {
    add_case(std::string("sticky_after.") + after.name, Process::own, [&after] {
      const Context context;
      const Module module;
      const DeviceMemory memory(64);
      const Stream stream;
      const Event event;
      known_function = module.function("noop");
      fault(module);
      after.check(context, module, memory, stream, event);
    });
  }
  return true;
}();

OWN_PROCESS_CASE(sticky, for_every_thread_and_for_good) {
  const Context context;
  const Module module;
  fault(module);
  on_other_thread([&] {
    expect_ok(CU(cuCtxSetCurrent, context.get()));
    expect(CU(cuCtxSynchronize), CUDA_ERROR_ILLEGAL_ADDRESS);
  });
  for (int i = 0; i < 10; ++i) expect(CU(cuCtxSynchronize), CUDA_ERROR_ILLEGAL_ADDRESS);
}
OWN_PROCESS_CASE(sticky, what_needs_no_device_still_works) {
  const Context context;
  const Module module;
  fault(module);
  int value = 0;
  char name[64];
  const char* text = nullptr;
  CUcontext current = nullptr;
  expect_ok(CU(cuDriverGetVersion, &value));
  expect_ok(CU(cuGetErrorName, CUDA_ERROR_ILLEGAL_ADDRESS, &text));
  expect_ok(CU(cuDeviceGetCount, &value));
  expect_ok(CU(cuDeviceGetName, name, sizeof name, 0));
  expect_ok(CU(cuDeviceGetAttribute, &value, CU_DEVICE_ATTRIBUTE_WARP_SIZE, 0));
  expect_ok(CU(cuCtxGetCurrent, &current));
}
OWN_PROCESS_CASE(sticky, earlier_results_stay) {
  const Context context;
  const Module module;
  const PinnedMemory pinned(4);
  launch(module.function("store"), {}, {}, nullptr, pinned.device(), uint32_t{77});
  expect_ok(CU(cuCtxSynchronize));
  fault(module);
  expect_equal(pinned.word(), 77U, "what an earlier kernel wrote");
}
OWN_PROCESS_CASE(sticky, callbacks_hear_of_it) {
  const Context context;
  const Module module;
  const Stream stream;
  std::atomic<int> status{-1};
  launch(module.function("store"), {}, {}, stream, kNoMemory, uint32_t{1});
  // Whether the fault is known already when the callback is added is a race.
  expect_one_of(
      CU(
          cuStreamAddCallback, stream,
          [](CUstream, CUresult code, void* user) { static_cast<std::atomic<int>*>(user)->store(code); }, &status, 0),
      {CUDA_SUCCESS, CUDA_ERROR_ILLEGAL_ADDRESS});
  expect(CU(cuStreamSynchronize, stream), CUDA_ERROR_ILLEGAL_ADDRESS);
  observe("status " + std::to_string(status.load()));
  require(status.load() != 0, "the callback does not hear of success");
}
OWN_PROCESS_CASE(sticky, reset_of_the_primary_context) {
  const Context context;
  const Module module;
  fault(module);
  expect_ok(CU(cuDevicePrimaryCtxReset_v2, 0));
  CUcontext again = nullptr;
  expect(CU(cuDevicePrimaryCtxRetain, &again, 0), CUDA_ERROR_ILLEGAL_ADDRESS);
}

OWN_PROCESS_CASE(sticky, illegal_read) {
  const Context context;
  const Module module;
  const DeviceMemory memory(4);
  launch(module.function("copy_word"), {}, {}, nullptr, memory.at(), kNoMemory);
  expect(CU(cuCtxSynchronize), CUDA_ERROR_ILLEGAL_ADDRESS);
}
OWN_PROCESS_CASE(sticky, misaligned) {
  const Context context;
  const Module module;
  const DeviceMemory memory(16);
  launch(module.function("store"), {}, {}, nullptr, memory.at(1), uint32_t{1});
  expect(CU(cuCtxSynchronize), CUDA_ERROR_MISALIGNED_ADDRESS);
  CUdeviceptr other = 0;
  expect(CU(cuMemAlloc_v2, &other, 64), CUDA_ERROR_MISALIGNED_ADDRESS);
}
OWN_PROCESS_CASE(sticky, trap) {
  const Context context;
  const Module module;
  launch(module.function("trap_now"), {}, {}, nullptr);
  expect(CU(cuCtxSynchronize), CUDA_ERROR_LAUNCH_FAILED);
  CUdeviceptr other = 0;
  expect(CU(cuMemAlloc_v2, &other, 64), CUDA_ERROR_LAUNCH_FAILED);
}
OWN_PROCESS_CASE(sticky, assertion) {
  const Context context;
  const Module module(kPrinting);
  launch(module.function("fail_assertion"), {}, {}, nullptr);
  expect(CU(cuCtxSynchronize), CUDA_ERROR_ASSERT);
  CUdeviceptr other = 0;
  expect(CU(cuMemAlloc_v2, &other, 64), CUDA_ERROR_ASSERT);
}

}  // namespace
}  // namespace conformance
