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
  CUresult code;  ///< mostly INVALID_CONTEXT; but a check of the arguments may come first, or the call works without
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

#define ROW_THAT_GIVES(code, function, ...)                     \
  {                                                             \
#function, [] { return CU(function, ##__VA_ARGS__); }, code \
  }
#define ROW(function, ...) ROW_THAT_GIVES(CUDA_ERROR_INVALID_CONTEXT, function, ##__VA_ARGS__)

const Row kRows[] = {
    ROW(cuCtxGetDevice, &device),
    ROW(cuCtxGetFlags, &number),
    ROW(cuCtxGetLimit, &bytes, CU_LIMIT_STACK_SIZE),
    ROW(cuCtxSetLimit, CU_LIMIT_STACK_SIZE, 2048),
    ROW(cuCtxGetCacheConfig, &number),
    ROW(cuCtxSetCacheConfig, 0),
    ROW(cuCtxGetStreamPriorityRange, &least, &greatest),
    ROW(cuCtxSynchronize),
    ROW(cuCtxResetPersistingL2Cache),
    ROW(cuMemAlloc_v2, &address, 64),
    ROW(cuMemAllocPitch_v2, &address, &bytes, 64, 4, 4),
    ROW(cuMemAllocAsync, &address, 64, nullptr),
    ROW(cuMemHostAlloc, &memory, 64, 0),
    ROW(cuMemAllocHost_v2, &memory, 64),
    ROW(cuMemGetInfo_v2, &bytes, &more_bytes),
    ROW(cuMemGetAddressRange_v2, &address, &bytes, kNowhere),
    ROW_THAT_GIVES(CUDA_ERROR_INVALID_VALUE, cuMemFree_v2, kNowhere),
    ROW_THAT_GIVES(CUDA_ERROR_INVALID_VALUE, cuMemFreeHost, host),
    ROW(cuMemHostRegister_v2, page, sizeof page, 0),
    ROW_THAT_GIVES(CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED, cuMemHostUnregister, page),
    ROW(cuMemHostGetDevicePointer_v2, &address, page, 0),
    ROW(cuMemcpyHtoD_v2, kNowhere, host, sizeof host),
    ROW(cuMemcpyDtoH_v2, host, kNowhere, sizeof host),
    ROW(cuMemcpyDtoD_v2, kNowhere, kNowhere + 64, 16),
    ROW(cuMemcpyHtoDAsync_v2, kNowhere, host, sizeof host, nullptr),
    ROW(cuMemcpyDtoHAsync_v2, host, kNowhere, sizeof host, nullptr),
    ROW(cuMemsetD8_v2, kNowhere, 0, 16),
    ROW(cuMemsetD32Async, kNowhere, 0, 4, nullptr),
    ROW(cuModuleLoadData, &module, kNoop),
    ROW(cuModuleLoadDataEx, &module, kNoop, 0, nullptr, nullptr),
    ROW_THAT_GIVES(CUDA_SUCCESS, cuLibraryLoadData, &library, kNoop, nullptr, nullptr, 0, nullptr, nullptr, 0),
    ROW(cuStreamCreate, &stream, 0),
    ROW(cuStreamCreateWithPriority, &stream, 0, 0),
    ROW(cuStreamSynchronize, nullptr),
    ROW(cuStreamQuery, nullptr),
    ROW(cuStreamBeginCapture_v2, nullptr, CU_STREAM_CAPTURE_MODE_RELAXED),
    ROW(
        cuLaunchHostFunc, nullptr, [](void*) {}, nullptr),
    ROW(cuEventCreate, &event, 0),
    ROW_THAT_GIVES(CUDA_SUCCESS, cuGraphCreate, &graph, 0),
    ROW_THAT_GIVES(CUDA_SUCCESS, cuDeviceGetDefaultMemPool, &pool, 0),
};

[[maybe_unused]] const bool added = [] {
  for (const Row& row : kRows) {
    add_case(std::string("no_context.") + row.name, Process::shared, [&row] {
      expect(row.call(), row.code);
      CUcontext current = reinterpret_cast<CUcontext>(1);
      expect_ok(CU(cuCtxGetCurrent, &current));
      require(current == nullptr, "the call made no context current");
    });
  }
  return true;
}();

}  // namespace
}  // namespace conformance
