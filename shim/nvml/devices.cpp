#include "shim/nvml/devices.hpp"

#include <algorithm>
#include <cstdint>

#include "shim/nvml/start.hpp"

struct nvmlDevice_st {
  char place[16];  // apart, for those who look at handles in logs
};

namespace vgpu::shim::nvml {
namespace {

constinit nvmlDevice_st g_places[kMostDevices] = {};

unsigned known_devices() { return std::min(device_count(), kMostDevices); }

}  // namespace

nvmlDevice_t handle_of(unsigned index) { return index < known_devices() ? &g_places[index] : nullptr; }

bool index_of(nvmlDevice_t handle, unsigned& index) {
  // As numbers: any pointer may come.
  const auto offset = reinterpret_cast<uintptr_t>(handle) - reinterpret_cast<uintptr_t>(&g_places[0]);
  index = static_cast<unsigned>(offset / sizeof g_places[0]);
  return offset % sizeof g_places[0] == 0 && offset / sizeof g_places[0] < known_devices();
}

}  // namespace vgpu::shim::nvml
