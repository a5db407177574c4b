#include "broker/admin/server.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "common/base/log.hpp"

namespace vgpu::broker::admin {
namespace {

// Administrators are few; one that opens connections in a loop is not to take descriptors from clients.
constexpr std::size_t kMostConnections = 16;

void turn_away(int connection, const std::string& text) {
  const auto line = refuse(text).dump() + "\n";
  // One that is gone or deaf misses it.
  (void)!send(connection, line.data(), line.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
}

}  // namespace

Server::Server(event::Loop& loop, Settings settings, Office& office, LogLimiter& limiter)
    : loop_(loop), settings_(std::move(settings)), office_(office), limiter_(limiter), sweep_(loop) {}

base::Result<void> Server::listen() {
  auto group = find_group(settings_.group);
  if (!group) return group.error();
  authority_ = {geteuid(), *group};
  // Who may not ask cannot even connect; the credentials are checked all the same.
  const unsigned mode = *group ? 0660 : 0600;
  auto socket = base::ListenSocket::create(settings_.socket, {mode, settings_.group});
  if (!socket) return socket.error().within("admin_socket");
  socket_.emplace(std::move(*socket));
  acceptor_.emplace(loop_, socket_->take_descriptor(), [this](base::UniqueFd c) { on_connection(std::move(c)); });
  return {};
}

std::string Server::refusal_for(const Asker& asker) const {
  if (!authority_.allows(asker))
    return fmt::format(
        "uid {} may not administer this broker: only root, its own user (uid {}), and members of admin_group{}",
        asker.uid, authority_.own_uid,
        settings_.group.empty() ? " (none is configured)" : " (" + settings_.group + ")");
  if (connections_.size() >= kMostConnections)
    return fmt::format("{} administrators are connected already; try again later", kMostConnections);
  return {};
}

void Server::on_connection(base::UniqueFd connection) {
  auto asker = identify_asker(connection.get());
  const auto refusal = asker ? refusal_for(*asker) : asker.error().text;
  if (!refusal.empty()) {
    limiter_.write(log::Level::warning, "the admin socket", "admin: refused pid {}: {}", asker ? asker->pid : 0,
                   refusal);
    return turn_away(connection.get(), refusal);
  }
  const auto number = next_++;
  connections_[number] = std::make_unique<Connection>(
      loop_, std::move(connection),
      [this, who = std::move(*asker)](std::string_view line) { return answer(who, line); },
      [this, number] { on_closed(number); }, settings_.times);
}

void Server::on_closed(std::uint64_t number) {
  closed_.push_back(number);
  sweep_.start(std::chrono::milliseconds(0), [this] {
    for (const auto one : std::exchange(closed_, {})) connections_.erase(one);
  });
}

std::string Server::answer(const Asker& asker, std::string_view line) {
  const auto request = parse_request(line);
  const auto answered = request ? office_.answer(*request, asker) : refuse(request.error().text);
  return answered.dump();
}

}  // namespace vgpu::broker::admin
