// The connection to a VM's stub: messages in, messages out (common/abi/stub_link.h). What they mean is Vm's business.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <span>
#include <string>

#include "broker/event/event.hpp"
#include "common/base/peer.hpp"
#include "common/control/frame.hpp"
#include "common/control/socket_io.hpp"

namespace vgpu::broker::vm {

inline vgpu_link_header make_link_header(control::MessageType type, std::size_t size, std::size_t fd_count) {
  return {VGPU_LINK_MAGIC,
          static_cast<std::uint16_t>(type),
          static_cast<std::uint16_t>(fd_count),
          static_cast<std::uint32_t>(size),
          control::kVersion.major,
          control::kVersion.minor};
}

/// Callbacks may destroy the link only by event::defer.
struct LinkEvents {
  /// A message of a right type and size. The first one is the hello.
  std::function<void(control::Frame&)> message;
  /// Once: the stub has closed, or broke a rule (`reason` says which). Nothing comes after it.
  std::function<void(const std::string& reason)> closed;
};

class Link {
 public:
  /// A stub that has not said hello within `timeout` is closed.
  Link(event::Loop& loop, base::UniqueFd connection, base::Peer peer, std::chrono::milliseconds timeout,
       LinkEvents events);

  const base::Peer& peer() const { return peer_; }
  bool is_open() const { return readable_.has_value(); }
  /// Sends without blocking. A stub that lets its socket fill up is closed.
  template <typename Message>
  void send(Message message, control::MessageType type, std::span<const int> fds = {}) {
    message.header = make_link_header(type, sizeof message, fds.size());
    send_bytes(&message, sizeof message, fds);
  }
  /// Takes what is there now, as it does by itself when there is something.
  void look() {
    if (is_open()) on_readable();
  }
  /// Closes it from our side; `closed` is not called.
  void close();

 private:
  void on_readable();
  void read();
  void take_message();
  void fail(const std::string& reason);
  void send_bytes(const void* data, std::size_t size, std::span<const int> fds);

  base::Peer peer_;
  LinkEvents events_;
  event::Timer hello_deadline_;
  event::Timer broken_;  // runs once sending has failed
  std::optional<control::FrameParser> parser_;
  std::optional<event::Readable> readable_;
};

}  // namespace vgpu::broker::vm
