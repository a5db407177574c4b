// All clients of this broker, whichever way they came: places, quarantine, log lines, roster, counts, heartbeat, and
// their ends.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "broker/admission.hpp"
#include "broker/event/event.hpp"
#include "broker/log_limiter.hpp"
#include "broker/quarantine_file.hpp"
#include "broker/restart/roster.hpp"
#include "broker/totals.hpp"
#include "broker/vm/client.hpp"
#include "broker/vm/shares.hpp"
#include "broker/worker_ends.hpp"

namespace vgpu::broker {

class Clients {
 public:
  /// `state`: paths of the files that a broker leaves to the next one begin so.
  Clients(event::Loop& loop, std::size_t max_clients, const std::string& state);

  /// What clients from now on are made with.
  void configure(vm::ClientSettings settings) { settings_ = std::move(settings); }
  vm::ClientSettings& settings() { return settings_; }
  /// Called each time a client is gone for good.
  void on_gone(std::function<void()> callback) { on_gone_ = std::move(callback); }

  /// Numbers of connections and clients: a client keeps that of its connection.
  std::uint64_t take_id() { return next_id_++; }
  Admission& admission() { return admission_; }
  /// Bounds of what one VM can make us write. Users of this host are given more than guests.
  LogLimiter& limiter() { return limiter_; }
  LogLimiter& guest_limiter() { return guest_limiter_; }

  /// VMs in quarantine: none of their clients goes on, and no other comes until they are released. Kept over restarts.
  const std::set<std::string>& quarantined() const { return admission_.quarantined(); }
  struct Quarantined {
    std::size_t revoked = 0;  // clients
    std::string not_written;  // why it would not outlive this broker; empty: it does
  };
  Quarantined set_quarantined(const std::string& vm, bool is_quarantined);
  void restore_quarantine();

  /// Work that has been done, for whoever completes it elsewhere than in a client's worker.
  Totals& totals() { return roster_.totals(); }
  /// Of each VM that has had any, up to now.
  Totals::PerVm processed() const;
  const WorkerEnds& ends() const { return ends_; }
  /// The roster as it is now: a relaunch follows.
  void save() { roster_.save(); }

  /// Makes the newcomer a client, with its worker; it is on the roster before this returns, but not yet answered.
  /// `place` is that of a VM's channel: such an entry stays on the roster until forget(), because its memory stays the
  /// guest's. On failure `newcomer` is as it was.
  base::Result<vm::Client*> start(vm::Newcomer& newcomer, vm::Window window, std::uint64_t capacity,
                                  std::optional<restart::ChannelPlace> place, vm::ClientEvents events);
  /// The channel has other pieces now.
  void move(std::uint64_t id, const restart::ChannelPlace& place);
  void forget(std::uint64_t id);

  /// Who is told of a client of an earlier broker. `window`: a descriptor of its memory if the client lives, else -1.
  /// Nothing: nobody wants it, and it is ended.
  using FindEvents = std::function<std::optional<vm::ClientEvents>(const restart::Entry&, int window)>;
  /// Takes the clients of an earlier broker back.
  void take_back(const FindEvents& find_events);

  vm::Client* find(std::uint64_t id);
  std::size_t count() const { return clients_.size(); }
  std::size_t count_quarantined() const;
  const std::map<std::uint64_t, std::unique_ptr<vm::Client>>& all() const { return clients_; }
  void revoke_all();
  /// Ends all clients of a VM; how many there were.
  std::size_t revoke_vm(const std::string& vm);
  /// Leaves behind those whose workers do not die; true if there was none.
  bool abandon_all();

 private:
  bool take_back(const restart::Entry& entry, const FindEvents& find_events);
  vm::ClientEvents watch(vm::ClientEvents events, bool keep_on_roster);
  vm::Client* keep(std::unique_ptr<vm::Client> client);
  void drop(std::uint64_t id, bool keep_on_roster);
  void note_facts(std::uint64_t id, const vm::WorkerFacts& facts);
  void note_end(std::uint64_t id, control::WorkerExit exit);
  void hear_out(std::uint64_t id, const control::ShareToken& token);
  void beat();

  event::Loop& loop_;
  vm::ClientSettings settings_;
  LogLimiter limiter_;
  LogLimiter guest_limiter_;
  Admission admission_;
  restart::Roster roster_;
  QuarantineFile quarantine_file_;
  WorkerEnds ends_;
  vm::Shares shares_;
  bool hearing_ = false;
  std::vector<std::pair<std::uint64_t, control::ShareToken>> missed_;  // questions of clients, while hearing
  std::map<std::uint64_t, restart::Entry> entries_;                    // of those that have a place in a VM's window
  event::Timer heartbeat_;
  std::function<void()> on_gone_;
  std::uint64_t next_id_ = 1;
  std::map<std::uint64_t, std::unique_ptr<vm::Client>> clients_;
};

}  // namespace vgpu::broker
