// Whoever has come through a door is received here, until somebody owns the connection: a look at its first bytes, then
// the greeting of a client, or the VM of a stub. Bounded in number and time: who says nothing holds nothing up.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>

#include "broker/clients.hpp"
#include "broker/doors/identity.hpp"
#include "broker/doors/look.hpp"
#include "broker/listener/greeting.hpp"
#include "broker/vms.hpp"

namespace vgpu::broker::doors {

class Reception {
 public:
  /// All must outlive it.
  Reception(event::Loop& loop, const Config& config, Clients& clients, Vms& vms);

  void receive(const Entrance& entrance, base::UniqueFd connection);
  /// Connections that are not yet anybody's.
  std::size_t count() const { return visits_.size() + greetings_.size(); }
  /// Nobody comes any more: calls back once, when those who are speaking have got their answer. Silent ones are closed.
  void finish(std::function<void()> on_empty);
  /// Closes all.
  void clear();

 private:
  /// A connection of which we do not know yet what it is.
  struct Visit {
    Identity who;
    base::Peer peer;
    std::optional<Admission::Ticket> ticket;  // a client needs one, a stub does not
    std::string refusal;                      // why it has none
    std::string path;                         // of the door
    bool is_waiting = false;                  // silent, without a deadline
    std::shared_ptr<Look> look;
  };

  void turn_away(const Entrance& entrance, const base::Peer& peer, int connection, const std::string& why);
  std::optional<Admission::Ticket> take_place(const Identity& who, std::string& refusal);
  bool may_come_without_place(const Identity& who) const;
  bool may_be_legacy_stub(const Identity& who) const;
  void on_silent(std::uint64_t visit);
  void drop(std::uint64_t visit);
  void on_seen(std::uint64_t visit, Look::Seen seen);
  void greet(Visit visit, Look::Seen seen);
  void introduce(Visit visit, Look::Seen seen);
  void on_greeted(std::uint64_t id, const Identity& who, listener::Greeted greeted);
  void welcome(std::uint64_t id, const Identity& who, listener::Greeted greeted);
  void refuse(const Identity& who, const base::Peer& peer, int connection, control::HelloStatus status,
              const std::string& text);
  template <typename... Args>
  void write(log::Level level, const Identity& who, fmt::format_string<Args...> format, Args&&... args);
  void continue_finishing();

  event::Loop& loop_;
  const Config& config_;
  Clients& clients_;
  Vms& vms_;
  std::uint64_t next_visit_ = 1;
  std::map<std::uint64_t, Visit> visits_;
  std::map<std::uint64_t, std::unique_ptr<listener::Greeting>> greetings_;  // by the numbers of the clients to be
  std::function<void()> on_empty_;
};

}  // namespace vgpu::broker::doors
