// The broker: owns the doors, whoever has just come through them, the VMs and the clients, and brings them to an end in
// order.
#pragma once

#include <optional>

#include "broker/admin/server.hpp"
#include "broker/clients.hpp"
#include "broker/config.hpp"
#include "broker/doors/doors.hpp"
#include "broker/doors/reception.hpp"
#include "broker/event/event.hpp"
#include "broker/options.hpp"
#include "broker/pulse.hpp"
#include "broker/restart/relaunch.hpp"
#include "broker/vms.hpp"

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
  std::optional<vm::ClientEvents> find_events(const restart::Entry& entry, int window);
  void on_signal(int signal);
  std::vector<std::string> reload();
  std::vector<admin::SocketReport> list_sockets() const;
  void log_accounts();
  void begin_relaunch();
  void relaunch_without_signals();
  void relaunch();
  void begin_step_down();
  [[noreturn]] void step_down();
  void begin_shutdown(int signal);
  void continue_shutdown();
  void end_shutdown();

  event::Loop& loop_;
  const Options& options_;
  Config config_;
  restart::Relaunch relaunch_;
  Clients clients_;
  Vms vms_;
  doors::Reception reception_;
  doors::Doors doors_;
  std::optional<event::Signals> signals_;
  event::Timer shutdown_deadline_;
  std::optional<Pulse> pulse_;
  admin::Office office_;
  std::optional<admin::Server> admin_;
  bool stopping_ = false;
  bool relaunching_ = false;    // as soon as nobody says hello any more
  bool stepping_down_ = false;  // the same
  int exit_code_ = 0;
};

}  // namespace vgpu::broker
