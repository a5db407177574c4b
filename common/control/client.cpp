#include "common/control/client.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "common/control/default_socket.hpp"
#include "common/control/environment.hpp"
#include "common/control/socket_io.hpp"

namespace vgpu::control {
namespace {

using base::Error;
using base::UniqueFd;

// A broker admits some hundreds of clients a second; this many seconds' worth may be before us.
constexpr std::chrono::milliseconds kReplyTime{15'000};

Error connect_error(int code, const std::string& path) {
  std::string hint;
  if (code == ENOENT || code == ECONNREFUSED)
    hint = path == kGuestSocket ? "; is vgpu-guestd running?" : "; is vgpu-broker running?";
  if (code == EACCES) hint = "; this user may not open the socket: see socket_mode and socket_group of the broker";
  if (code == EAGAIN) hint = "; the broker does not accept connections in time";
  return {code, "cannot connect to the broker at " + path + ": " + std::generic_category().message(code) + hint};
}

// A blocking connect, for a full backlog cannot be waited for otherwise; SO_SNDTIMEO bounds it.
base::Result<UniqueFd> connect_socket(const std::string& path, Deadline deadline) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) return connect_error(ENAMETOOLONG, path);
  path.copy(address.sun_path, path.size());
  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket) return connect_error(errno, path);
  const int left = deadline.remaining_ms();
  const timeval timeout{left / 1000, (left % 1000) * 1000 + 1};
  setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
  int rc;
  do {
    rc = ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  } while (rc < 0 && errno == EINTR && !deadline.passed());
  if (rc < 0) return connect_error(errno, path);
  return socket;
}

Error refusal(const HelloReply& reply, const std::string& path) {
  auto text = get_text(reply.text);
  if (text.empty()) text = "no reason given";
  return {EACCES, "the broker at " + path + " refused this client: " + text};
}

/// A channel of a device: pieces of one BAR, and a page of the other.
base::Result<void> check_device(const HelloReply& reply, const Frame& frame) {
  struct stat window {};
  if (frame.fds.size() != 2 || reply.doorbell_offset < VGPU_CHANNEL_PAGES || reply.doorbell_offset >= VGPU_BAR0_SIZE ||
      reply.doorbell_offset % VGPU_CHANNEL_PAGE_SIZE != 0)
    return Error{EBADMSG, "the reply of vgpu-guestd breaks the protocol"};
  if (fstat(frame.fds[0].get(), &window) != 0) return Error{errno, "the device's window cannot be looked at"};
  const auto size = static_cast<std::uint64_t>(window.st_size);
  if (reply.window_offset > size || reply.window_size > size - reply.window_offset)
    return Error{EBADMSG, "the channel does not lie within the device's window"};
  return {};
}

base::Result<void> check_channel(const HelloReply& reply, const Frame& frame) {
  struct stat status {};
  const bool with_worker = (reply.features & kFeatureWorkerPidfd) != 0;
  if (reply.candidate_count > reply.candidates.size()) return Error{EBADMSG, "the broker's reply breaks the protocol"};
  if ((reply.features & kFeatureDevice) != 0) return check_device(reply, frame);
  if (frame.fds.size() != (with_worker ? 3 : 2)) return Error{EBADMSG, "the broker's reply breaks the protocol"};
  if (fstat(frame.fds[0].get(), &status) != 0 || static_cast<std::uint64_t>(status.st_size) != reply.window_size)
    return Error{EBADMSG, "the window has another size than the broker says"};
  return {};
}

/// Whether an error may be that of a broker between two lives. ENOENT is not: one that is stopped takes its socket
/// away, so programs on a host without a broker learn that at once.
bool may_be_relaunching(int code) { return code == ECONNREFUSED || code == ECONNRESET || code == EPIPE; }

base::Result<Connection> try_connect(const std::string& path, const Hello& hello, Deadline deadline) {
  auto socket = connect_socket(path, deadline);
  if (!socket) return socket.error();
  // A broker that refuses at once may have closed before it read the hello: its reply is there all the same.
  const auto sent = send_message(socket->get(), hello, {}, deadline);
  if (!sent && sent.error().code != EPIPE && sent.error().code != ECONNRESET) return sent.error().within(path);
  // A broker is there: it may be busy with many others, or just be relaunched.
  auto frame = receive_message(socket->get(), MessageType::hello_reply, Deadline::after(kReplyTime));
  if (!frame) return frame.error().within("hello to the broker at " + path);
  const auto reply = frame->as<HelloReply>();
  if (reply.status != HelloStatus::ok) return refusal(reply, path);
  if (auto checked = check_channel(reply, *frame); !checked) return checked.error();
  Connection connection;
  connection.socket = std::move(*socket);
  connection.window = std::move(frame->fds[0]);
  connection.doorbell = std::move(frame->fds[1]);
  if (frame->fds.size() > 2) connection.worker = std::move(frame->fds[2]);
  connection.window_size = reply.window_size;
  connection.window_offset = reply.window_offset;
  connection.window_capacity = std::max(reply.window_capacity, reply.window_size);
  connection.doorbell_offset = reply.doorbell_offset;
  connection.version = reply.chosen;
  connection.features = reply.features;
  connection.client_id = reply.client_id;
  connection.worker_pid = reply.worker_pid;
  connection.candidates.assign(reply.candidates.begin(), reply.candidates.begin() + reply.candidate_count);
  return connection;
}

}  // namespace

base::Result<Hello> make_hello(const std::string& label, const char* const* environment) {
  Hello hello;
  hello.oldest_minor = kVersion.minor;
  hello.features = kFeatures;
  set_text(hello.label, label);
  if (auto packed = pack_environment(environment, hello); !packed) return packed.error();
  return hello;
}

base::Result<Connection> connect_broker(const std::string& path, const Hello& hello, Deadline deadline) {
  constexpr timespec kPause{0, 20'000'000};
  for (;;) {
    auto connection = try_connect(path, hello, deadline);
    if (connection || !may_be_relaunching(connection.error().code) || deadline.passed()) return connection;
    nanosleep(&kPause, nullptr);
  }
}

}  // namespace vgpu::control
