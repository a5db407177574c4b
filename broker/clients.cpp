#include "broker/clients.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "broker/restart/take_back.hpp"
#include "common/base/log.hpp"

namespace vgpu::broker {
namespace {

// One client's life is about five lines. Who starts programs in a loop gets this many into the log.
constexpr unsigned kLogBurst = 500;
constexpr unsigned kLogPerSecond = 50;
// A guest can open and close channels as fast as it likes.
constexpr unsigned kGuestLogBurst = 100;
constexpr unsigned kGuestLogPerSecond = 2;
constexpr std::chrono::milliseconds kHeartbeat{1000};

}  // namespace

Clients::Clients(event::Loop& loop, std::size_t max_clients, const std::string& state)
    : loop_(loop),
      limiter_(kLogBurst, kLogPerSecond),
      guest_limiter_(kGuestLogBurst, kGuestLogPerSecond),
      admission_(max_clients),
      roster_(state + ".roster"),
      quarantine_file_(state + ".quarantine"),
      heartbeat_(loop) {}

base::Result<vm::Client*> Clients::start(vm::Newcomer& newcomer, vm::Window window, std::uint64_t capacity,
                                         std::optional<restart::ChannelPlace> place, vm::ClientEvents events) {
  const auto id = newcomer.id;
  auto& limiter = place ? guest_limiter_ : limiter_;
  auto client = vm::Client::create(loop_, newcomer, std::move(window), capacity, settings_, limiter,
                                   watch(std::move(events), place.has_value()));
  if (!client) return client.error();
  limiter.write(log::Level::info, (*client)->vm(), "client {}: worker {} started", id, (*client)->worker_pid());
  auto entry = (*client)->roster_entry();
  entry.place = std::move(place);
  // On the roster before it is answered: a broker that comes after us finds every client that may go on.
  roster_.add(entry, next_id_);
  if (entry.place) entries_[id] = std::move(entry);
  return keep(std::move(*client));
}

void Clients::move(std::uint64_t id, const restart::ChannelPlace& place) {
  const auto entry = entries_.find(id);
  if (entry == entries_.end()) return;
  entry->second.place = place;
  roster_.add(entry->second, next_id_);
}

void Clients::forget(std::uint64_t id) {
  entries_.erase(id);
  roster_.remove(id);
}

vm::ClientEvents Clients::watch(vm::ClientEvents events, bool keep_on_roster) {
  events.finished = [this, keep_on_roster, tell = std::move(events.finished)](std::uint64_t id, auto exit) {
    note_end(id, exit);
    drop(id, keep_on_roster);
    if (tell) tell(id, exit);
  };
  events.shares = &shares_;
  events.missed = [this](std::uint64_t id, const control::ShareToken& token) { hear_out(id, token); };
  events.ready = [this](std::uint64_t id, const vm::WorkerFacts& facts) { note_facts(id, facts); };
  return events;
}

void Clients::note_facts(std::uint64_t id, const vm::WorkerFacts& facts) {
  if (const auto entry = entries_.find(id); entry != entries_.end()) entry->second.facts = facts;
  roster_.set_facts(id, facts);
}

// Who asks has the token from who offers: the offer was sent before the question, but over another connection. So what
// the workers of the VM have said is taken in first. Other questions that come up then are answered then, too.
void Clients::hear_out(std::uint64_t id, const control::ShareToken& token) {
  missed_.emplace_back(id, token);
  if (hearing_) return;
  hearing_ = true;
  const auto* asks = find(id);
  for (const auto& [other, client] : clients_)
    if (asks != nullptr && client->vm() == asks->vm()) client->hear_worker();
  hearing_ = false;
  for (const auto& [who, what] : std::exchange(missed_, {}))
    if (auto* client = find(who)) client->settle_share(what);
}

// Before the roster is written without it.
void Clients::note_end(std::uint64_t id, control::WorkerExit exit) {
  const auto* client = find(id);
  if (client == nullptr) return;
  roster_.totals().add_records(client->vm(), client->usage().records);
  shares_.forget(client->vm(), id);
  ends_.note({id, client->worker_pid(), client->vm(), exit, WorkerEnds::Clock::now()});
}

Totals::PerVm Clients::processed() const {
  Totals sum(roster_.totals());
  for (const auto& [id, client] : clients_)
    if (!client->has_ended()) sum.add_records(client->vm(), client->usage().records);
  return sum.per_vm();
}

void Clients::drop(std::uint64_t id, bool keep_on_roster) {
  event::defer(loop_, [this, id, keep_on_roster] {
    clients_.erase(id);
    if (!keep_on_roster) roster_.remove(id);
    if (clients_.empty()) heartbeat_.cancel();  // without clients the broker sleeps
    if (on_gone_) on_gone_();
  });
}

vm::Client* Clients::keep(std::unique_ptr<vm::Client> client) {
  auto* kept = client.get();
  clients_[client->id()] = std::move(client);
  if (!heartbeat_.is_running()) heartbeat_.start(kHeartbeat, [this] { beat(); });
  return kept;
}

void Clients::take_back(const FindEvents& find_events) {
  const auto predecessor = roster_.read();
  if (!predecessor) return log::error("{}; workers of an earlier broker stay on their own", predecessor.error().text);
  next_id_ = predecessor->next_id;
  roster_.totals() = predecessor->totals;
  if (predecessor->entries.empty()) return;
  auto known = predecessor->entries;
  std::erase_if(known, [&](const restart::Entry& entry) { return !take_back(entry, find_events); });
  roster_.replace(known, next_id_);
}

// False: it need not be on the roster any more.
bool Clients::take_back(const restart::Entry& entry, const FindEvents& find_events) {
  if (entry.place && entry.place->pieces.empty()) return false;
  auto taken = restart::take_back(entry);
  auto events = find_events(entry, taken ? taken->window.descriptor() : -1);
  if (entry.place && events) entries_[entry.id] = entry;
  if (!taken && taken.error().code == ESRCH) {
    log::info("worker {} of client {} has ended while no broker served", entry.worker.pid, entry.id);
    return entry.place && events;
  }
  if (!taken) {
    log::error("worker {} of client {} ({}) stays on its own: {}", entry.worker.pid, entry.id, entry.vm_name(),
               taken.error().text);
    return true;  // the next broker may succeed
  }
  log::info("took back client {}: worker {} (pid {} of the client, {})", entry.id, entry.worker.pid, entry.client.pid,
            entry.vm_name());
  const bool is_wanted = events.has_value();
  auto client = vm::Client::take_back(
      loop_, std::move(*taken), admission_.take_back(entry.vm_name()), settings_,
      entry.place ? guest_limiter_ : limiter_,
      watch(is_wanted ? std::move(*events) : vm::ClientEvents{}, entry.place.has_value() && is_wanted));
  auto* kept = keep(std::move(client));
  if (!is_wanted) kept->revoke();
  return true;
}

vm::Client* Clients::find(std::uint64_t id) {
  const auto found = clients_.find(id);
  return found == clients_.end() ? nullptr : found->second.get();
}

std::size_t Clients::count_quarantined() const {
  return static_cast<std::size_t>(
      std::count_if(clients_.begin(), clients_.end(), [](const auto& one) { return one.second->is_quarantined(); }));
}

void Clients::revoke_all() {
  for (auto& [id, client] : clients_) client->revoke();
}

std::size_t Clients::revoke_vm(const std::string& vm) {
  std::size_t count = 0;
  for (auto& [id, client] : clients_) {
    if (client->vm() != vm || client->is_ending()) continue;
    client->revoke();
    ++count;
  }
  return count;
}

Clients::Quarantined Clients::set_quarantined(const std::string& vm, bool is_quarantined) {
  admission_.set_quarantined(vm, is_quarantined);
  Quarantined result;
  if (is_quarantined) result.revoked = revoke_vm(vm);
  if (const auto written = quarantine_file_.write(quarantined()); !written) result.not_written = written.error().text;
  return result;
}

void Clients::restore_quarantine() {
  const auto names = quarantine_file_.read();
  if (!names) return log::error("{}; no VM is in quarantine", names.error().text);
  for (const auto& vm : *names) {
    admission_.set_quarantined(vm, true);
    log::warning("VM {} is in quarantine: vgpu-admin release {} ends it", vm, vm);
  }
}

bool Clients::abandon_all() {
  for (const auto& [id, client] : clients_) {
    log::error("ALARM: leaving worker {} of client {} behind: it does not die", client->worker_pid(), id);
    client->abandon();
  }
  const bool all_ended = clients_.empty();
  if (all_ended) roster_.discard();
  heartbeat_.cancel();
  clients_.clear();
  return all_ended;
}

void Clients::beat() {
  const auto now = shm::monotonic_ms();
  for (auto& [id, client] : clients_) client->beat(now);
  heartbeat_.start(kHeartbeat, [this] { beat(); });
}

}  // namespace vgpu::broker
