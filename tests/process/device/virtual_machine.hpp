// A virtual machine without a machine: the device's core with a front of poll() in this process, and what guestd does
// with its registers.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "common/base/unique_fd.hpp"
#include "common/control/messages.hpp"
#include "stub/core/vgpu_core.h"

namespace vgpu::test {

class VirtualMachine {
 public:
  explicit VirtualMachine(const std::string& socket, std::uint64_t window_size = kWindowSize);
  ~VirtualMachine();  // as switching it off does
  VirtualMachine(const VirtualMachine&) = delete;
  VirtualMachine& operator=(const VirtualMachine&) = delete;

  static constexpr std::uint64_t kWindowSize = std::uint64_t{256} << 20;

  std::uint32_t read(std::uint64_t offset) { return static_cast<std::uint32_t>(vgpu_core_bar0_read(core_, offset, 4)); }
  void write(std::uint64_t offset, std::uint32_t value) { vgpu_core_bar0_write(core_, offset, value, 4); }
  void reset() { vgpu_core_reset(core_); }

  /// Serves the device until `condition` holds; false if it does not within a while.
  bool run_until(const std::function<bool()>& condition);
  bool await_link(std::uint32_t status = VGPU_LINK_UP);
  std::string link_text();
  const std::string& log() const { return log_; }

  struct Opened {
    unsigned channel;
    control::HelloReply reply;
  };
  /// The broker's answer to a client's hello: a channel, or its refusal.
  Opened open();
  Opened open(const control::Hello& hello);
  /// How the command ended: VGPU_COMMAND_*.
  std::uint32_t close(unsigned channel);
  std::uint32_t state(unsigned channel);
  std::uint32_t exit_class(unsigned channel);
  void ring(unsigned channel) { write(VGPU_CHANNEL_PAGES + channel * VGPU_CHANNEL_PAGE_SIZE, 1); }
  /// What lies behind BAR1; -1: the placeholder.
  int bar1() const { return bar1_.get(); }

 private:
  static VirtualMachine& self(void* front) { return *static_cast<VirtualMachine*>(front); }
  static const vgpu_core_front& functions();
  void turn();
  std::uint32_t await_command();

  vgpu_core* core_ = nullptr;
  base::UniqueFd bar1_;
  std::map<int, bool> watched_;
  std::uint64_t timer_ = 0;
  std::string log_;
};

}  // namespace vgpu::test
