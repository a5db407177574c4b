// Parsing of frames, apart from sockets: used by blocking and event-driven readers alike, and by the fuzzer.
#pragma once

#include <array>
#include <cstring>
#include <initializer_list>
#include <span>
#include <string>
#include <vector>

#include "common/base/result.hpp"
#include "common/base/unique_fd.hpp"
#include "common/control/messages.hpp"

namespace vgpu::control {

using FdList = std::vector<base::UniqueFd>;

/// A checked message: type, size and number of descriptors are right; its fields are not checked yet.
struct Frame {
  alignas(8) std::array<std::byte, kMaxMessageSize> bytes;
  FdList fds;

  FrameHeader header() const { return as<FrameHeader>(); }
  /// The message as `Message`. Only for the type that the header names.
  template <typename Message>
  Message as() const {
    Message message;
    std::memcpy(static_cast<void*>(&message), bytes.data(), sizeof message);
    return message;
  }
};

/// Reads one message from a stream of bytes that may come in any pieces. Never asks for a byte beyond the message.
class FrameParser {
 public:
  enum class State { incomplete, complete, foreign_version, failed };

  /// Anything but a message of type `expected` is a failure.
  explicit FrameParser(MessageType expected) : FrameParser({expected}) {}
  /// Anything but a message of one of these types is one. At most four.
  FrameParser(std::initializer_list<MessageType> expected);

  /// Where the next bytes go, at most this many; empty unless incomplete.
  std::span<std::byte> space();
  /// Takes note of `count` bytes put into space(), and of descriptors that came with them. Owns and finally closes
  /// them.
  State advance(std::size_t count, FdList fds);

  State state() const { return state_; }
  /// Why it failed: a sentence about the sender's mistake.
  const std::string& failure() const { return failure_; }
  /// The message. Complete only; with foreign_version only its header is there, for the reply that names both versions.
  Frame& frame() { return frame_; }
  std::size_t received() const { return received_; }

 private:
  State fail(std::string why);
  State check_header();

  std::array<MessageType, 4> expected_{};
  std::size_t expected_count_;
  State state_ = State::incomplete;
  std::size_t received_ = 0;
  std::size_t wanted_ = sizeof(FrameHeader);
  std::string failure_;
  Frame frame_;
};

/// Checks one whole packet (seqpacket sockets).
base::Result<Frame> parse_packet(std::span<const std::byte> packet, FdList fds);

}  // namespace vgpu::control
