// The handles of devices: places in an array, so that a handle tells its index and a stray pointer is known as such.
#pragma once

#include "common/api/nvml_types.hpp"

namespace vgpu::shim::nvml {

using namespace ::vgpu::nvml;

constexpr unsigned kMostDevices = 64;

/// Null if there is no such device.
nvmlDevice_t handle_of(unsigned index);
/// False if the handle is none that was given out.
bool index_of(nvmlDevice_t handle, unsigned& index);

}  // namespace vgpu::shim::nvml
