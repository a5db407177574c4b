// A virtual machine of one process: the device's core, linked to a real broker, with its BARs as memory that a program
// can map. What a machine does by trapping a write or by exchanging the memory behind a BAR is done here by looking
// often.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "common/base/unique_fd.hpp"
#include "shim/guestd/device.hpp"
#include "stub/core/vgpu_core.h"

namespace vgpu::test {

class DeviceFront {
 public:
  /// `socket`: where the broker listens for this VM's stub.
  DeviceFront(const std::string& socket, uint64_t window_size);
  DeviceFront(const DeviceFront&) = delete;
  DeviceFront& operator=(const DeviceFront&) = delete;
  ~DeviceFront();

  /// As the guest opens it. Its registers are this object's: it must not outlive it.
  guestd::Device open();
  /// What a guest that boots anew does to the device.
  void reset();

 private:
  class Registers;
  static const vgpu_core_front& functions();
  void serve();
  void serve_once();
  void look_at_doorbells();
  void show_registers();

  base::UniqueFd bar0_;
  base::UniqueFd bar1_;
  volatile uint32_t* words_ = nullptr;  // of BAR0, as clients map it
  std::mutex mutex_;                    // guards the core and what follows
  std::map<int, bool> watched_;
  uint64_t timer_ms_ = 0;
  vgpu_core* core_ = nullptr;
  std::atomic<bool> is_stopped_{false};
  std::thread thread_;
};

}  // namespace vgpu::test
