#include "common/base/listen_socket.hpp"

#include <fcntl.h>
#include <grp.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <cstdio>
#include <system_error>
#include <vector>

namespace vgpu::base {
namespace {

constexpr int kBacklog = 128;

Error os_error(int code, const std::string& what) {
  return {code, what + ": " + std::generic_category().message(code)};
}

Error taken_by(const std::string& path, const std::string& program, const std::string& pid) {
  return {EADDRINUSE, "another " + program + " (pid " + pid + ") serves " + path +
                          "; stop it, or choose another path with --socket"};
}

std::string read_pid(int lock) {
  char text[16] = {};
  const auto count = pread(lock, text, sizeof text - 1, 0);
  std::string pid(text, count > 0 ? static_cast<std::size_t>(count) : 0);
  if (const auto end = pid.find('\n'); end != std::string::npos) pid.resize(end);
  return pid.empty() ? "unknown" : pid;
}

Result<UniqueFd> take_lock(const std::string& path, const std::string& program) {
  const auto name = path + ".lock";
  UniqueFd lock(open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644));
  if (!lock) return os_error(errno, "cannot create " + name);
  if (flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) return taken_by(path, program, read_pid(lock.get()));
    return os_error(errno, "cannot lock " + name);
  }
  const auto pid = std::to_string(getpid()) + "\n";
  if (ftruncate(lock.get(), 0) != 0 || pwrite(lock.get(), pid.data(), pid.size(), 0) < 0)
    return os_error(errno, "cannot write " + name);
  return lock;
}

// The lock settles who of us may listen; this finds a listener that knows nothing of our lock.
Result<void> check_leftover(const std::string& path, const std::string& program, const sockaddr_un& address) {
  struct stat status {};
  if (lstat(path.c_str(), &status) != 0) return errno == ENOENT ? Result<void>() : os_error(errno, path);
  if (!S_ISSOCK(status.st_mode)) return Error{EEXIST, path + " exists and is no socket; move it away"};
  UniqueFd probe(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int rc = connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  if (rc != 0 && errno != EAGAIN) return {};
  ucred owner{};
  socklen_t length = sizeof owner;
  getsockopt(probe.get(), SOL_SOCKET, SO_PEERCRED, &owner, &length);
  return taken_by(path, program, owner.pid > 0 ? std::to_string(owner.pid) : "unknown");
}

Result<void> set_group(const std::string& path, const std::string& name) {
  if (name.empty()) return {};
  std::vector<char> buffer(16384);
  group entry{};
  group* found = nullptr;
  getgrnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found);
  if (found == nullptr) return Error{ENOENT, "there is no group " + name + " (socket_group)"};
  if (chown(path.c_str(), static_cast<uid_t>(-1), entry.gr_gid) != 0)
    return os_error(errno, "cannot give " + path + " to group " + name);
  return {};
}

}  // namespace

Result<ListenSocket> ListenSocket::create(const std::string& path, const Access& access) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path)
    return Error{ENAMETOOLONG, "socket path \"" + path + "\" must have 1 to 107 bytes"};
  path.copy(address.sun_path, path.size());
  auto lock = take_lock(path, access.program);
  if (!lock) return lock.error();
  if (auto leftover = check_leftover(path, access.program, address); !leftover) return leftover.error();
  unlink(path.c_str());

  ListenSocket result;
  result.socket_ = UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!result.socket_) return os_error(errno, "socket");
  // Nobody may connect before mode and group are right: bind creates the file with no permission at all.
  const mode_t mask = umask(0777);
  const int rc = bind(result.socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  const int bind_error = errno;
  umask(mask);
  if (rc != 0) return os_error(bind_error, "cannot create the socket " + path);
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) return os_error(errno, path);
  result.path_ = path;
  result.lock_ = std::move(*lock);
  result.device_ = status.st_dev;
  result.inode_ = status.st_ino;
  if (auto given = set_group(path, access.group); !given) return given.error();
  if (listen(result.socket_.get(), kBacklog) != 0) return os_error(errno, "cannot listen on " + path);
  if (chmod(path.c_str(), access.mode) != 0) return os_error(errno, "cannot set the mode of " + path);
  return result;
}

Result<ListenSocket> ListenSocket::adopt(const std::string& path, const Descriptors& inherited) {
  ListenSocket result;
  result.socket_ = UniqueFd(inherited.socket);
  result.lock_ = UniqueFd(inherited.lock);
  sockaddr_un address{};
  socklen_t length = sizeof address;
  struct stat status {};
  if (getsockname(inherited.socket, reinterpret_cast<sockaddr*>(&address), &length) != 0 ||
      length <= offsetof(sockaddr_un, sun_path) || lstat(path.c_str(), &status) != 0 || path != address.sun_path) {
    result.lock_.reset();  // so that remove() leaves the files alone
    return Error{EINVAL, "the socket of the earlier run is not " + path};
  }
  result.path_ = path;
  result.device_ = status.st_dev;
  result.inode_ = status.st_ino;
  return result;
}

ListenSocket::~ListenSocket() { remove(); }

void ListenSocket::remove() {
  if (!lock_) return;
  struct stat status {};
  if (lstat(path_.c_str(), &status) == 0 && status.st_dev == device_ && status.st_ino == inode_) unlink(path_.c_str());
  unlink((path_ + ".lock").c_str());
  lock_.reset();
}

}  // namespace vgpu::base
