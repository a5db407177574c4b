// The broker: owns the listening socket, the greetings under way and the VMs, and brings them to an end in order.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>

#include "broker/admin/server.hpp"
#include "broker/clients.hpp"
#include "broker/config.hpp"
#include "broker/event/event.hpp"
#include "broker/listener/acceptor.hpp"
#include "broker/listener/greeting.hpp"
#include "broker/options.hpp"
#include "broker/pulse.hpp"
#include "broker/restart/relaunch.hpp"
#include "broker/vm/vm.hpp"
#include "common/base/listen_socket.hpp"

namespace vgpu::broker {

class Broker {
 public:
  Broker(event::Loop& loop, const Options& options, const Config& config);

  /// Finds the worker, listens, takes the clients of an earlier broker back, takes signals. After this run the loop: it
  /// returns when the staged shutdown is complete.
  base::Result<void> start();
  /// The way out when there is no memory to go on with: a relaunch with a fresh heap. Returns if there is none.
  void relaunch_in_need();
  /// Valid once the loop has returned.
  int exit_code() const { return exit_code_; }

 private:
  base::Result<void> listen();
  std::optional<vm::ClientEvents> find_events(const restart::Entry& entry, int window);
  void on_signal(int signal);
  std::vector<std::string> reload();
  std::vector<admin::SocketReport> list_sockets() const;
  void log_accounts();
  void accept_from(base::UniqueFd socket);
  void begin_relaunch();
  void relaunch();
  void on_connection(base::UniqueFd connection);
  void on_greeted(std::uint64_t id, listener::Greeted greeted);
  void refuse(const listener::Guest& guest, control::HelloStatus status, const std::string& text);
  void admit(std::uint64_t id, listener::Greeted greeted);
  void begin_shutdown(int signal);
  void continue_shutdown();
  void end_shutdown();

  event::Loop& loop_;
  const Options& options_;
  Config config_;
  restart::Relaunch relaunch_;
  Clients clients_;
  std::vector<std::unique_ptr<vm::Vm>> vms_;
  std::optional<event::Signals> signals_;
  std::optional<base::ListenSocket> socket_;
  std::optional<listener::Acceptor> acceptor_;
  event::Timer shutdown_deadline_;
  std::map<std::uint64_t, std::unique_ptr<listener::Greeting>> greetings_;
  std::optional<Pulse> pulse_;
  admin::Office office_;
  std::optional<admin::Server> admin_;
  bool stopping_ = false;
  bool relaunching_ = false;    // as soon as nobody says hello any more
  base::UniqueFd held_socket_;  // meanwhile
  int exit_code_ = 0;
};

}  // namespace vgpu::broker
