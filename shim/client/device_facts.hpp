// What never changes about a device, fetched from the worker once (decision 13).
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "common/api/cuda_types.hpp"

namespace vgpu::shim {

using namespace vgpu::cuda;

struct DeviceFacts {
  static constexpr size_t kAttributes = 161;  // 0 is unused
  /// Marks an attribute number that the driver does not know.
  static constexpr int32_t kInvalid = INT32_MIN + 1;

  uint64_t total_memory = 0;
  CUuuid uuid{};
  std::string name;
  std::array<int32_t, kAttributes> attributes{};

  int32_t attribute(unsigned number) const { return number < kAttributes ? attributes[number] : kInvalid; }
};

/// Number of devices, or why it is not known: before cuInit, or the worker is gone.
CUresult device_count(int& count);
/// The newest CUDA version whose functions are handed out: that of the driver, once it is known; before, the newest we
/// know. It never asks the worker: programs look functions up long before they use one.
int newest_version();

/// Facts of a device; null if the number is none or the worker cannot be asked. They live until the process ends.
const DeviceFacts* device_facts(CUdevice device);
/// The same, with the reason why not.
CUresult device_facts(CUdevice device, const DeviceFacts*& facts);

}  // namespace vgpu::shim
