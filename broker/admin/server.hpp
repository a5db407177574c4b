// The admin socket: who connects is asked for by the kernel's word, and answered line by line.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "broker/admin/authority.hpp"
#include "broker/admin/connection.hpp"
#include "broker/admin/office.hpp"
#include "broker/listener/acceptor.hpp"
#include "broker/log_limiter.hpp"
#include "common/base/listen_socket.hpp"

namespace vgpu::broker::admin {

class Server {
 public:
  struct Settings {
    std::string socket;
    std::string group;
    Connection::Times times{};
  };

  /// `office` and `limiter` outlive it.
  Server(event::Loop& loop, Settings settings, Office& office, LogLimiter& limiter);
  base::Result<void> listen();

 private:
  void on_connection(base::UniqueFd connection);
  void on_closed(std::uint64_t number);
  std::string refusal_for(const Asker& asker) const;
  std::string answer(const Asker& asker, std::string_view line);

  event::Loop& loop_;
  const Settings settings_;
  Office& office_;
  LogLimiter& limiter_;
  Authority authority_;
  std::optional<base::ListenSocket> socket_;
  std::optional<listener::Acceptor> acceptor_;
  std::uint64_t next_ = 1;
  std::map<std::uint64_t, std::unique_ptr<Connection>> connections_;
  std::vector<std::uint64_t> closed_;  // connections whose callback may still be running
  event::Timer sweep_;                 // takes them away then, unless the server goes first
};

}  // namespace vgpu::broker::admin
