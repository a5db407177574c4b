#include "broker/restart/relaunch.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <system_error>

namespace vgpu::broker::restart {
namespace {

constexpr const char* kVariable = "VGPU_BROKER_RELAUNCHED";  // "SOCKET LOCK", numbers of descriptors

void keep_over_exec(int descriptor, bool keep) { fcntl(descriptor, F_SETFD, keep ? 0 : FD_CLOEXEC); }

}  // namespace

std::string own_program() {
  std::error_code ignored;
  return std::filesystem::read_symlink("/proc/self/exe", ignored).string();
}

base::Error relaunch(const std::string& program, const std::vector<std::string>& arguments,
                     const listener::ListenSocket::Descriptors& socket) {
  std::vector<char*> argv;
  for (const auto& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  const auto value = std::to_string(socket.socket) + " " + std::to_string(socket.lock);
  setenv(kVariable, value.c_str(), 1);
  keep_over_exec(socket.socket, true);
  keep_over_exec(socket.lock, true);
  execv(program.c_str(), argv.data());
  const int code = errno;
  keep_over_exec(socket.socket, false);
  keep_over_exec(socket.lock, false);
  unsetenv(kVariable);
  return {code, "cannot execute " + program + ": " + std::generic_category().message(code)};
}

std::optional<listener::ListenSocket::Descriptors> take_inherited() {
  const char* value = getenv(kVariable);
  if (value == nullptr) return std::nullopt;
  listener::ListenSocket::Descriptors inherited;
  const int fields = std::sscanf(value, "%d %d", &inherited.socket, &inherited.lock);
  unsetenv(kVariable);
  if (fields != 2) return std::nullopt;
  keep_over_exec(inherited.socket, false);
  keep_over_exec(inherited.lock, false);
  return inherited;
}

}  // namespace vgpu::broker::restart
