// The connection of a revision-2 stub: its requests go to the VM's desk, the answers back, in the same order.
#pragma once

#include <chrono>
#include <functional>
#include <optional>

#include "broker/legacy/desk.hpp"
#include "broker/legacy/stub_parser.hpp"
#include "common/base/peer.hpp"

namespace vgpu::broker::legacy {

class StubConnection : public Asker {
 public:
  /// `on_closed` is called once, with why; it may destroy the connection only by event::defer. A message that stays
  /// half for `patience`, and a first one that does not come within it, close the connection.
  StubConnection(event::Loop& loop, base::UniqueFd connection, base::Peer peer, Desk& desk,
                 std::chrono::milliseconds patience, std::function<void(const std::string& why)> on_closed);
  ~StubConnection() override;

  const base::Peer& peer() const { return peer_; }
  int descriptor() const { return readable_ ? readable_->descriptor() : -1; }
  void on_answer(const Request& request, const Answer& answer) override;

 private:
  void on_readable();
  void on_message();
  void watch_patience();
  void send(std::uint32_t type, const Request& request, std::span<const std::uint8_t> payload);
  void close(const std::string& why);

  base::Peer peer_;
  Desk& desk_;
  const std::chrono::milliseconds patience_;
  std::function<void(const std::string& why)> on_closed_;
  StubParser parser_;
  std::optional<std::uint32_t> vm_id_;  // of the first message, by which it was let in
  event::Timer impatience_;
  event::Timer broken_;  // runs once sending has failed
  std::optional<event::Readable> readable_;
};

}  // namespace vgpu::broker::legacy
