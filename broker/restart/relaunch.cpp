#include "broker/restart/relaunch.hpp"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <system_error>

namespace vgpu::broker::restart {
namespace {

constexpr const char* kVariable = "VGPU_BROKER_RELAUNCHED";
// "SOCKET LOCK KEEPS", two numbers of descriptors and whether the socket's file is the service manager's; part of our
// environment from the start, because to add a variable takes memory.
constinit char g_variable[64] = "VGPU_BROKER_RELAUNCHED=no";

void keep_over_exec(int descriptor, bool keep) { fcntl(descriptor, F_SETFD, keep ? 0 : FD_CLOEXEC); }

std::optional<base::ListenSocket::Descriptors> take_inherited() {
  const char* value = getenv(kVariable);
  if (value == nullptr) return std::nullopt;
  base::ListenSocket::Descriptors inherited;
  int keeps_file = 0;
  if (std::sscanf(value, "%d %d %d", &inherited.socket, &inherited.lock, &keeps_file) < 2) return std::nullopt;
  inherited.keeps_file = keeps_file != 0;
  keep_over_exec(inherited.socket, false);
  keep_over_exec(inherited.lock, false);
  return inherited;
}

}  // namespace

Relaunch::Relaunch(const std::vector<std::string>& arguments) : inherited_(take_inherited()), arguments_(arguments) {
  std::error_code ignored;
  program_ = std::filesystem::read_symlink("/proc/self/exe", ignored).string();
  for (auto& argument : arguments_) argv_.push_back(argument.data());
  argv_.push_back(nullptr);
  putenv(g_variable);
}

void hold_signals(bool hold) {
  sigset_t ours;
  sigemptyset(&ours);
  for (const int signal : kSignals) sigaddset(&ours, signal);
  sigprocmask(hold ? SIG_BLOCK : SIG_UNBLOCK, &ours, nullptr);
}

int Relaunch::execute(const base::ListenSocket::Descriptors& socket) {
  std::snprintf(g_variable, sizeof g_variable, "%s=%d %d %d", kVariable, socket.socket, socket.lock,
                socket.keeps_file ? 1 : 0);
  keep_over_exec(socket.socket, true);
  keep_over_exec(socket.lock, true);
  // Until the next run has its handlers, a signal would end it.
  hold_signals(true);
  execv(program_.c_str(), argv_.data());
  const int code = errno;
  hold_signals(false);
  keep_over_exec(socket.socket, false);
  keep_over_exec(socket.lock, false);
  std::snprintf(g_variable, sizeof g_variable, "%s=no", kVariable);
  return code;
}

}  // namespace vgpu::broker::restart
