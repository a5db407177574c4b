// A door: a listening socket, and what it says about whoever comes through it.
#pragma once

#include <functional>
#include <optional>

#include "broker/doors/identity.hpp"
#include "broker/event/event.hpp"
#include "broker/listener/acceptor.hpp"
#include "common/base/listen_socket.hpp"

namespace vgpu::broker::doors {

/// Who takes what comes through a door.
using Receiver = std::function<void(const Entrance&, base::UniqueFd connection)>;

class Door {
 public:
  /// It lets nobody in before open().
  Door(event::Loop& loop, Entrance entrance, base::ListenSocket socket, const Receiver& receiver);
  Door(const Door&) = delete;
  Door& operator=(const Door&) = delete;

  const Entrance& entrance() const { return entrance_; }
  /// False: somebody has taken its file away.
  bool is_in_place() const { return socket_.is_in_place(); }
  void open();
  /// Those who come wait until open(). Allocates nothing.
  void close();
  /// For good: those who come are refused by the kernel, or wait for whoever else has the socket. Its file stays.
  void shut();
  /// Closed: what another run of this program needs of it.
  base::ListenSocket::Descriptors descriptors() const {
    return {held_.get(), socket_.lock_descriptor(), socket_.keeps_file()};
  }

 private:
  event::Loop& loop_;
  const Entrance entrance_;
  const Receiver& receiver_;
  base::ListenSocket socket_;
  base::UniqueFd held_;  // the listening descriptor, while closed
  std::optional<listener::Acceptor> acceptor_;
};

}  // namespace vgpu::broker::doors
