#include "common/control/socket_io.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <system_error>

namespace vgpu::control {
namespace {

using base::Error;

// Room for more descriptors than any message has, so that surplus ones are seen as such; what exceeds even this room
// the kernel closes, and says so by MSG_CTRUNC.
constexpr std::size_t kFdRoom = 8;

Error os_error(int code, const char* what) {
  return {code, std::string(what) + ": " + std::generic_category().message(code)};
}

base::Result<void> wait_for(int socket, short events, Deadline deadline, const char* what) {
  for (;;) {
    pollfd entry{socket, events, 0};
    const int ready = poll(&entry, 1, deadline.remaining_ms());
    if (ready > 0) return {};
    if (ready < 0 && errno != EINTR) return os_error(errno, what);
    if (deadline.passed()) return os_error(ETIMEDOUT, what);
  }
}

FdList take_fds(msghdr& message) {
  FdList fds;
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr; part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const auto count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd;
      std::memcpy(&fd, CMSG_DATA(part) + i * sizeof fd, sizeof fd);
      fds.emplace_back(fd);
    }
  }
  return fds;
}

struct Received {
  ssize_t count;
  int flags;
  FdList fds;
};

Received receive_once(int socket, std::span<std::byte> space, int flags) {
  alignas(cmsghdr) std::array<char, CMSG_SPACE(kFdRoom * sizeof(int))> control;
  iovec part{space.data(), space.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  ssize_t count;
  do {
    count = recvmsg(socket, &message, flags | MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  } while (count < 0 && errno == EINTR);
  if (count < 0) return {count, 0, {}};
  return {count, message.msg_flags, take_fds(message)};
}

bool is_stream(int socket) {
  int type = 0;
  socklen_t length = sizeof type;
  return getsockopt(socket, SOL_SOCKET, SO_TYPE, &type, &length) == 0 && type == SOCK_STREAM;
}

base::Result<Frame> receive_packet(int socket, MessageType type, Deadline deadline) {
  for (;;) {
    auto frame = read_packet(socket);
    if (frame && frame->header().type != type) return Error{EBADMSG, "a message of another type came"};
    if (frame || frame.error().code != EAGAIN) return frame;
    if (auto ready = wait_for(socket, POLLIN, deadline, "waiting for a message"); !ready) return ready.error();
  }
}

}  // namespace

base::Result<void> send_bytes(int socket, const void* data, std::size_t size, std::span<const int> fds,
                              Deadline deadline) {
  if (fds.size() > kMaxMessageFds) return Error{EINVAL, "sending a message: too many descriptors"};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(kMaxMessageFds * sizeof(int))> control{};
  std::size_t sent = 0;
  while (sent < size) {
    iovec part{const_cast<char*>(static_cast<const char*>(data)) + sent, size - sent};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (sent == 0 && !fds.empty()) {
      message.msg_control = control.data();
      message.msg_controllen = CMSG_SPACE(fds.size_bytes());
      cmsghdr* rights = CMSG_FIRSTHDR(&message);
      rights->cmsg_level = SOL_SOCKET;
      rights->cmsg_type = SCM_RIGHTS;
      rights->cmsg_len = CMSG_LEN(fds.size_bytes());
      std::memcpy(CMSG_DATA(rights), fds.data(), fds.size_bytes());
    }
    const ssize_t count = sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count > 0)
      sent += static_cast<std::size_t>(count);
    else if (count < 0 && errno != EAGAIN && errno != EINTR)
      return os_error(errno, "sending a message");
    else if (auto ready = wait_for(socket, POLLOUT, deadline, "sending a message"); !ready)
      return ready;
  }
  return {};
}

void send_refusal(int socket, HelloStatus status, const std::string& text) {
  HelloReply reply;
  reply.status = status;
  set_text(reply.text, text);
  // An error means that the peer is gone or deaf: nobody is left to be told.
  (void)send_message(socket, reply, {}, Deadline::after(std::chrono::milliseconds(0)));
}

ReadResult read_some(int socket, FrameParser& parser) {
  auto received = receive_once(socket, parser.space(), 0);
  if (received.count < 0) return {errno == EAGAIN ? ReadStatus::would_block : ReadStatus::error, errno};
  if (received.count == 0) return {ReadStatus::closed};
  // What did not fit was closed by the kernel; hand in one more than allowed, so that the parser refuses the message.
  if ((received.flags & MSG_CTRUNC) != 0) received.fds.resize(kFdRoom + 1);
  parser.advance(static_cast<std::size_t>(received.count), std::move(received.fds));
  return {ReadStatus::progress};
}

base::Result<Frame> read_packet(int socket) {
  std::array<std::byte, kMaxMessageSize> packet;
  auto received = receive_once(socket, packet, 0);
  if (received.count < 0 && errno != ECONNRESET) return os_error(errno, "receiving a message");
  if (received.count <= 0) return Error{EPIPE, "the other side closed the connection"};
  if ((received.flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) return Error{EBADMSG, "a packet larger than any message"};
  auto frame = parse_packet(std::span(packet).first(static_cast<std::size_t>(received.count)), std::move(received.fds));
  if (!frame) return Error{EBADMSG, frame.error().text};
  return frame;
}

base::Result<Frame> receive_message(int socket, MessageType type, Deadline deadline) {
  if (!is_stream(socket)) return receive_packet(socket, type, deadline);
  FrameParser parser(type);
  while (parser.state() == FrameParser::State::incomplete) {
    const auto read = read_some(socket, parser);
    if (read.status == ReadStatus::error) return os_error(read.error, "receiving a message");
    if (read.status == ReadStatus::closed) return Error{EPIPE, "the other side closed the connection"};
    if (read.status == ReadStatus::progress) continue;
    if (auto ready = wait_for(socket, POLLIN, deadline, "waiting for a message"); !ready) return ready.error();
  }
  if (parser.state() == FrameParser::State::complete) return std::move(parser.frame());
  if (parser.state() == FrameParser::State::failed) return Error{EBADMSG, parser.failure()};
  const auto other = parser.frame().header().version;
  return Error{EPROTONOSUPPORT, "the other side speaks protocol " + std::to_string(other.major) + "." +
                                    std::to_string(other.minor) + ", this side " + std::to_string(kVersion.major) +
                                    "." + std::to_string(kVersion.minor)};
}

}  // namespace vgpu::control
