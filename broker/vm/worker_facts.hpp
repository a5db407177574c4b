// What a worker said of its driver and GPU when it was ready. The broker itself knows nothing of either.
#pragma once

#include <cstdint>
#include <string>

namespace vgpu::broker::vm {

struct WorkerFacts {
  std::int32_t driver_version = 0;  // as cuDriverGetVersion says it: 1000 * major + 10 * minor
  std::uint32_t device_count = 0;
  std::string device_name;  // of device 0
  std::string driver;       // the library that was opened
  bool operator==(const WorkerFacts&) const = default;
};

}  // namespace vgpu::broker::vm
