// What the shim says on standard error: little, for the program's output is not ours. VGPU_LOG=debug for more.
#pragma once

#include <atomic>
#include <cstdarg>

namespace vgpu::shim {

/// One line "vgpu: ..." in one write.
void say(const char* format, ...) __attribute__((format(printf, 1, 2)));
/// The prefix, the formatted text and a newline in one write to `file`; what is longer than a kilobyte is cut. errno
/// stays.
void write_line(int file, const char* prefix, const char* format, va_list arguments)
    __attribute__((format(printf, 3, 0)));
bool debug_enabled();

/// Says a thing at most once in the life of the process.
class Once {
 public:
  /// True for the first caller.
  bool first() { return !said_.exchange(true, std::memory_order_relaxed); }

 private:
  std::atomic<bool> said_{false};
};

}  // namespace vgpu::shim
