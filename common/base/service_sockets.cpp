#include "common/base/service_sockets.hpp"

#include <fcntl.h>

#include <charconv>
#include <cstdlib>
#include <cstring>

namespace vgpu::base {
namespace {

constexpr int kFirst = 3;
constexpr int kMost = 64;  // far more than any of our programs asks for

/// The variable as a number; 0 if it is none.
int take_number(const char* name) {
  const char* text = std::getenv(name);
  int value = 0;
  if (text != nullptr) std::from_chars(text, text + std::strlen(text), value);
  unsetenv(name);
  return value;
}

}  // namespace

std::vector<UniqueFd> take_service_sockets() {
  const int pid = take_number("LISTEN_PID"), count = take_number("LISTEN_FDS");
  unsetenv("LISTEN_FDNAMES");
  std::vector<UniqueFd> sockets;
  if (pid != getpid()) return sockets;
  for (int fd = kFirst; fd < kFirst + count && count <= kMost; ++fd)
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) == 0) sockets.emplace_back(fd);
  return sockets;
}

}  // namespace vgpu::base
