#include "common/base/listen_socket.hpp"

#include <fcntl.h>
#include <grp.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <cstddef>
#include <system_error>
#include <vector>

#include "common/base/log.hpp"

namespace vgpu::base {
namespace {

constexpr int kBacklog = 128;

bool is_same_path(const sockaddr_un& address, socklen_t length, const std::string& path) {
  return length > offsetof(sockaddr_un, sun_path) && path == address.sun_path;
}

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

Result<sockaddr_un> make_address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path)
    return Error{ENAMETOOLONG, "socket path \"" + path + "\" must have 1 to 107 bytes"};
  path.copy(address.sun_path, path.size());
  return address;
}

Result<UniqueFd> make_socket() {
  UniqueFd made(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!made) return os_error(errno, "socket");
  return made;
}

// Nobody may connect before owner, mode and group are right: the file is created with no permission at all.
Result<void> bind_closed(int socket, const sockaddr_un& address, const std::string& path) {
  const mode_t mask = umask(0777);
  const int rc = bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  const int code = errno;
  umask(mask);
  return rc == 0 ? Result<void>() : os_error(code, "cannot create the socket " + path);
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

// ---- where others can write ----

/// The name of what a descriptor stands for, whatever has been renamed, or replaced by a link, since it was opened.
std::string path_of(int descriptor) { return "/proc/self/fd/" + std::to_string(descriptor); }

UniqueFd open_file(const ListenSocket::Place& place) {
  return UniqueFd(openat(place.folder.get(), place.name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
}

Error taken_by_ourselves(const std::string& path) { return {EEXIST, path + " is served already, under another name"}; }

/// An error if one of us listens there. `file`: what there is.
Result<void> check_listener(int file, const struct stat& status, const ListenSocket::Place& place,
                            const std::string& program) {
  UniqueFd probe(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const auto address = make_address(path_of(file));
  if (!probe || !address) return {};
  const int rc = connect(probe.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address);
  const auto is_trusted = [](uid_t uid) { return uid == 0 || uid == geteuid(); };
  // So many wait for it that it cannot be asked.
  if (rc != 0 && errno == EAGAIN && is_trusted(status.st_uid)) return taken_by(place.path, program, "unknown");
  if (rc != 0) return {};
  ucred owner{};
  socklen_t length = sizeof owner;
  getsockopt(probe.get(), SOL_SOCKET, SO_PEERCRED, &owner, &length);
  if (owner.pid == getpid()) return taken_by_ourselves(place.path);
  if (is_trusted(owner.uid))
    return taken_by(place.path, program, owner.pid > 0 ? std::to_string(owner.pid) : "unknown");
  log::warning("{}: pid {} (uid {}) listened there and is replaced", place.path, owner.pid, owner.uid);
  return {};
}

/// Makes the name free, if only a socket of nobody of us has it.
Result<void> clear_exposed(const ListenSocket::Place& place, const std::string& program) {
  const auto file = open_file(place);
  if (!file) return errno == ENOENT ? Result<void>() : os_error(errno, place.path);
  struct stat status {};
  if (fstat(file.get(), &status) != 0) return os_error(errno, place.path);
  const auto owner = "uid " + std::to_string(status.st_uid);
  if (!S_ISSOCK(status.st_mode))
    return Error{EEXIST, place.path + " exists and is no socket (it belongs to " + owner + "); move it away"};
  if (auto listener = check_listener(file.get(), status, place, program); !listener) return listener;
  if (unlinkat(place.folder.get(), place.name.c_str(), 0) != 0 && errno != ENOENT)
    return os_error(errno, "cannot replace " + place.path + " of " + owner);
  return {};
}

/// Gives the file that bind_closed() has just made its owner; it has no permissions yet.
Result<void> give_exposed(int file, const struct stat& status, const ListenSocket::Place& place,
                          const ListenSocket::Access& access) {
  if (!S_ISSOCK(status.st_mode) || status.st_uid != geteuid() || (status.st_mode & 07777) != 0)
    return Error{EPERM, place.path + " was replaced while it was made"};
  if (!access.owner || *access.owner == status.st_uid) return {};
  if (fchownat(file, "", *access.owner, static_cast<gid_t>(-1), AT_EMPTY_PATH) != 0)
    return os_error(errno, "cannot give " + place.path + " to uid " + std::to_string(*access.owner));
  return {};
}

}  // namespace

Result<ListenSocket> ListenSocket::create(const std::string& path, const Access& access) {
  const auto address = make_address(path);
  if (!address) return address.error();
  auto lock = take_lock(path, access.program);
  if (!lock) return lock.error();
  if (auto leftover = check_leftover(path, access.program, *address); !leftover) return leftover.error();
  unlink(path.c_str());

  auto socket = make_socket();
  if (!socket) return socket.error();
  if (auto bound = bind_closed(socket->get(), *address, path); !bound) return bound.error();
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) return os_error(errno, path);
  ListenSocket result;
  result.place_.path = path;
  result.lock_ = std::move(*lock);
  result.socket_ = std::move(*socket);
  result.note_file(status.st_dev, status.st_ino);
  if (auto given = set_group(path, access.group); !given) return given.error();
  if (listen(result.socket_.get(), kBacklog) != 0) return os_error(errno, "cannot listen on " + path);
  if (chmod(path.c_str(), access.mode) != 0) return os_error(errno, "cannot set the mode of " + path);
  return result;
}

Result<ListenSocket> ListenSocket::create_exposed(Place place, const Access& access) {
  if (auto cleared = clear_exposed(place, access.program); !cleared) return cleared.error();
  auto socket = make_socket();
  if (!socket) return socket.error();
  const auto address = make_address(path_of(place.folder.get()) + "/" + place.name);
  if (!address) return address.error();
  if (auto bound = bind_closed(socket->get(), *address, place.path); !bound) return bound.error();
  const auto file = open_file(place);
  struct stat status {};
  if (!file || fstat(file.get(), &status) != 0) return os_error(errno, place.path);
  if (auto given = give_exposed(file.get(), status, place, access); !given) {
    unlinkat(place.folder.get(), place.name.c_str(), 0);
    return given.error();
  }
  ListenSocket result;
  result.place_ = std::move(place);
  result.socket_ = std::move(*socket);
  result.note_file(status.st_dev, status.st_ino);
  const auto& path = result.place_.path;
  if (listen(result.socket_.get(), kBacklog) != 0) return os_error(errno, "cannot listen on " + path);
  if (chmod(path_of(file.get()).c_str(), access.mode) != 0) return os_error(errno, "cannot set the mode of " + path);
  return result;
}

Result<ListenSocket> ListenSocket::adopt(const std::string& path, const Descriptors& inherited) {
  ListenSocket result;
  result.socket_ = UniqueFd(inherited.socket);
  result.lock_ = UniqueFd(inherited.lock);
  result.keeps_file_ = inherited.keeps_file;
  sockaddr_un address{};
  socklen_t length = sizeof address;
  struct stat status {};
  if (getsockname(inherited.socket, reinterpret_cast<sockaddr*>(&address), &length) != 0 ||
      !is_same_path(address, length, path) || lstat(path.c_str(), &status) != 0) {
    result.lock_.reset();  // so that remove() leaves the files alone
    return Error{EINVAL, "the socket of the earlier run is not " + path};
  }
  result.place_.path = path;
  result.note_file(status.st_dev, status.st_ino);
  return result;
}

Result<ListenSocket> ListenSocket::take_over(const std::string& path, UniqueFd socket, const std::string& program) {
  sockaddr_un address{};
  socklen_t length = sizeof address;
  int listens = 0, type = 0;
  socklen_t size = sizeof listens;
  if (getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &length) != 0 || address.sun_family != AF_UNIX ||
      getsockopt(socket.get(), SOL_SOCKET, SO_TYPE, &type, &size) != 0 || type != SOCK_STREAM ||
      getsockopt(socket.get(), SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0 || listens == 0)
    return Error{EINVAL, "what the service manager hands over is no listening Unix stream socket"};
  if (!is_same_path(address, length, path))
    return Error{EINVAL, std::string("the service manager hands over a socket at ") + address.sun_path +
                             ", but the configuration says " + path + ": make them the same"};
  auto lock = take_lock(path, program);
  if (!lock) return lock.error();
  fcntl(socket.get(), F_SETFL, fcntl(socket.get(), F_GETFL) | O_NONBLOCK);
  ListenSocket result;
  result.place_.path = path;
  result.lock_ = std::move(*lock);
  result.socket_ = std::move(socket);
  result.keeps_file_ = true;
  return result;
}

ListenSocket::~ListenSocket() { remove(); }

bool ListenSocket::is_in_place() const {
  struct stat status {};
  const int folder = place_.folder ? place_.folder.get() : AT_FDCWD;
  const auto& name = place_.folder ? place_.name : place_.path;
  return fstatat(folder, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 && status.st_dev == device_ &&
         status.st_ino == inode_;
}

void ListenSocket::remove() {
  if (!keeps_file_ && inode_ != 0 && is_in_place()) {
    if (place_.folder)
      unlinkat(place_.folder.get(), place_.name.c_str(), 0);
    else if (lock_)
      unlink(place_.path.c_str());
  }
  inode_ = 0;
  if (!lock_) return;
  unlink((place_.path + ".lock").c_str());
  lock_.reset();
}

}  // namespace vgpu::base
