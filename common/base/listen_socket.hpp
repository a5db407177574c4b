// A program's listening socket in the file system.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "common/base/result.hpp"
#include "common/base/unique_fd.hpp"

namespace vgpu::base {

/// Owns the socket, its file and, in folders of our own, the lock beside it ("<path>.lock", which holds our pid).
/// Removes both files at the end, unless the socket's file is somebody else's by then.
class ListenSocket {
 public:
  struct Access {
    unsigned mode = 0660;
    std::string group;               // empty: as created
    std::string program = "broker";  // who we are, for the error when another one listens
    std::optional<uid_t> owner{};    // none: as created; only where a place is exposed
  };

  /// As numbers, for a relaunch.
  struct Descriptors {
    int socket = -1;
    int lock = -1;
    bool keeps_file = false;  // it is the service manager's
  };

  /// A name in a folder where others can write too: sticky, or even theirs. `path` is for messages.
  struct Place {
    UniqueFd folder;  // may be O_PATH
    std::string name;
    std::string path;
  };

  /// Replaces a file that a dead program left; fails if a live one listens there, naming its pid.
  static Result<ListenSocket> create(const std::string& path, const Access& access);
  /// The same where no lock would hold, because anybody could take it. Who listens there is asked instead: a live
  /// listener of root or of our own user is another one of us (error EADDRINUSE, with its pid), one of anybody else is
  /// replaced. Follows no symbolic link, whatever becomes of the place meanwhile.
  static Result<ListenSocket> create_exposed(Place place, const Access& access);
  /// Takes over the socket of our own earlier run; an error if it is another path's.
  static Result<ListenSocket> adopt(const std::string& path, const Descriptors& inherited);
  /// Takes over a socket that the service manager has made: its file and access are the manager's. An error unless it
  /// listens at `path`, or if another program of ours serves it.
  static Result<ListenSocket> take_over(const std::string& path, UniqueFd socket, const std::string& program);
  ListenSocket(ListenSocket&&) noexcept = default;
  ~ListenSocket();

  /// A descriptor of the socket for the acceptor, given away once.
  UniqueFd take_descriptor() { return std::move(socket_); }
  int lock_descriptor() const { return lock_.get(); }
  bool keeps_file() const { return keeps_file_; }
  /// False: the file is gone, or another one.
  bool is_in_place() const;
  /// Removes the files now.
  void remove();

 private:
  ListenSocket() = default;
  void note_file(dev_t device, ino_t inode) {
    device_ = device;
    inode_ = inode;
  }

  Place place_;  // without a folder: by its path
  UniqueFd lock_;
  UniqueFd socket_;
  bool keeps_file_ = false;
  dev_t device_ = 0;  // of the file; the inode is 0 if it is not ours
  ino_t inode_ = 0;
};

}  // namespace vgpu::base
