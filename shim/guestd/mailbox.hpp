// The device's commands: one at a time, begun here and asked after until done. Nothing waits.
#pragma once

#include <cstdint>

#include "common/control/messages.hpp"
#include "shim/guestd/device.hpp"

namespace vgpu::guestd {

class Mailbox {
 public:
  explicit Mailbox(Device& device) : device_(&device) {}

  /// Begins to open a channel. Only while no command is busy.
  void open(const control::Hello& hello);
  /// Begins to give a channel back. Only while no command is busy.
  void close(uint32_t channel);

  /// enum vgpu_command_status of the last command.
  uint32_t status() const { return device_->load(VGPU_REG_STATUS); }
  bool is_busy() const { return status() == VGPU_COMMAND_BUSY; }
  /// The channel, after an open that is done.
  uint32_t channel() const { return device_->load(VGPU_REG_RESULT); }
  /// The broker's answer, after an open that is done or failed; its fields are not checked.
  control::HelloReply reply() const;

 private:
  Device* device_;
};

}  // namespace vgpu::guestd
