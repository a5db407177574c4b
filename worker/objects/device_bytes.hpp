// Bytes that a client holds, in all and on each device.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "common/shm/segment.hpp"

namespace vgpu::worker {

class DeviceBytes {
 public:
  void add(unsigned device, uint64_t bytes) {
    total_ += bytes;
    if (device < by_device_.size()) by_device_[device] += bytes;
  }
  void remove(unsigned device, uint64_t bytes) {
    total_ -= bytes;
    if (device < by_device_.size()) by_device_[device] -= bytes;
  }
  uint64_t total() const { return total_; }
  uint64_t of(size_t device) const { return by_device_[device]; }

 private:
  uint64_t total_ = 0;
  std::array<uint64_t, shm::kMostDevices> by_device_{};
};

}  // namespace vgpu::worker
