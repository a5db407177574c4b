// Takes the messages of a revision-2 stub out of a stream of bytes that may come in any pieces. Only the header is
// looked at.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "common/abi/legacy_stub.h"

namespace vgpu::broker::legacy {

class StubParser {
 public:
  enum class State { incomplete, complete, failed };

  /// Where the next bytes go, at most this many; empty unless incomplete.
  std::span<std::uint8_t> space();
  /// Takes note of `count` bytes put into space().
  State advance(std::size_t count);
  /// After a complete message: on to the next one.
  void next();

  State state() const { return state_; }
  /// True if not a byte of the message has come.
  bool is_between() const { return state_ == State::incomplete && received_ == 0 && !has_header_; }
  /// Complete: the message. Of a payload longer than VGPU_LEGACY_BUFFER_SIZE nothing is kept: see its length.
  const vgpu_legacy_message_header& header() const { return header_; }
  std::vector<std::uint8_t>& payload() { return payload_; }
  /// Why it failed: a sentence about the sender's mistake.
  const std::string& failure() const { return failure_; }

 private:
  State take_header();
  State fail(std::string why);

  State state_ = State::incomplete;
  bool has_header_ = false;
  std::size_t received_ = 0;  // of the header, or of the payload
  vgpu_legacy_message_header header_{};
  std::vector<std::uint8_t> payload_;
  std::vector<std::uint8_t> bytes_ = std::vector<std::uint8_t>(sizeof(vgpu_legacy_message_header));
  std::string failure_;
};

}  // namespace vgpu::broker::legacy
