// Sending and receiving of messages with descriptors on Unix sockets. Stream and seqpacket sockets alike.
#pragma once

#include <span>

#include "common/base/result.hpp"
#include "common/control/deadline.hpp"
#include "common/control/frame.hpp"

namespace vgpu::control {

/// Sends size bytes at data, the descriptors with the first of them. They stay the caller's. Never raises SIGPIPE.
base::Result<void> send_bytes(int socket, const void* data, std::size_t size, std::span<const int> fds,
                              Deadline deadline);

/// The message with its header filled in.
template <typename Message>
Message complete(Message message, std::size_t fd_count = 0) {
  message.header.type = Message::kType;
  message.header.size = sizeof message;
  message.header.fd_count = static_cast<std::uint16_t>(fd_count);
  return message;
}

/// Completes the header of `message` and sends it.
template <typename Message>
base::Result<void> send_message(int socket, Message message, std::span<const int> fds, Deadline deadline) {
  message = complete(message, fds.size());
  return send_bytes(socket, &message, sizeof message, fds, deadline);
}

/// Answers a hello with a refusal. Closes nothing and never blocks: a peer that cannot take 512 bytes gets none.
void send_refusal(int socket, HelloStatus status, const std::string& text);

/// Waits for one message of `type`. An error if the peer closes, sends anything else, or the deadline passes.
base::Result<Frame> receive_message(int socket, MessageType type, Deadline deadline);

enum class ReadStatus { progress, would_block, closed, error };

struct ReadResult {
  ReadStatus status;
  int error = 0;  // errno with ReadStatus::error
};

/// Takes what a non-blocking stream socket has for `parser`, once. Look at parser.state() after `progress`.
ReadResult read_some(int socket, FrameParser& parser);

/// Takes one packet from a non-blocking seqpacket socket: a checked message, or what was wrong. Error code EAGAIN:
/// nothing there; EPIPE: the other side closed, having read everything or not; EBADMSG: the packet breaks a rule.
base::Result<Frame> read_packet(int socket);

}  // namespace vgpu::control
