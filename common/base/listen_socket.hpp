// A program's listening socket in the file system.
#pragma once

#include <sys/types.h>

#include <string>

#include "common/base/result.hpp"
#include "common/base/unique_fd.hpp"

namespace vgpu::base {

/// Owns the socket, its file and the lock beside it ("<path>.lock", which holds our pid). Removes both files at the
/// end, unless the socket's file is somebody else's by then.
class ListenSocket {
 public:
  struct Access {
    unsigned mode = 0660;
    std::string group;               // empty: as created
    std::string program = "broker";  // who we are, for the error when another one listens
  };

  /// As numbers, for a relaunch.
  struct Descriptors {
    int socket = -1;
    int lock = -1;
  };

  /// Replaces a file that a dead program left; fails if a live one listens there, naming its pid.
  static Result<ListenSocket> create(const std::string& path, const Access& access);
  /// Takes over the socket of our own earlier run; an error if it is another path's.
  static Result<ListenSocket> adopt(const std::string& path, const Descriptors& inherited);
  ListenSocket(ListenSocket&&) noexcept = default;
  ~ListenSocket();

  /// A descriptor of the socket for the acceptor, given away once.
  UniqueFd take_descriptor() { return std::move(socket_); }
  int lock_descriptor() const { return lock_.get(); }
  /// Removes the files now.
  void remove();

 private:
  ListenSocket() = default;
  std::string path_;
  UniqueFd lock_;
  UniqueFd socket_;
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

}  // namespace vgpu::base
