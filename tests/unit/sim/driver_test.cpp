// The exported functions: contexts, memory, streams, events, modules.
#include <cstring>
#include <future>
#include <thread>

#include "tests/unit/sim/driver_fixture.hpp"

using namespace vgpu::sim::test;

TEST_CASE("the device describes itself") {
  const DriverTable& cu = driver();
  int count = 0, major = 0, version = 0;
  CHECK(cu.cuDeviceGetCount(&count) == CUDA_SUCCESS);
  CHECK(count == 1);
  char name[64] = {};
  CHECK(cu.cuDeviceGetName(name, sizeof name, 0) == CUDA_SUCCESS);
  CHECK(std::string(name) == "vGPU Software GPU");
  CHECK(cu.cuDeviceGetAttribute(&major, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, 0) == CUDA_SUCCESS);
  CHECK(major == 9);
  CHECK(cu.cuDriverGetVersion(&version) == CUDA_SUCCESS);
  CHECK(version == 13000);
  CHECK(cu.cuDeviceGetAttribute(&major, 100000, 0) == CUDA_ERROR_INVALID_VALUE);
  CHECK(cu.cuDeviceGetAttribute(&major, 1, 1) == CUDA_ERROR_INVALID_DEVICE);
}

TEST_CASE("calls without a context say so") {
  CUdeviceptr address = 0;
  CUcontext current = reinterpret_cast<CUcontext>(1);
  CHECK(driver().cuCtxGetCurrent(&current) == CUDA_SUCCESS);
  CHECK(current == nullptr);
  CHECK(driver().cuMemAlloc_v2(&address, 4) == CUDA_ERROR_INVALID_CONTEXT);
}

TEST_CASE("the primary context keeps its handle") {
  const DriverTable& cu = driver();
  CUcontext first = nullptr, second = nullptr;
  unsigned flags = 0;
  int active = 1;
  REQUIRE(cu.cuDevicePrimaryCtxRetain(&first, 0) == CUDA_SUCCESS);
  CHECK(cu.cuDevicePrimaryCtxRelease_v2(0) == CUDA_SUCCESS);
  CHECK(cu.cuDevicePrimaryCtxGetState(0, &flags, &active) == CUDA_SUCCESS);
  CHECK(active == 0);
  CHECK(cu.cuDevicePrimaryCtxRelease_v2(0) == CUDA_ERROR_INVALID_CONTEXT);
  REQUIRE(cu.cuDevicePrimaryCtxRetain(&second, 0) == CUDA_SUCCESS);
  CHECK(first == second);
  CHECK(cu.cuDevicePrimaryCtxRelease_v2(0) == CUDA_SUCCESS);
}

TEST_CASE("memory goes there and back") {
  const DriverContext context;
  const DriverTable& cu = driver();
  std::vector<int> out(1000), in(1000);
  for (int i = 0; i < 1000; ++i) out[static_cast<std::size_t>(i)] = i * 3;
  const CUdeviceptr address = allocate(4000);
  CHECK(cu.cuMemcpyHtoD_v2(address, out.data(), 4000) == CUDA_SUCCESS);
  CHECK(cu.cuMemcpyDtoH_v2(in.data(), address, 4000) == CUDA_SUCCESS);
  CHECK(in == out);
  CHECK(cu.cuMemcpyHtoD_v2(address, out.data(), 4001) == CUDA_ERROR_INVALID_VALUE);
  CHECK(cu.cuMemsetD32_v2(address, 0x01020304, 1000) == CUDA_SUCCESS);
  CHECK(cu.cuMemcpyDtoH_v2(in.data(), address, 4000) == CUDA_SUCCESS);
  CHECK(in[999] == 0x01020304);
  CHECK(cu.cuMemFree_v2(address + 4) == CUDA_ERROR_INVALID_VALUE);
  CHECK(cu.cuMemFree_v2(address) == CUDA_SUCCESS);
  CHECK(cu.cuMemFree_v2(address) == CUDA_ERROR_INVALID_VALUE);
}

TEST_CASE("rows are copied by pitch") {
  const DriverContext context;
  const DriverTable& cu = driver();
  CUdeviceptr address = 0;
  std::size_t pitch = 0;
  REQUIRE(cu.cuMemAllocPitch_v2(&address, &pitch, 12, 4, 4) == CUDA_SUCCESS);
  CHECK(pitch >= 12);
  std::vector<int> rows(12), back(12);
  for (int i = 0; i < 12; ++i) rows[static_cast<std::size_t>(i)] = i;
  CUDA_MEMCPY2D copy{};
  copy.srcMemoryType = CU_MEMORYTYPE_HOST;
  copy.srcHost = rows.data();
  copy.srcPitch = 12;
  copy.dstMemoryType = CU_MEMORYTYPE_DEVICE;
  copy.dstDevice = address;
  copy.dstPitch = pitch;
  copy.WidthInBytes = 12;
  copy.Height = 4;
  CHECK(cu.cuMemcpy2D_v2(&copy) == CUDA_SUCCESS);
  CUDA_MEMCPY2D home{};
  home.srcMemoryType = CU_MEMORYTYPE_DEVICE;
  home.srcDevice = address;
  home.srcPitch = pitch;
  home.dstMemoryType = CU_MEMORYTYPE_HOST;
  home.dstHost = back.data();
  home.dstPitch = 12;
  home.WidthInBytes = 12;
  home.Height = 4;
  CHECK(cu.cuMemcpy2D_v2(&home) == CUDA_SUCCESS);
  CHECK(back == rows);
}

TEST_CASE("a kernel runs, with parameters in both forms") {
  const DriverContext context;
  const DriverTable& cu = driver();
  const TestModule module;
  const CUdeviceptr word = allocate(4);
  unsigned value = 0;
  CHECK(launch(module.function("store"), nullptr, 1, 1, word, 41u) == CUDA_SUCCESS);
  CHECK(launch(module.function("add_one"), nullptr, 1, 1, word) == CUDA_SUCCESS);
  CHECK(cu.cuMemcpyDtoH_v2(&value, word, 4) == CUDA_SUCCESS);
  CHECK(value == 42);
  struct {
    CUdeviceptr at;
    unsigned value;
  } block{word, 99};
  std::size_t size = sizeof block;
  void* extra[] = {reinterpret_cast<void*>(kLaunchParamBufferPointer), &block,
                   reinterpret_cast<void*>(kLaunchParamBufferSize), &size, nullptr};
  CHECK(cu.cuLaunchKernel(module.function("store"), 1, 1, 1, 1, 1, 1, 0, nullptr, nullptr, extra) == CUDA_SUCCESS);
  CHECK(cu.cuMemcpyDtoH_v2(&value, word, 4) == CUDA_SUCCESS);
  CHECK(value == 99);
  CHECK(launch(module.function("store"), nullptr, 1, 2048, word, 1u) == CUDA_ERROR_INVALID_VALUE);
  CHECK(launch(module.function("store"), nullptr, 0, 1, word, 1u) == CUDA_ERROR_INVALID_VALUE);
}

TEST_CASE("an illegal address is the context's error from then on") {
  const DriverTable& cu = driver();
  {
    const DriverContext context;
    const TestModule module;
    const CUdeviceptr word = allocate(4);
    const CUfunction nothing = module.function("nothing");
    CHECK(launch(module.function("store"), nullptr, 1, 1, word + 4, 1u) == CUDA_SUCCESS);
    CHECK(cu.cuCtxSynchronize() == CUDA_ERROR_ILLEGAL_ADDRESS);
    CUdeviceptr other = 0;
    CHECK(cu.cuMemAlloc_v2(&other, 4) == CUDA_ERROR_ILLEGAL_ADDRESS);
    CHECK(launch(nothing, nullptr, 1, 1) == CUDA_ERROR_ILLEGAL_ADDRESS);
  }
  const DriverContext fresh;
  CHECK(cu.cuCtxSynchronize() == CUDA_SUCCESS);
}

TEST_CASE("freed memory is poisoned") {
  const DriverContext context;
  const TestModule module;
  const CUdeviceptr word = allocate(4);
  CHECK(driver().cuMemFree_v2(word) == CUDA_SUCCESS);
  CHECK(launch(module.function("store"), nullptr, 1, 1, word, 1u) == CUDA_SUCCESS);
  CHECK(driver().cuCtxSynchronize() == CUDA_ERROR_ILLEGAL_ADDRESS);
}

TEST_CASE("kernels reach pinned and registered memory by its host address") {
  const DriverContext context;
  const DriverTable& cu = driver();
  const TestModule module;
  std::vector<unsigned> words(4096);
  CHECK(cu.cuMemHostRegister_v2(words.data(), words.size() * 4, 0) == CUDA_SUCCESS);
  CHECK(cu.cuMemHostRegister_v2(words.data() + 8, 64, 0) == CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED);
  CUdeviceptr device = 0;
  CHECK(cu.cuMemHostGetDevicePointer_v2(&device, words.data(), 0) == CUDA_SUCCESS);
  CHECK(device == reinterpret_cast<CUdeviceptr>(words.data()));
  CHECK(launch(module.function("store"), nullptr, 1, 1, device, 5u) == CUDA_SUCCESS);
  CHECK(cu.cuCtxSynchronize() == CUDA_SUCCESS);
  CHECK(words[0] == 5);
  CHECK(cu.cuMemHostUnregister(words.data()) == CUDA_SUCCESS);
  CHECK(cu.cuMemHostUnregister(words.data()) == CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED);
}

TEST_CASE("a copy across two registrations is refused") {
  const DriverContext context;
  const DriverTable& cu = driver();
  std::vector<unsigned char> bytes(16384);
  REQUIRE(cu.cuMemHostRegister_v2(bytes.data(), 8192, 0) == CUDA_SUCCESS);
  REQUIRE(cu.cuMemHostRegister_v2(bytes.data() + 8192, 8192, 0) == CUDA_SUCCESS);
  const CUdeviceptr to = allocate(16384);
  CHECK(cu.cuMemcpyHtoD_v2(to, bytes.data(), 16384) == CUDA_ERROR_INVALID_VALUE);
  CHECK(cu.cuMemcpyHtoD_v2(to, bytes.data(), 8192) == CUDA_SUCCESS);
  REQUIRE(cu.cuMemHostUnregister(bytes.data() + 8192) == CUDA_SUCCESS);
  CHECK(cu.cuMemcpyHtoD_v2(to, bytes.data() + 4096, 8192) == CUDA_ERROR_INVALID_VALUE);
  CHECK(cu.cuMemcpyHtoD_v2(to, bytes.data() + 8192, 8192) == CUDA_SUCCESS);
  CHECK(cu.cuMemHostUnregister(bytes.data()) == CUDA_SUCCESS);
}

TEST_CASE("streams: work is in order, other streams need events") {
  const DriverContext context;
  const DriverTable& cu = driver();
  const TestModule module;
  const CUstream first = new_stream(), second = new_stream();
  const CUdeviceptr word = allocate(4);
  CUevent event = nullptr;
  REQUIRE(cu.cuEventCreate(&event, 0) == CUDA_SUCCESS);
  Spin spin(module, first);
  CHECK(launch(module.function("store"), first, 1, 1, word, 10u) == CUDA_SUCCESS);
  CHECK(cu.cuEventRecord(event, first) == CUDA_SUCCESS);
  CHECK(cu.cuStreamWaitEvent(second, event, 0) == CUDA_SUCCESS);
  CHECK(launch(module.function("add_one"), second, 1, 1, word) == CUDA_SUCCESS);
  CHECK(cu.cuEventQuery(event) == CUDA_ERROR_NOT_READY);
  CHECK(cu.cuStreamQuery(second) == CUDA_ERROR_NOT_READY);
  spin.release();
  CHECK(cu.cuStreamSynchronize(second) == CUDA_SUCCESS);
  CHECK(cu.cuEventQuery(event) == CUDA_SUCCESS);
  unsigned value = 0;
  CHECK(cu.cuMemcpyDtoH_v2(&value, word, 4) == CUDA_SUCCESS);
  CHECK(value == 11);
}

TEST_CASE("the legacy stream waits for blocking streams only") {
  const DriverContext context;
  const DriverTable& cu = driver();
  const TestModule module;
  const CUstream blocking = new_stream(CU_STREAM_DEFAULT), other = new_stream(CU_STREAM_DEFAULT),
                 free_running = new_stream();
  Spin spin(module, blocking);
  CHECK(launch(module.function("nothing"), nullptr, 1, 1) == CUDA_SUCCESS);
  CHECK(launch(module.function("nothing"), other, 1, 1) == CUDA_SUCCESS);
  CHECK(launch(module.function("nothing"), free_running, 1, 1) == CUDA_SUCCESS);
  CHECK(cu.cuStreamSynchronize(free_running) == CUDA_SUCCESS);
  CHECK(cu.cuStreamQuery(nullptr) == CUDA_ERROR_NOT_READY);
  CHECK(cu.cuStreamQuery(other) == CUDA_ERROR_NOT_READY);
  spin.release();
  CHECK(cu.cuStreamSynchronize(nullptr) == CUDA_SUCCESS);
  CHECK(cu.cuStreamSynchronize(other) == CUDA_SUCCESS);
}

TEST_CASE("events measure time") {
  const DriverContext context;
  const DriverTable& cu = driver();
  CUevent begin = nullptr, end = nullptr, untimed = nullptr;
  float milliseconds = -1;
  REQUIRE(cu.cuEventCreate(&begin, 0) == CUDA_SUCCESS);
  REQUIRE(cu.cuEventCreate(&end, 0) == CUDA_SUCCESS);
  REQUIRE(cu.cuEventCreate(&untimed, CU_EVENT_DISABLE_TIMING) == CUDA_SUCCESS);
  CHECK(cu.cuEventElapsedTime_v2(&milliseconds, begin, end) == CUDA_ERROR_INVALID_HANDLE);
  CHECK(cu.cuEventRecord(begin, nullptr) == CUDA_SUCCESS);
  CHECK(cu.cuEventRecord(end, nullptr) == CUDA_SUCCESS);
  CHECK(cu.cuEventSynchronize(end) == CUDA_SUCCESS);
  CHECK(cu.cuEventElapsedTime_v2(&milliseconds, begin, end) == CUDA_SUCCESS);
  CHECK(milliseconds >= 0);
  CHECK(cu.cuEventElapsedTime_v2(&milliseconds, begin, untimed) == CUDA_ERROR_INVALID_HANDLE);
  CHECK(cu.cuEventDestroy_v2(begin) == CUDA_SUCCESS);
  CHECK(cu.cuEventDestroy_v2(begin) == CUDA_ERROR_INVALID_HANDLE);
}

TEST_CASE("a context-wide event waits for all streams and holds up none") {
  const DriverContext context;
  const DriverTable& cu = driver();
  const TestModule module;
  const CUstream first = new_stream(), second = new_stream();
  CUevent event = nullptr;
  REQUIRE(cu.cuEventCreate(&event, CU_EVENT_DISABLE_TIMING) == CUDA_SUCCESS);
  CHECK(cu.cuCtxRecordEvent(nullptr, event) == CUDA_ERROR_INVALID_CONTEXT);
  Spin spin(module, first);
  CHECK(cu.cuCtxRecordEvent(context.handle, event) == CUDA_SUCCESS);
  CHECK(cu.cuEventQuery(event) == CUDA_ERROR_NOT_READY);
  CHECK(launch(module.function("nothing"), second, 1, 1) == CUDA_SUCCESS);
  CHECK(cu.cuStreamSynchronize(second) == CUDA_SUCCESS);
  CHECK(cu.cuEventQuery(event) == CUDA_ERROR_NOT_READY);
  spin.release();
  CHECK(cu.cuEventSynchronize(event) == CUDA_SUCCESS);
}

TEST_CASE("host functions run in order and may not call the driver") {
  const DriverContext context;
  const DriverTable& cu = driver();
  static CUresult seen = CUDA_SUCCESS;
  static int order = 0;
  order = 0;
  const CUstream stream = new_stream();
  const CUhostFn function = [](void* user) {
    std::size_t free = 0, total = 0;
    seen = driver().cuMemGetInfo_v2(&free, &total);
    *static_cast<int*>(user) = ++order;
  };
  int first = 0, second = 0;
  CHECK(cu.cuLaunchHostFunc(stream, function, &first) == CUDA_SUCCESS);
  CHECK(cu.cuLaunchHostFunc(stream, function, &second) == CUDA_SUCCESS);
  CHECK(cu.cuStreamSynchronize(stream) == CUDA_SUCCESS);
  CHECK(first == 1);
  CHECK(second == 2);
  CHECK(seen == CUDA_ERROR_NOT_PERMITTED);
}

TEST_CASE("streams write words and wait for them") {
  const DriverContext context;
  const DriverTable& cu = driver();
  PinnedWords words(2);
  const CUstream first = new_stream(), second = new_stream();
  CHECK(cu.cuStreamWaitValue32_v2(first, words.address(0), 3, 0) == CUDA_SUCCESS);
  CHECK(cu.cuStreamWriteValue32_v2(first, words.address(1), 8, 0) == CUDA_SUCCESS);
  CHECK(cu.cuStreamQuery(first) == CUDA_ERROR_NOT_READY);
  CHECK(cu.cuStreamWriteValue32_v2(second, words.address(0), 3, 0) == CUDA_SUCCESS);
  CHECK(cu.cuStreamSynchronize(first) == CUDA_SUCCESS);
  CHECK(words.load(1) == 8);
  CHECK(cu.cuStreamWriteValue32_v2(first, words.address(0) + 2, 1, 0) == CUDA_ERROR_INVALID_VALUE);
}

TEST_CASE("stream-ordered memory lives between its places in the stream") {
  const DriverContext context;
  const DriverTable& cu = driver();
  const TestModule module;
  const CUstream stream = new_stream();
  PinnedWords words(1);
  CUdeviceptr at = 0;
  CHECK(cu.cuMemAllocAsync(&at, 64, stream) == CUDA_SUCCESS);
  CHECK(launch(module.function("store"), stream, 1, 1, at, 21u) == CUDA_SUCCESS);
  CHECK(cu.cuMemcpyDtoHAsync_v2(words.data(), at, 4, stream) == CUDA_SUCCESS);
  CHECK(cu.cuMemFreeAsync(at, stream) == CUDA_SUCCESS);
  CHECK(cu.cuStreamSynchronize(stream) == CUDA_SUCCESS);
  CHECK(words.load(0) == 21);
  CHECK(launch(module.function("store"), stream, 1, 1, at, 1u) == CUDA_SUCCESS);
  CHECK(cu.cuStreamSynchronize(stream) == CUDA_ERROR_ILLEGAL_ADDRESS);
}

TEST_CASE("globals of a module can be found") {
  const DriverContext context;
  const DriverTable& cu = driver();
  CUmodule module = nullptr;
  REQUIRE(cu.cuModuleLoadData(&module, test_kernels) == CUDA_SUCCESS);
  CUdeviceptr address = 0;
  std::size_t size = 0;
  CHECK(cu.cuModuleGetGlobal_v2(&address, &size, module, "counter") == CUDA_SUCCESS);
  CHECK(size == 4);
  unsigned value = 0;
  CHECK(cu.cuMemcpyDtoH_v2(&value, address, 4) == CUDA_SUCCESS);
  CHECK(value == 7);
  CHECK(cu.cuModuleGetGlobal_v2(&address, &size, module, "none") == CUDA_ERROR_NOT_FOUND);
  CHECK(cu.cuModuleUnload(module) == CUDA_SUCCESS);
  CHECK(cu.cuModuleUnload(module) == CUDA_ERROR_INVALID_HANDLE);
}

TEST_CASE("libraries: kernels are usable as functions in every context") {
  const DriverTable& cu = driver();
  CUlibrary library = nullptr;
  REQUIRE(cu.cuLibraryLoadData(&library, test_kernels, nullptr, nullptr, 0, nullptr, nullptr, 0) == CUDA_SUCCESS);
  unsigned count = 0;
  CHECK(cu.cuLibraryGetKernelCount(&count, library) == CUDA_SUCCESS);
  CHECK(count == 5);
  CUkernel kernel = nullptr;
  REQUIRE(cu.cuLibraryGetKernel(&kernel, library, "store") == CUDA_SUCCESS);
  std::size_t offset = 0, size = 0;
  CHECK(cu.cuKernelGetParamInfo(kernel, 1, &offset, &size) == CUDA_SUCCESS);
  CHECK(offset == 8);
  CHECK(size == 4);
  CHECK(cu.cuKernelGetParamInfo(kernel, 2, &offset, &size) == CUDA_ERROR_INVALID_VALUE);
  for (int round = 0; round < 2; ++round) {
    const DriverContext context;
    const CUdeviceptr word = allocate(4);
    unsigned value = 0;
    CHECK(launch(reinterpret_cast<CUfunction>(kernel), nullptr, 1, 1, word, 77u) == CUDA_SUCCESS);
    CHECK(cu.cuMemcpyDtoH_v2(&value, word, 4) == CUDA_SUCCESS);
    CHECK(value == 77);
  }
  CHECK(cu.cuLibraryUnload(library) == CUDA_SUCCESS);
  CHECK(cu.cuLibraryGetKernelCount(&count, library) == CUDA_ERROR_INVALID_HANDLE);
}

TEST_CASE("an endless kernel ends with its context") {
  const DriverContext context;
  const TestModule module;
  PinnedWords words(2);
  CHECK(launch(module.function("spin"), new_stream(), 1, 1, words.address(0), words.address(1)) == CUDA_SUCCESS);
}
