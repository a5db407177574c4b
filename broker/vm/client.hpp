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
#include "broker/vm/newcomer.hpp"
#include "broker/vm/shares.hpp"
#include "broker/vm/vm_name.hpp"
#include "broker/vm/window.hpp"
#include "broker/vm/worker_facts.hpp"
#include "common/shm/segment.hpp"

namespace vgpu::broker::vm {

/// What becomes of a client is told here. Callbacks may destroy the client only by event::defer.
struct ClientEvents {
  /// Once, when nothing of the client is left.
  std::function<void(std::uint64_t id, control::WorkerExit)> finished;
  /// Its worker does not die. May be empty.
  std::function<void()> stuck;
  /// Its channel shall grow; the answer may have size 0. Empty: it cannot.
  std::function<control::ExtentGrant(std::uint64_t size)> grow;
  /// The last piece that was granted is not used any more. False: there is none of this size.
  std::function<bool(std::uint64_t size)> shrink;
  /// What the workers of its VM offer each other. Null: nothing may be shared.
  Shares* shares = nullptr;
  /// Its worker asks for something that nobody offers. It is answered later, by settle_share(). May be empty.
  std::function<void(std::uint64_t id, const control::ShareToken& token)> missed;
  /// Its worker is ready. May be empty.
  std::function<void(std::uint64_t id, const WorkerFacts&)> ready;
};

/// What every client of this broker is made with.
struct ClientSettings {
  std::string worker_path;
  std::string driver;
  std::string log_level;
  std::chrono::milliseconds kill_timeout{};
  std::string log_format = "text";
  std::string log_file;  // empty: standard error
};

class Client {
 public:
  /// Starts the worker of a channel that begins with `window` and may grow to `capacity` bytes; the answer to the hello
  /// is the next step. On failure nothing is left, and `newcomer` is as it was. `limiter` outlives the client.
  static base::Result<std::unique_ptr<Client>> create(event::Loop& loop, Newcomer& newcomer, Window window,
                                                      std::uint64_t capacity, const ClientSettings& settings,
                                                      LogLimiter& limiter, ClientEvents events);
  /// A client of an earlier broker, whose worker runs. One that has ended meanwhile is reclaimed at once.
  static std::unique_ptr<Client> take_back(event::Loop& loop, restart::TakenBack taken, Admission::Ticket ticket,
                                           const ClientSettings& settings, LogLimiter& limiter, ClientEvents events);

  /// The answer to its hello.
  control::HelloReply reply() const;
  /// Sends it to a client that is connected directly: it begins.
  void answer();
  /// Descriptors that go with the answer: what wakes the worker, and the pidfd that tells of its end.
  int doorbell() const { return doorbell_.get(); }
  int worker_descriptor() const { return worker_->descriptor(); }
  /// They have been handed out.
  void drop_doorbell() { doorbell_.reset(); }

  std::uint64_t id() const { return id_; }
  pid_t worker_pid() const { return worker_->pid(); }
  pid_t pid() const { return guest_->peer.pid; }
  bool is_quarantined() const { return quarantined_; }
  const std::string& vm() const { return vm_; }
  uid_t uid() const { return guest_->peer.uid; }
  /// For displays: what the worker says of itself.
  shm::Usage usage() const { return grant_.usage(); }
  /// The devices that it sees and what it holds on each, as its worker says.
  std::vector<shm::DeviceUse> devices() const { return grant_.devices(); }
  const std::optional<WorkerFacts>& facts() const { return facts_; }
  bool is_ending() const { return reclaiming_; }
  /// Its worker has ended; the client is about to be forgotten.
  bool has_ended() const { return ended_; }
  /// For the roster, without the place of a VM's channel.
  restart::Entry roster_entry() const;
  void beat(std::uint64_t now_ms) {
    grant_.beat(now_ms);
    extent_messages_ = share_messages_ = 0;
  }
  /// Takes in what its worker has said already.
  void hear_worker();
  /// Answers what was missed: with the offer, if there is one by now.
  void settle_share(const control::ShareToken& token);
  /// Takes the channel back: the host wants it so, or the guest has let go.
  void revoke(control::KillReason reason = control::KillReason::revoked) { reclaim(reason); }
  /// Leaves a worker behind that does not die.
  void abandon() { worker_->abandon(); }

 private:
  struct Parts;
  Client(event::Loop& loop, Parts parts);

  void on_peer_socket();
  bool take_worker_message();
  bool may_send(control::MessageType type);
  void handle_worker_message(control::Frame frame);
  void grow(std::uint64_t size);
  void take_offer(control::Frame frame);
  const Shares::Offer* find_offer(const control::ShareToken& token) const;
  void answer_share(const control::ShareToken& token);
  void reclaim(control::KillReason reason);
  void on_kill_timeout();
  void finish(control::WorkerExit exit);

  std::uint64_t id_;
  std::chrono::milliseconds kill_timeout_;
  LogLimiter& limiter_;
  ClientEvents events_;
  std::string vm_;
  std::optional<listener::Guest> guest_;  // its connection and pidfd are in the watches below
  control::Agreement agreement_;
  std::uint64_t capacity_;
  base::UniqueFd doorbell_;  // until answer()
  Window window_;
  shm::GrantWriter grant_;
  unsigned worker_messages_ = 0;
  unsigned extent_messages_ = 0;
  unsigned share_messages_ = 0;
  bool reclaiming_ = false;
  bool quarantined_ = false;
  bool ended_ = false;
  std::optional<WorkerFacts> facts_;
  event::Timer kill_deadline_;
  std::optional<event::Readable> peer_gone_;
  std::optional<event::Readable> peer_socket_;
  std::optional<event::Readable> control_;
  std::optional<supervisor::WorkerProcess> worker_;
};

}  // namespace vgpu::broker::vm
