// What a CUDA program would meet on this machine: the driver library that it would find, and a copy to the GPU and
// back.
#pragma once

#include <chrono>
#include <string>

namespace vgpu::guest {

struct CudaCheck {
  /// How far it came; each step includes those before it.
  enum class Reached { nothing, library, driver, context, copies };
  Reached reached = Reached::nothing;
  std::string library;  // the file that was loaded
  std::string device_name;
  int driver_version = 0;
  int error = 0;              // CUresult of the call that failed
  std::string failed;         // that call
  std::string said;           // by the library, on standard error
  double to_device_mb_s = 0;  // megabytes a second, from pageable memory
  double from_device_mb_s = 0;
  bool is_over_time = false;

  bool is_good() const { return reached == Reached::copies; }
};

/// Runs in a process of its own, which is ended after `longest`: whatever the library does, this returns. `socket`: for
/// VGPU_SOCKET; empty leaves the environment alone.
CudaCheck check_cuda(const std::string& socket, std::chrono::milliseconds longest = std::chrono::seconds(120));

}  // namespace vgpu::guest
