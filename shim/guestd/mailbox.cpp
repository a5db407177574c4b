#include "shim/guestd/mailbox.hpp"

#include <array>
#include <cstring>
#include <span>

namespace vgpu::guestd {

static_assert(sizeof(control::Hello) == VGPU_MAILBOX_SIZE && sizeof(control::HelloReply) <= VGPU_MAILBOX_SIZE);

void Mailbox::open(const control::Hello& hello) {
  Registers& registers = device_->registers();
  std::array<std::byte, sizeof hello> bytes;
  std::memcpy(bytes.data(), &hello, sizeof hello);
  registers.copy_in(VGPU_REQUEST_BUFFER, bytes);
  registers.store(VGPU_REG_ARGUMENT, sizeof hello);
  registers.store(VGPU_REG_COMMAND, VGPU_COMMAND_OPEN);
}

void Mailbox::close(uint32_t channel) {
  device_->registers().store(VGPU_REG_COMMAND, VGPU_COMMAND_CLOSE | channel << VGPU_COMMAND_CHANNEL_SHIFT);
}

control::HelloReply Mailbox::reply() const {
  std::array<std::byte, sizeof(control::HelloReply)> bytes;
  device_->registers().copy_out(VGPU_REPLY_BUFFER, bytes);
  control::HelloReply reply;
  std::memcpy(static_cast<void*>(&reply), bytes.data(), sizeof reply);
  return reply;
}

}  // namespace vgpu::guestd
