// One client: its window, its worker and what the broker holds for both, from hello to the end of the worker.
//
// Life: create() starts the worker, answer() the client (or take_back() finds both) -> running -> one of
//   the worker ends by itself   -> the client is told in the window;
//   the client ends, or the host revokes -> reclaim: peer status -> kill -> wait for the exit;
// both end in finish(): exit class and status into the window, sleepers woken, window dropped, on_finished.
// A worker that does not die keeps everything: the client is quarantined until it does.
#pragma once

#include <functional>
#include <optional>

#include "broker/event/event.hpp"
#include "broker/listener/greeting.hpp"
#include "broker/log_limiter.hpp"
#include "broker/restart/take_back.hpp"
#include "broker/supervisor/worker_process.hpp"
#include "broker/vm/window.hpp"
#include "common/shm/segment.hpp"

namespace vgpu::broker::vm {

/// What every client of this broker is made with.
struct ClientSettings {
  std::string worker_path;
  std::string driver;
  std::string log_level;
  std::uint64_t window_size = 0;
  std::chrono::milliseconds kill_timeout{};
};

class Client {
 public:
  /// Sets the channel up and starts the worker; answer() is the next step. On failure nothing is left. `on_finished` is
  /// called once, when nothing of the client is left; it may not destroy the client except by event::defer. `limiter`
  /// outlives the client.
  static base::Result<std::unique_ptr<Client>> create(event::Loop& loop, std::uint64_t id, listener::Greeted& greeted,
                                                      const ClientSettings& settings, LogLimiter& limiter,
                                                      std::function<void(std::uint64_t)> on_finished);
  /// A client of an earlier broker, whose worker runs. One that has ended meanwhile is reclaimed at once.
  static std::unique_ptr<Client> take_back(event::Loop& loop, restart::TakenBack taken, Admission::Ticket ticket,
                                           const ClientSettings& settings, LogLimiter& limiter,
                                           std::function<void(std::uint64_t)> on_finished);

  /// Answers the hello: the client begins.
  void answer(const control::Agreement& agreement);

  std::uint64_t id() const { return id_; }
  pid_t worker_pid() const { return worker_->pid(); }
  pid_t pid() const { return guest_->peer.pid; }
  bool is_quarantined() const { return quarantined_; }
  /// For the roster.
  restart::Entry roster_entry() const;
  void beat(std::uint64_t now_ms) { grant_.beat(now_ms); }
  /// Takes the channel back: the host wants it so.
  void revoke() { reclaim(control::KillReason::revoked); }
  /// Leaves a worker behind that does not die.
  void abandon() { worker_->abandon(); }

 private:
  struct Parts;
  Client(event::Loop& loop, Parts parts);

  void on_peer_socket();
  void on_worker_message();
  void log_worker_message(const control::Frame& frame);
  void reclaim(control::KillReason reason);
  void on_kill_timeout();
  void finish(control::WorkerExit exit);

  std::uint64_t id_;
  std::chrono::milliseconds kill_timeout_;
  LogLimiter& limiter_;
  std::function<void(std::uint64_t)> on_finished_;
  std::optional<listener::Guest> guest_;  // its connection and pidfd are in the watches below
  uid_t uid_;
  base::UniqueFd doorbell_;  // until answer()
  Window window_;
  shm::GrantWriter grant_;
  unsigned worker_messages_ = 0;
  bool reclaiming_ = false;
  bool quarantined_ = false;
  event::Timer kill_deadline_;
  std::optional<event::Readable> peer_gone_;
  std::optional<event::Readable> peer_socket_;
  std::optional<event::Readable> control_;
  std::optional<supervisor::WorkerProcess> worker_;
};

/// The VM a directly connected client belongs to: the user.
std::string vm_name(uid_t uid);

}  // namespace vgpu::broker::vm
