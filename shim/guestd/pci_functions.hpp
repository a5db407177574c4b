// The machine's PCI functions as sysfs shows them. Looks at files only, never at a device's memory.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/base/result.hpp"

namespace vgpu::guestd {

inline constexpr const char* kPciRoot = "/sys/bus/pci/devices";

struct PciFunction {
  std::string address;  // "0000:00:05.0"
  std::string folder;   // of its files
  uint32_t vendor = 0;
  uint32_t device = 0;
  uint32_t device_class = 0;  // without the programming interface: VGPU_PCI_CLASS
  uint32_t revision = 0;
  uint64_t bar0_size = 0;
  uint64_t bar1_size = 0;
  std::string driver;  // of the kernel, that is bound to it; empty: none

  std::string resource(unsigned bar) const { return folder + "/resource" + std::to_string(bar); }
};

/// The function at `address`; an error if there is none.
base::Result<PciFunction> find_function(const std::string& root, const std::string& address);
/// Functions that may be a vGPU device by class and size, in the order of their addresses: others' memory is not to be
/// read, for a read may mean something to them.
std::vector<PciFunction> find_candidates(const std::string& root);

/// Whether the function answers at its BARs (its memory space is enabled).
bool is_enabled(const PciFunction& function);
/// What root types to take it away from its driver.
std::string unbind_command(const PciFunction& function);
/// Firmware assigns the BARs, but without a driver nobody enables them. Needs root.
base::Result<void> enable(const PciFunction& function);

}  // namespace vgpu::guestd
