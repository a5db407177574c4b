#include "common/base/peer.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <cerrno>
#include <system_error>

namespace vgpu::base {
namespace {

// Linux 6.5; not in the headers of Debian 12.
constexpr int kSoPeerPidfd = 77;

// SO_PEERPIDFD names the very process that connected. On older kernels the pid could belong to another process by now,
// if the peer has already died: then its connection is closed, or held by a child of it, and the worker serves nobody.
UniqueFd open_pidfd(int connection, pid_t pid) {
  int fd = -1;
  socklen_t length = sizeof fd;
  if (getsockopt(connection, SOL_SOCKET, kSoPeerPidfd, &fd, &length) == 0) {
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    return UniqueFd(fd);
  }
  if (errno != ENOPROTOOPT || pid <= 0) return {};
  return UniqueFd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
}

}  // namespace

Result<Peer> identify_peer(int connection) {
  ucred credentials{};
  socklen_t length = sizeof credentials;
  if (getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0)
    return Error{errno, "cannot read the peer's credentials: " + std::generic_category().message(errno)};
  Peer peer{credentials.pid, credentials.uid, credentials.gid, {}};
  errno = 0;
  peer.pidfd = open_pidfd(connection, credentials.pid);
  if (peer.pidfd) return peer;
  const int error = errno;
  const auto name = "cannot watch process " + std::to_string(credentials.pid) + " (pidfd): ";
  if (credentials.pid > 0 && error != ESRCH) return Error{error, name + std::generic_category().message(error)};
  return Error{error, name + "it has ended, or lives in a pid namespace that this host cannot see"};
}

}  // namespace vgpu::base
