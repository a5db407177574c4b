#include "shim/client/diagnostics.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace vgpu::shim {

void write_line(int file, const char* prefix, const char* format, va_list arguments) {
  const int saved = errno;
  char line[1024];
  const size_t start = std::strlen(prefix);
  std::copy_n(prefix, start, line);
  const int length = std::vsnprintf(line + start, sizeof line - start - 1, format, arguments);
  size_t size = length < 0 ? start : start + static_cast<size_t>(length);
  if (size > sizeof line - 2) size = sizeof line - 2;
  line[size++] = '\n';
  [[maybe_unused]] const ssize_t written = ::write(file, line, size);
  errno = saved;
}

void say(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  write_line(STDERR_FILENO, "vgpu: ", format, arguments);
  va_end(arguments);
}

bool debug_enabled() {
  static const bool enabled = [] {
    const char* level = ::secure_getenv("VGPU_LOG");
    return level != nullptr && std::strcmp(level, "debug") == 0;
  }();
  return enabled;
}

}  // namespace vgpu::shim
