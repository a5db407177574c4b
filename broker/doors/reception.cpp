#include "broker/doors/reception.hpp"

#include <algorithm>

#include "broker/vm/stub_refusal.hpp"
#include "broker/vm/vm_name.hpp"
#include "common/base/log.hpp"
#include "common/control/socket_io.hpp"

namespace vgpu::broker::doors {
namespace {

using control::HelloStatus;

// Connections that are looked at though there is no place for a client: a stub needs none, so its VM can come back when
// all places are taken. Of each VM or user; and of all users together, for one person may have many numbers.
constexpr std::ptrdiff_t kWithoutPlace = 4;
constexpr std::ptrdiff_t kUsersWithoutPlace = 64;
// Connections that wait in silence: of a VM; of a user, as whom the QEMUs of many VMs may run; of all users together.
constexpr std::size_t kSilentOfVm = 2;
constexpr std::size_t kSilentOfUser = 64;
constexpr std::size_t kSilentOfUsers = 256;

}  // namespace

Reception::Reception(event::Loop& loop, const Config& config, Clients& clients, Vms& vms)
    : loop_(loop), config_(config), clients_(clients), vms_(vms) {}

/// What a VM can make us write is bounded more narrowly than what a user of this host can.
template <typename... Args>
void Reception::write(log::Level level, const Identity& who, fmt::format_string<Args...> format, Args&&... args) {
  auto& limiter = who.settings != nullptr ? clients_.guest_limiter() : clients_.limiter();
  limiter.write(level, who.vm, format, std::forward<Args>(args)...);
}

void Reception::receive(const Entrance& entrance, base::UniqueFd connection) {
  auto peer = base::identify_peer(connection.get());
  if (!peer) {
    clients_.limiter().write(log::Level::warning, "unknown peers", "refused a connection: {}", peer.error().text);
    return control::send_refusal(connection.get(), HelloStatus::internal, peer.error().text);
  }
  auto who = identify(config_, entrance, peer->uid);
  if (!who) return turn_away(entrance, *peer, connection.get(), who.error().text);
  std::string refusal;
  auto ticket = take_place(*who, refusal);
  if (!ticket && !may_come_without_place(*who))
    return refuse(*who, *peer, connection.get(), HelloStatus::limit, refusal);
  const auto id = next_visit_++;
  Look::Events events{[this, id](Look::Seen seen) { on_seen(id, std::move(seen)); }, {}};
  if (may_be_legacy_stub(*who)) events.silent = [this, id] { on_silent(id); };
  auto look = std::make_shared<Look>(loop_, std::move(connection), config_.hello_timeout, std::move(events));
  visits_.emplace(id, Visit{std::move(*who), std::move(*peer), std::move(ticket), std::move(refusal), entrance.path,
                            false, std::move(look)});
}

void Reception::turn_away(const Entrance& entrance, const base::Peer& peer, int connection, const std::string& why) {
  clients_.guest_limiter().write(log::Level::warning, entrance.path, "refused pid {} (uid {}): {}", peer.pid, peer.uid,
                                 why);
  control::send_refusal(connection, HelloStatus::malformed, why);
}

std::optional<Admission::Ticket> Reception::take_place(const Identity& who, std::string& refusal) {
  const Admission::Quota quota = who.settings != nullptr
                                     ? Admission::Quota{who.settings->channels, "channels of its [vm.NAME]"}
                                     : Admission::Quota{config_.max_clients_per_uid, "max_clients_per_uid"};
  return clients_.admission().admit(who.vm, quota, refusal);
}

bool Reception::may_come_without_place(const Identity& who) const {
  const auto count = [&](auto&& matches) {
    return std::count_if(visits_.begin(), visits_.end(), [&](const auto& one) {
      return !one.second.ticket && !one.second.is_waiting && matches(one.second.who);
    });
  };
  if (count([&](const Identity& other) { return other.vm == who.vm; }) >= kWithoutPlace) return false;
  return who.settings != nullptr ||
         count([](const Identity& other) { return other.settings == nullptr; }) < kUsersWithoutPlace;
}

bool Reception::may_be_legacy_stub(const Identity& who) const {
  if (who.settings != nullptr || config_.allows_unknown_vms) return true;
  return std::any_of(config_.vms.begin(), config_.vms.end(), [](const VmSettings& vm) { return vm.is_claimed; });
}

// A stub of revision 2 connects when its VM starts and never again, so it may be silent as long as it likes. The oldest
// make room: a VM that was started again has left them.
void Reception::on_silent(std::uint64_t id) {
  auto& visit = visits_.at(id);
  if (on_empty_) return drop(id);
  visit.is_waiting = true;
  visit.ticket.reset();
  const bool is_vm = visit.who.settings != nullptr;
  std::vector<std::uint64_t> of_users, own;
  for (const auto& [other, one] : visits_) {
    if (one.is_waiting && one.who.settings == nullptr) of_users.push_back(other);
    if (one.is_waiting && one.who.vm == visit.who.vm) own.push_back(other);
  }
  if (own.size() > (is_vm ? kSilentOfVm : kSilentOfUser))
    drop(own.front());
  else if (!is_vm && of_users.size() > kSilentOfUsers)
    drop(of_users.front());
}

void Reception::drop(std::uint64_t id) {
  auto& visit = visits_.at(id);
  visit.is_waiting = false;
  write(log::Level::info, visit.who, "closed the connection of pid {} (uid {}) to {}: it says nothing", visit.peer.pid,
        visit.peer.uid, visit.path);
  event::defer(loop_, [this, id] {
    visits_.erase(id);
    continue_finishing();
  });
}

void Reception::on_seen(std::uint64_t id, Look::Seen seen) {
  auto node = visits_.extract(id);
  event::defer(loop_, [this, look = std::move(node.mapped().look)] { continue_finishing(); });
  auto& visit = node.mapped();
  const int connection = seen.connection.get();
  if (seen.end == Look::End::closed)
    return refuse(visit.who, visit.peer, connection, HelloStatus::malformed,
                  "it closed the connection without a hello");
  if (seen.end == Look::End::too_late)
    return refuse(visit.who, visit.peer, connection, HelloStatus::malformed, "no complete hello came in time");
  switch (seen.words.speaker) {
    case FirstWords::Speaker::client:
      return greet(std::move(visit), std::move(seen));
    case FirstWords::Speaker::stub:
    case FirstWords::Speaker::legacy_stub:
      return introduce(std::move(visit), std::move(seen));
    case FirstWords::Speaker::unclear:
    case FirstWords::Speaker::nobody:
      break;
  }
  write(log::Level::warning, visit.who,
        "refused pid {} (uid {}): what it says to {} is no message of ours: neither a client nor a stub begins with "
        "\"{}\"",
        visit.peer.pid, visit.peer.uid, visit.path, seen.beginning);
}

void Reception::greet(Visit visit, Look::Seen seen) {
  if (!visit.who.no_client.empty())
    return refuse(visit.who, visit.peer, seen.connection.get(), HelloStatus::malformed, visit.who.no_client);
  // One that waited in silence gave its place away.
  if (!visit.ticket)
    if (auto ticket = take_place(visit.who, visit.refusal)) visit.ticket.emplace(std::move(*ticket));
  if (!visit.ticket) return refuse(visit.who, visit.peer, seen.connection.get(), HelloStatus::limit, visit.refusal);
  const auto id = clients_.take_id();
  greetings_[id] = std::make_unique<listener::Greeting>(
      loop_, listener::Guest{std::move(seen.connection), std::move(visit.peer), std::move(*visit.ticket)}, seen.left,
      [this, id, who = visit.who](listener::Greeted greeted) { on_greeted(id, who, std::move(greeted)); });
}

void Reception::introduce(Visit visit, Look::Seen seen) {
  const bool is_legacy = seen.words.speaker == FirstWords::Speaker::legacy_stub;
  const auto vm = vms_.find_stub(visit.who, seen.words.labels);
  if (!vm) {
    write(log::Level::warning, visit.who, "refused the stub of pid {} (uid {}) at {}: {}", visit.peer.pid,
          visit.peer.uid, visit.path, vm.error().text);
    // Revision 2 has no word for it.
    if (!is_legacy) vm::refuse_stub(seen.connection.get(), HelloStatus::malformed, visit.who.vm, vm.error().text);
    return;
  }
  if (is_legacy) return (*vm)->take_legacy_stub(std::move(seen.connection), std::move(visit.peer));
  (*vm)->take_stub(std::move(seen.connection), std::move(visit.peer));
}

void Reception::on_greeted(std::uint64_t id, const Identity& who, listener::Greeted greeted) {
  event::defer(loop_, [this, id] {
    greetings_.erase(id);
    continue_finishing();
  });
  if (greeted.status == HelloStatus::ok) return welcome(id, who, std::move(greeted));
  refuse(who, greeted.guest.peer, greeted.guest.connection.get(), greeted.status, greeted.text);
}

void Reception::welcome(std::uint64_t id, const Identity& who, listener::Greeted greeted) {
  const auto& peer = greeted.guest.peer;
  vm::Newcomer newcomer{id, who.vm, {}, greeted.hello, greeted.agreement};
  write(log::Level::info, who, "client {} connected: pid {}, uid {}, \"{}\"", id, peer.pid, peer.uid,
        control::get_text(greeted.hello.label));
  const auto refuse_it = [&](const listener::Guest& guest, const std::string& why) {
    refuse(who, guest.peer, guest.connection.get(), HelloStatus::internal, why);
  };
  auto window = vm::Window::create(config_.window_size, id);
  if (!window) return refuse_it(greeted.guest, window.error().text);
  newcomer.guest.emplace(std::move(greeted.guest));
  auto client = clients_.start(newcomer, std::move(*window), config_.window_size, {}, {});
  if (client) return (*client)->answer();
  refuse_it(*newcomer.guest, client.error().text);
}

void Reception::refuse(const Identity& who, const base::Peer& peer, int connection, HelloStatus status,
                       const std::string& text) {
  write(log::Level::warning, who, "refused pid {} (uid {}): {}", peer.pid, peer.uid, text);
  control::send_refusal(connection, status, text);
}

void Reception::finish(std::function<void()> on_empty) {
  on_empty_ = std::move(on_empty);
  std::erase_if(visits_, [](const auto& one) { return one.second.is_waiting; });
  continue_finishing();
}

void Reception::continue_finishing() {
  if (!on_empty_ || count() != 0) return;
  std::exchange(on_empty_, nullptr)();
}

void Reception::clear() {
  on_empty_ = nullptr;
  visits_.clear();
  greetings_.clear();
}

}  // namespace vgpu::broker::doors
