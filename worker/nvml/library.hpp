// The NVML that this worker asks for its client: the real one beside the real driver, or what CUDA knows.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "common/api/nvml_functions.gen.hpp"
#include "worker/driver/library.hpp"

namespace vgpu::worker::nvml {

using namespace ::vgpu::nvml;

class Library {
 public:
  /// The driver must outlive it.
  explicit Library(const DriverLibrary& driver) : driver_(&driver) {}

  /// Opens and initialises it at the first call; it stays open until the process ends. Later calls give the same
  /// result.
  nvmlReturn_t open();
  /// Why it could not be opened, for the operator; empty from the second time on.
  std::string take_complaint() { return std::exchange(complaint_, {}); }

  // After open() has succeeded.
  const Functions& functions() const { return functions_; }
  uint32_t device_count() const { return device_count_; }
  /// By the number that the guest knows it by; false if there is none.
  bool device(uint32_t index, nvmlDevice_t& handle) const;
  /// Whether this is the device of the driver with that number.
  bool is_same(nvmlDevice_t handle, int driver_device) const;
  /// Memory that this process holds there, `allocated` if the library does not know.
  uint64_t own_memory(nvmlDevice_t handle, uint64_t allocated) const;

 private:
  nvmlReturn_t open_real();
  nvmlReturn_t initialise();

  const DriverLibrary* driver_;
  Functions functions_;
  uint32_t device_count_ = 0;
  bool is_tried_ = false;
  std::string complaint_;
  nvmlReturn_t opened_ = NVML_ERROR_UNINITIALIZED;
};

}  // namespace vgpu::worker::nvml
