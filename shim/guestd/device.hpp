// The vgpu-stub device of this virtual machine, opened: its registers and the descriptors of its BARs. vgpu-guestd and
// vgpu-guest share it.
#pragma once

#include <memory>
#include <string>

#include "common/abi/device_registers.h"
#include "common/base/result.hpp"
#include "common/base/unique_fd.hpp"
#include "shim/guestd/pci_functions.hpp"
#include "shim/guestd/registers.hpp"

namespace vgpu::guestd {

struct ChannelEntry {
  uint32_t state = VGPU_CHANNEL_FREE;  // enum vgpu_channel_state
  uint32_t exit_word = 0;              // lost: how the worker ended
  uint64_t offset = 0;                 // in the window
  uint64_t client = 0;                 // the broker's number
};

class Device {
 public:
  /// Made by open_device(), and by tests.
  Device(PciFunction function, std::unique_ptr<Registers> registers, base::UniqueFd bar0, base::UniqueFd bar1);

  const PciFunction& function() const { return function_; }
  Registers& registers() { return *registers_; }
  int bar0() const { return bar0_.get(); }
  int bar1() const { return bar1_.get(); }

  uint32_t link() const { return registers_->load(VGPU_REG_LINK); }  // enum vgpu_link_status
  std::string link_text() const;
  uint32_t generation() const { return registers_->load(VGPU_REG_GENERATION); }
  uint64_t window_size() const { return registers_->load64(VGPU_REG_WINDOW_LO); }
  uint32_t channels() const;  // that may be open at once
  uint32_t load(uint32_t offset) const { return registers_->load(offset); }
  ChannelEntry channel(uint32_t number) const;
  uint32_t channel_state(uint32_t number) const;

 private:
  PciFunction function_;
  std::unique_ptr<Registers> registers_;
  base::UniqueFd bar0_;
  base::UniqueFd bar1_;
};

/// The start of a function's BAR 0, where its registers are.
struct MappedBar {
  base::UniqueFd file;
  std::unique_ptr<Registers> registers;
};

/// Enables the function and maps `size` bytes. EBUSY: a driver of the kernel holds it.
base::Result<MappedBar> map_bar0(const PciFunction& function, size_t size);

/// Enables, maps and checks the device: at `address`, or, if that is empty, the first that proves to be one. What is no
/// vGPU device, or an older one, is told with what to do about it.
base::Result<Device> open_device(const std::string& root, const std::string& address);

/// Held while a vgpu-guestd serves the device: two would take each other's answers from the mailbox. Not for others'
/// eyes: whoever gets a copy of the descriptor holds the lock too.
base::Result<base::UniqueFd> lock_device(const PciFunction& function);

/// Words for logs and reports.
const char* link_word(uint32_t link);
const char* channel_word(uint32_t state);

}  // namespace vgpu::guestd
