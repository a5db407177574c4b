#include "broker/vgpu_admin/ask.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <system_error>

#include "common/control/socket_io.hpp"

namespace vgpu::admin {
namespace {

using base::Error;
using base::Result;

constexpr std::chrono::milliseconds kAnswerTime{10'000};
constexpr std::size_t kLongestAnswer = 16 << 20;

Error unreachable(int code, const std::string& socket) {
  const auto what = "cannot reach the broker at " + socket + ": ";
  if (code == ENOENT)
    return {code, what + "there is no such socket; start vgpu-broker, or name its admin_socket with --socket"};
  if (code == ECONNREFUSED)
    return {code, what + "nobody listens there; the broker has ended: systemctl start vgpu-broker"};
  if (code == EACCES)
    return {code, what + "permission denied; be root, the broker's user, or a member of its admin_group"};
  return {code, what + std::generic_category().message(code) + "; vgpu-admin doctor looks further"};
}

bool await(int socket, short events, control::Deadline deadline) {
  pollfd polled{socket, events, 0};
  return poll(&polled, 1, deadline.remaining_ms()) > 0;
}

}  // namespace

Result<Broker> Broker::connect(const std::string& socket) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket.empty() || socket.size() >= sizeof address.sun_path) return unreachable(ENAMETOOLONG, socket);
  socket.copy(address.sun_path, socket.size());
  base::UniqueFd connection(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const auto* name = reinterpret_cast<const sockaddr*>(&address);
  const auto deadline = control::Deadline::after(kAnswerTime);
  // EAGAIN: it has more connections waiting than it looks at.
  while (::connect(connection.get(), name, sizeof address) != 0) {
    if (errno != EAGAIN || deadline.passed()) return unreachable(errno, socket);
    poll(nullptr, 0, 20);
  }
  return Broker(std::move(connection), socket);
}

Result<Json> Broker::ask(const Json& request) {
  const auto deadline = control::Deadline::after(kAnswerTime);
  const auto line = request.dump() + "\n";
  // One that refuses may have closed already: its answer is there all the same.
  const auto sent = control::send_bytes(connection_.get(), line.data(), line.size(), {}, deadline);
  auto answer = read_line(deadline);
  if (!answer) return sent ? answer.error() : sent.error().within(socket_);
  auto json = Json::parse(*answer, nullptr, false);
  if (!json.is_object()) return Error{EBADMSG, "what listens at " + socket_ + " is no broker of ours"};
  return json;
}

Result<std::string> Broker::read_line(control::Deadline deadline) {
  for (;;) {
    if (const auto end = received_.find('\n'); end != std::string::npos) {
      auto line = received_.substr(0, end);
      received_.erase(0, end + 1);
      return line;
    }
    if (received_.size() > kLongestAnswer) return Error{EMSGSIZE, "the answer of " + socket_ + " has no end"};
    if (!await(connection_.get(), POLLIN, deadline))
      return Error{ETIMEDOUT, "the broker at " + socket_ + " does not answer; vgpu-admin doctor looks further"};
    char buffer[65536];
    const auto count = recv(connection_.get(), buffer, sizeof buffer, 0);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (count <= 0) return Error{EPIPE, "the broker at " + socket_ + " closed the connection without an answer"};
    received_.append(buffer, static_cast<std::size_t>(count));
  }
}

}  // namespace vgpu::admin
