#include "common/base/process_identity.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <string>
#include <system_error>

namespace vgpu::base {
namespace {

constexpr int kStartTimeField = 22;  // of /proc/PID/stat, counted from 1

std::string read_stat(pid_t pid) {
  const UniqueFd file(open(("/proc/" + std::to_string(pid) + "/stat").c_str(), O_RDONLY | O_CLOEXEC));
  char text[1024];
  const auto count = file ? read(file.get(), text, sizeof text) : -1;
  return {text, count > 0 ? static_cast<std::size_t>(count) : 0};
}

}  // namespace

ProcessIdentity identify(pid_t pid) {
  const auto stat = read_stat(pid);
  // Field 2 is the name in parentheses, which may hold spaces and parentheses: what follows its last one is regular.
  auto at = stat.rfind(')');
  for (int field = 2; field < kStartTimeField && at != std::string::npos; ++field) at = stat.find(' ', at + 1);
  if (at == std::string::npos) return {pid, 0};
  return {pid, std::strtoull(stat.c_str() + at, nullptr, 10)};
}

Result<UniqueFd> open_process(const ProcessIdentity& identity) {
  UniqueFd pidfd(static_cast<int>(syscall(SYS_pidfd_open, identity.pid, 0)));
  if (!pidfd) return Error{errno, std::generic_category().message(errno)};
  // Looked at after the pidfd was opened: from here on the pid cannot change its meaning unseen.
  if (identify(identity.pid) != identity) return Error{ESRCH, "its pid is another process's by now"};
  return pidfd;
}

bool has_ended(int pidfd) {
  pollfd entry{pidfd, POLLIN, 0};
  return poll(&entry, 1, 0) > 0;
}

}  // namespace vgpu::base
