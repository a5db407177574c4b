// Where a device is on the bus, as programs name it.
#pragma once

namespace vgpu::shim {

struct PciAddress {
  int domain = 0;
  int bus = 0;
  int device = 0;

  bool operator==(const PciAddress&) const = default;
};

/// Reads "domain:bus:device.function", "domain:bus:device" or "bus:device.function" (hexadecimal).
bool parse_address(const char* text, PciAddress& address);

}  // namespace vgpu::shim
