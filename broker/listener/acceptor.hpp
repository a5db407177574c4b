// Takes connections from the listening socket.
#pragma once

#include <functional>
#include <optional>

#include "broker/event/event.hpp"
#include "common/base/unique_fd.hpp"

namespace vgpu::broker::listener {

class Acceptor {
 public:
  Acceptor(event::Loop& loop, base::UniqueFd socket, std::function<void(base::UniqueFd)> on_connection);

  /// Takes those who wait, as it does by itself when there are some.
  void accept_some();
  /// Ends accepting and gives the socket back.
  [[nodiscard]] base::UniqueFd release();

 private:
  void pause(int error);

  event::Loop& loop_;
  std::function<void(base::UniqueFd)> on_connection_;
  base::UniqueFd paused_;  // the socket while we wait for descriptors to become free
  event::Timer retry_;
  std::optional<event::Readable> socket_;
};

}  // namespace vgpu::broker::listener
