// SPDX-License-Identifier: Apache-2.0
// The driver under measurement, a context on its first device, and our kernels in it.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

#include "common/api/driver.gen.hpp"

namespace bench {

using namespace vgpu::cuda;

/// A call of the driver that failed: the measurement ends, and main() says so.
struct Failed : std::runtime_error {
  Failed(const char* call, CUresult result);
  explicit Failed(const std::string& sentence) : std::runtime_error(sentence) {}
};

inline void check(CUresult result, const char* call) {
  if (result != CUDA_SUCCESS) [[unlikely]]
    throw Failed(call, result);
}

/// libcuda.so.1 as the dynamic linker finds it, with the calls that we need all there.
class Driver {
 public:
  Driver();
  const DriverTable* operator->() const { return &table_; }

 private:
  DriverTable table_;
};

/// The primary context of device 0, current in the thread that makes this; given back at the end.
class Device {
 public:
  explicit Device(const Driver& driver);
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  const Driver& driver() const { return driver_; }
  const std::string& name() const { return name_; }
  int driver_version() const { return version_; }
  /// Every thread that calls the driver does this first.
  void make_current() const { check(driver_->cuCtxSetCurrent(context_), "cuCtxSetCurrent"); }
  /// Launches the kernel that does nothing, in one block of 32 threads.
  CUresult launch_nothing(CUstream stream) const;
  /// Launches the kernel that is busy for so many rounds, in one thread.
  CUresult launch_busy(CUstream stream, uint32_t rounds) const;

 private:
  const Driver& driver_;
  CUdevice device_ = 0;
  CUcontext context_ = nullptr;
  CUmodule module_ = nullptr;
  CUfunction nothing_ = nullptr;
  CUfunction busy_ = nullptr;
  CUdeviceptr word_ = 0;
  std::string name_;
  int version_ = 0;
};

/// A stream that no other waits for.
class OwnStream {
 public:
  explicit OwnStream(const Device& device);
  ~OwnStream();
  OwnStream(const OwnStream&) = delete;
  OwnStream& operator=(const OwnStream&) = delete;
  CUstream get() const { return stream_; }
  void synchronise() const { check(device_.driver()->cuStreamSynchronize(stream_), "cuStreamSynchronize"); }

 private:
  const Device& device_;
  CUstream stream_ = nullptr;
};

}  // namespace bench
