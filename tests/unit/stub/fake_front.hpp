// A front without a machine: what the core asks of it is noted, time stands still until a test moves it, and
// descriptors are looked at only when a test says so.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "stub/core/vgpu_core.h"

namespace vgpu::stub {

class FakeFront {
 public:
  /// A rule of the interface that the core broke; empty if none.
  std::string broken_rule;

  std::vector<std::string> lines;
  std::uint64_t now = 1000;
  std::uint64_t timer = 0;
  std::map<int, bool> watched;  // descriptor -> also when writable
  int attach_window_error = 0;
  bool takes_doorbells = true;
  ino_t window = 0;  // of the memory behind BAR1; 0: the placeholder
  std::uint64_t window_size = 0;
  struct Doorbell {
    std::uint64_t offset;
    int fd;
  };
  std::map<unsigned, Doorbell> doorbells;

  static const vgpu_core_front& functions();

  /// Calls the core for every watched descriptor that is ready, until none is.
  void pump(vgpu_core* core);
  /// Lets `ms` pass: timers in their order, descriptors after each.
  void pass(vgpu_core* core, std::uint64_t ms);
  /// Lines that contain `part`.
  unsigned count_lines(const std::string& part) const;
};

}  // namespace vgpu::stub
