// SPDX-License-Identifier: Apache-2.0
// cuInit, and what works before it.
#include "tests/conformance/fixtures/objects.hpp"
#include "tests/conformance/harness/registry.hpp"

namespace conformance {
namespace {

UNINITIALISED_CASE(init, device_calls_before) {
  int number = 0;
  char name[64];
  CUdevice device = 0;
  size_t bytes = 0;
  CUuuid uuid;
  expect(CU(cuDeviceGetCount, &number), CUDA_ERROR_NOT_INITIALIZED);
  expect(CU(cuDeviceGet, &device, 0), CUDA_ERROR_NOT_INITIALIZED);
  expect(CU(cuDeviceGetName, name, sizeof name, 0), CUDA_ERROR_NOT_INITIALIZED);
  expect(CU(cuDeviceGetAttribute, &number, CU_DEVICE_ATTRIBUTE_WARP_SIZE, 0), CUDA_ERROR_NOT_INITIALIZED);
  expect(CU(cuDeviceTotalMem_v2, &bytes, 0), CUDA_ERROR_NOT_INITIALIZED);
  expect(CU(cuDeviceGetUuid_v2, &uuid, 0), CUDA_ERROR_NOT_INITIALIZED);
}

UNINITIALISED_CASE(init, primary_context_before) {
  CUcontext context = nullptr;
  unsigned flags = 0;
  int active = 0;
  expect(CU(cuDevicePrimaryCtxRetain, &context, 0), CUDA_ERROR_NOT_INITIALIZED);
  expect(CU(cuDevicePrimaryCtxGetState, 0, &flags, &active), CUDA_ERROR_NOT_INITIALIZED);
  expect(CU(cuDevicePrimaryCtxRelease_v2, 0), CUDA_ERROR_NOT_INITIALIZED);
}

UNINITIALISED_CASE(init, context_calls_before) {
  CUcontext context = nullptr;
  CUdevice device = 0;
  expect(CU(cuCtxCreate_v2, &context, 0, 0), CUDA_ERROR_NOT_INITIALIZED);
  expect(CU(cuCtxGetCurrent, &context), CUDA_ERROR_NOT_INITIALIZED);
  expect(CU(cuCtxSetCurrent, nullptr), CUDA_ERROR_NOT_INITIALIZED);
  expect(CU(cuCtxGetDevice, &device), CUDA_ERROR_NOT_INITIALIZED);
  expect(CU(cuCtxSynchronize), CUDA_ERROR_NOT_INITIALIZED);
}

UNINITIALISED_CASE(init, memory_calls_before) {
  CUdeviceptr address = 0;
  void* memory = nullptr;
  size_t free = 0, total = 0;
  expect(CU(cuMemAlloc_v2, &address, 16), CUDA_ERROR_NOT_INITIALIZED);
  expect(CU(cuMemHostAlloc, &memory, 16, 0), CUDA_ERROR_NOT_INITIALIZED);
  expect(CU(cuMemGetInfo_v2, &free, &total), CUDA_ERROR_NOT_INITIALIZED);
}

UNINITIALISED_CASE(init, object_calls_before) {
  CUstream stream = nullptr;
  CUevent event = nullptr;
  CUmodule module = nullptr;
  expect(CU(cuStreamCreate, &stream, 0), CUDA_ERROR_NOT_INITIALIZED);
  expect(CU(cuStreamSynchronize, nullptr), CUDA_ERROR_NOT_INITIALIZED);
  expect(CU(cuEventCreate, &event, 0), CUDA_ERROR_NOT_INITIALIZED);
  expect(CU(cuModuleLoadData, &module, kNoop), CUDA_ERROR_NOT_INITIALIZED);
}

UNINITIALISED_CASE(init, graph_calls_before) {
  CUgraph graph = nullptr;
  CUgraphNode node = nullptr;
  expect(CU(cuGraphCreate, &graph, 0), CUDA_ERROR_NOT_INITIALIZED);
  // It looks at the graph first, and there can be none yet.
  expect(CU(cuGraphAddEmptyNode, &node, nullptr, nullptr, 0), CUDA_ERROR_INVALID_VALUE);
}

UNINITIALISED_CASE(init, calls_that_need_no_init) {
  int version = 0;
  expect_ok(CU(cuDriverGetVersion, &version));
  require(version >= 12000 && version < 20000, "the version is one of CUDA 12 to 19");
  observe("version " + std::to_string(version));
  const char* text = nullptr;
  expect_ok(CU(cuGetErrorName, CUDA_ERROR_NOT_INITIALIZED, &text));
  expect_ok(CU(cuGetErrorString, CUDA_ERROR_NOT_INITIALIZED, &text));
  void* function = nullptr;
  unsigned status = 99;
  expect_ok(CU(cuGetProcAddress_v2, "cuInit", &function, 12000, 0, &status));
  require(function != nullptr, "cuGetProcAddress finds cuInit before cuInit");
}

UNINITIALISED_CASE(init, flags_must_be_zero) {
  expect(CU(cuInit, 1), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuInit, 0x80000000U), CUDA_ERROR_INVALID_VALUE);
  int count = 0;
  expect(CU(cuDeviceGetCount, &count), CUDA_ERROR_NOT_INITIALIZED);
  expect_ok(CU(cuInit, 0));
  expect_ok(CU(cuDeviceGetCount, &count));
}

UNINITIALISED_CASE(init, may_be_repeated) {
  for (int i = 0; i < 3; ++i) expect_ok(CU(cuInit, 0));
  on_other_thread([] { expect_ok(CU(cuInit, 0)); });
  CUcontext context = reinterpret_cast<CUcontext>(1);
  expect_ok(CU(cuCtxGetCurrent, &context));
  require(context == nullptr, "cuInit makes no context current");
}

UNINITIALISED_CASE(init, from_two_threads_at_once) {
  std::atomic<int> ready{0};
  CUresult results[2] = {};
  std::thread threads[2];
  for (int i = 0; i < 2; ++i) {
    threads[i] = std::thread([&, i] {
      ++ready;
      while (ready < 2) std::this_thread::yield();
      results[i] = driver().cuInit(0);
    });
  }
  for (auto& thread : threads) thread.join();
  expect_ok(Outcome{"cuInit", results[0]});
  expect_ok(Outcome{"cuInit", results[1]});
}

CASE(init, version_needs_a_place) { expect(CU(cuDriverGetVersion, nullptr), CUDA_ERROR_INVALID_VALUE); }

}  // namespace
}  // namespace conformance
