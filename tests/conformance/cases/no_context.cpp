// SPDX-License-Identifier: Apache-2.0
// Calls that need a current context, made by a thread that has none: one case for each.
#include "tests/conformance/fixtures/objects.hpp"
#include "tests/conformance/harness/registry.hpp"

namespace conformance {
namespace {

using Call = Outcome (*)();

struct Row {
  const char* name;
  Call call;
  bool exactly;  ///< only INVALID_CONTEXT; else a check of the arguments may come first, or the call works without
};

// Places for results that are never looked at.
CUdeviceptr address;
void* memory;
size_t bytes, more_bytes;
unsigned number;
int least, greatest;
CUstream stream;
CUevent event;
CUmodule module;
CUlibrary library;
CUgraph graph;
CUmemoryPool pool;
CUdevice device;
uint8_t host[16];
alignas(4096) uint8_t page[4096];
constexpr CUdeviceptr kNowhere = 0x7000000000;

#define ROW(exactly, function, ...)                                \
  {                                                                \
#function, [] { return CU(function, ##__VA_ARGS__); }, exactly \
  }

const Row kRows[] = {
    ROW(true, cuCtxGetDevice, &device),
    ROW(true, cuCtxGetFlags, &number),
    ROW(true, cuCtxGetLimit, &bytes, CU_LIMIT_STACK_SIZE),
    ROW(true, cuCtxSetLimit, CU_LIMIT_STACK_SIZE, 2048),
    ROW(true, cuCtxGetCacheConfig, &number),
    ROW(true, cuCtxSetCacheConfig, 0),
    ROW(true, cuCtxGetStreamPriorityRange, &least, &greatest),
    ROW(true, cuCtxSynchronize),
    ROW(true, cuCtxResetPersistingL2Cache),
    ROW(true, cuMemAlloc_v2, &address, 64),
    ROW(true, cuMemAllocPitch_v2, &address, &bytes, 64, 4, 4),
    ROW(true, cuMemAllocAsync, &address, 64, nullptr),
    ROW(true, cuMemHostAlloc, &memory, 64, 0),
    ROW(true, cuMemAllocHost_v2, &memory, 64),
    ROW(true, cuMemGetInfo_v2, &bytes, &more_bytes),
    ROW(false, cuMemGetAddressRange_v2, &address, &bytes, kNowhere),
    ROW(false, cuMemFree_v2, kNowhere),
    ROW(false, cuMemFreeHost, host),
    ROW(true, cuMemHostRegister_v2, page, sizeof page, 0),
    ROW(false, cuMemHostUnregister, page),
    ROW(false, cuMemHostGetDevicePointer_v2, &address, page, 0),
    ROW(true, cuMemcpyHtoD_v2, kNowhere, host, sizeof host),
    ROW(true, cuMemcpyDtoH_v2, host, kNowhere, sizeof host),
    ROW(true, cuMemcpyDtoD_v2, kNowhere, kNowhere + 64, 16),
    ROW(true, cuMemcpyHtoDAsync_v2, kNowhere, host, sizeof host, nullptr),
    ROW(true, cuMemcpyDtoHAsync_v2, host, kNowhere, sizeof host, nullptr),
    ROW(true, cuMemsetD8_v2, kNowhere, 0, 16),
    ROW(true, cuMemsetD32Async, kNowhere, 0, 4, nullptr),
    ROW(true, cuModuleLoadData, &module, kNoop),
    ROW(true, cuModuleLoadDataEx, &module, kNoop, 0, nullptr, nullptr),
    ROW(false, cuLibraryLoadData, &library, kNoop, nullptr, nullptr, 0, nullptr, nullptr, 0),
    ROW(true, cuStreamCreate, &stream, 0),
    ROW(true, cuStreamCreateWithPriority, &stream, 0, 0),
    ROW(true, cuStreamSynchronize, nullptr),
    ROW(true, cuStreamQuery, nullptr),
    ROW(false, cuStreamBeginCapture_v2, nullptr, CU_STREAM_CAPTURE_MODE_RELAXED),
    ROW(
        false, cuLaunchHostFunc, nullptr, [](void*) {}, nullptr),
    ROW(true, cuEventCreate, &event, 0),
    ROW(false, cuGraphCreate, &graph, 0),
    ROW(false, cuDeviceGetDefaultMemPool, &pool, 0),
};

[[maybe_unused]] const bool added = [] {
  for (const Row& row : kRows) {
    add_case(std::string("no_context.") + row.name, Process::shared, [&row] {
      if (row.exactly) {
        expect(row.call(), CUDA_ERROR_INVALID_CONTEXT);
      } else {
        expect_one_of(row.call(),
                      {CUDA_ERROR_INVALID_CONTEXT, CUDA_ERROR_INVALID_VALUE, CUDA_ERROR_NOT_FOUND,
                       CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, CUDA_SUCCESS});
      }
      CUcontext current = reinterpret_cast<CUcontext>(1);
      expect_ok(CU(cuCtxGetCurrent, &current));
      require(current == nullptr, "the call made no context current");
    });
  }
  return true;
}();

}  // namespace
}  // namespace conformance
