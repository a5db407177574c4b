// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/path/device.hpp"

#include <dlfcn.h>

#include "bench_kernels.gen.h"

namespace bench {
namespace {

void* open_library() {
  void* library = ::dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) throw Failed(std::string("cannot open libcuda.so.1: ") + ::dlerror());
  return library;
}

}  // namespace

Failed::Failed(const char* call, CUresult result)
    : std::runtime_error(std::string(call) + " gives error " + std::to_string(static_cast<int>(result))) {}

Driver::Driver() {
  void* library = open_library();
  for_each_function(table_, [library](const char* symbol, void** slot) { *slot = ::dlsym(library, symbol); });
  const bool complete =
      table_.cuInit != nullptr && table_.cuDevicePrimaryCtxRetain != nullptr && table_.cuCtxGetLimit != nullptr &&
      table_.cuLaunchKernel != nullptr && table_.cuMemHostAlloc != nullptr && table_.cuStreamSynchronize != nullptr &&
      table_.cuMemcpyHtoD_v2 != nullptr && table_.cuMemcpyDtoH_v2 != nullptr && table_.cuEventElapsedTime != nullptr;
  if (!complete) throw Failed("libcuda.so.1 lacks calls that every CUDA driver has");
}

Device::Device(const Driver& driver) : driver_(driver) {
  check(driver->cuInit(0), "cuInit");
  check(driver->cuDriverGetVersion(&version_), "cuDriverGetVersion");
  check(driver->cuDeviceGet(&device_, 0), "cuDeviceGet");
  char name[128] = {};
  check(driver->cuDeviceGetName(name, sizeof name - 1, device_), "cuDeviceGetName");
  name_ = name;
  check(driver->cuDevicePrimaryCtxRetain(&context_, device_), "cuDevicePrimaryCtxRetain");
  make_current();
  check(driver->cuModuleLoadData(&module_, bench_kernels), "cuModuleLoadData");
  check(driver->cuModuleGetFunction(&nothing_, module_, "nothing"), "cuModuleGetFunction");
  check(driver->cuModuleGetFunction(&busy_, module_, "busy"), "cuModuleGetFunction");
  check(driver->cuMemAlloc_v2(&word_, sizeof(uint32_t)), "cuMemAlloc");
}

Device::~Device() {
  // The process is about to end; what fails here was failing before, and has been told.
  static_cast<void>(driver_->cuMemFree_v2(word_));
  static_cast<void>(driver_->cuModuleUnload(module_));
  static_cast<void>(driver_->cuDevicePrimaryCtxRelease_v2(device_));
}

CUresult Device::launch_nothing(CUstream stream) const {
  CUdeviceptr where = word_;
  uint32_t value = 0, count = 0;
  void* parameters[] = {&where, &value, &count};
  return driver_->cuLaunchKernel(nothing_, 1, 1, 1, 32, 1, 1, 0, stream, parameters, nullptr);
}

CUresult Device::launch_busy(CUstream stream, uint32_t rounds) const {
  CUdeviceptr where = word_;
  void* parameters[] = {&where, &rounds};
  return driver_->cuLaunchKernel(busy_, 1, 1, 1, 1, 1, 1, 0, stream, parameters, nullptr);
}

OwnStream::OwnStream(const Device& device) : device_(device) {
  check(device.driver()->cuStreamCreate(&stream_, CU_STREAM_NON_BLOCKING), "cuStreamCreate");
}

OwnStream::~OwnStream() { static_cast<void>(device_.driver()->cuStreamDestroy_v2(stream_)); }

}  // namespace bench
