#include "shim/client/diagnostics.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace vgpu::shim {

void say(const char* format, ...) {
  const int saved = errno;
  char line[1024] = "vgpu: ";
  const size_t start = 6;
  va_list arguments;
  va_start(arguments, format);
  const int length = std::vsnprintf(line + start, sizeof line - start - 1, format, arguments);
  va_end(arguments);
  size_t size = length < 0 ? start : start + static_cast<size_t>(length);
  if (size > sizeof line - 2) size = sizeof line - 2;
  line[size++] = '\n';
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, line, size);
  errno = saved;
}

bool debug_enabled() {
  static const bool enabled = [] {
    const char* level = ::secure_getenv("VGPU_LOG");
    return level != nullptr && std::strcmp(level, "debug") == 0;
  }();
  return enabled;
}

}  // namespace vgpu::shim
