// What legacy requests have the GPU do: the driver, opened when the first of them needs it, one context, one kernel.
#pragma once

#include <optional>
#include <string>

#include "worker/driver/library.hpp"
#include "worker/legacy/request.hpp"

namespace vgpu::worker::legacy {

using namespace cuda;

class Gpu {
 public:
  /// `driver`: as for open_driver().
  explicit Gpu(std::string driver) : driver_(std::move(driver)) {}

  /// The sum modulo 2^32. An error, whose text says which call failed, may have poisoned the process: it is to be
  /// ended. So also below.
  base::Result<uint32_t> add(uint32_t left, uint32_t right);
  /// The results and the data of VGPU_LEGACY_DEVICE_INFORMATION.
  base::Result<Response> information();

 private:
  base::Result<void> open();
  base::Result<void> make_ready();
  /// An error with the name of the call, unless `result` is success.
  base::Result<void> check(CUresult result, const char* call) const;

  std::string driver_;
  std::optional<DriverLibrary> library_;  // initialised
  CUdevice device_ = 0;
  CUcontext context_ = nullptr;
  CUfunction kernel_ = nullptr;
  CUdeviceptr sum_ = 0;  // where the kernel leaves it
};

}  // namespace vgpu::worker::legacy
