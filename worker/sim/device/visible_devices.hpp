// Which devices a process sees, and in which order.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace vgpu::sim::device {

/// Identifier of the device with this index.
std::array<std::uint8_t, 16> uuid_of(unsigned index);
/// Its PCI bus; domain and number on the bus are 0.
unsigned bus_of(unsigned index);

/// The indices of the devices that CUDA_VISIBLE_DEVICES names, all if it is null: indices or beginnings of UUIDs
/// ("GPU-" and hexadecimal digits), up to the first that names none; none at all if one is named twice.
std::vector<unsigned> visible_devices(unsigned count, const char* list);

}  // namespace vgpu::sim::device
