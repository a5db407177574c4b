#include "common/control/frame.hpp"

#include <algorithm>

namespace vgpu::control {
namespace {

using std::to_string;

/// Empty if the header is that of a message of one of the types; else what is wrong with it.
std::string check(const FrameHeader& header, std::span<const MessageType> expected) {
  if (std::find(expected.begin(), expected.end(), header.type) == expected.end()) {
    auto text = "message type " + to_string(static_cast<unsigned>(header.type)) + " instead of";
    for (const auto type : expected) text += " " + to_string(static_cast<unsigned>(type));
    return text;
  }
  const auto size = message_size(header.type);
  if (size == 0) return "unknown message type " + to_string(static_cast<unsigned>(header.type));
  if (header.size != size) return "message of " + to_string(header.size) + " bytes instead of " + to_string(size);
  if (!is_fd_count_valid(header.type, header.fd_count))
    return "message announces " + to_string(header.fd_count) + " descriptors, which its type never has";
  return {};
}

std::string check_fds(const FrameHeader& header, std::size_t got) {
  if (got == header.fd_count) return {};
  return to_string(got) + " descriptors came with a message that announces " + to_string(header.fd_count);
}

}  // namespace

FrameParser::FrameParser(std::initializer_list<MessageType> expected) : expected_count_(expected.size()) {
  std::copy(expected.begin(), expected.end(), expected_.begin());
}

std::span<std::byte> FrameParser::space() {
  if (state_ != State::incomplete) return {};
  return std::span(frame_.bytes).subspan(received_, wanted_ - received_);
}

FrameParser::State FrameParser::advance(std::size_t count, FdList fds) {
  if (state_ != State::incomplete) return state_;
  if (count > wanted_ - received_) return fail("more bytes than asked for");
  std::move(fds.begin(), fds.end(), std::back_inserter(frame_.fds));
  if (frame_.fds.size() > kMaxMessageFds) return fail("more descriptors than any message has");
  received_ += count;
  if (received_ < wanted_) return state_;
  if (wanted_ == sizeof(FrameHeader)) return check_header();
  if (auto problem = check_fds(frame_.header(), frame_.fds.size()); !problem.empty()) return fail(problem);
  return state_ = State::complete;
}

FrameParser::State FrameParser::check_header() {
  const auto header = frame_.header();
  if (header.magic != kMagic) return fail("not a message of ours: it begins with other bytes than \"VGPC\"");
  if (header.version.major != kVersion.major) {
    frame_.fds.clear();
    return state_ = State::foreign_version;
  }
  if (auto problem = check(header, std::span(expected_).first(expected_count_)); !problem.empty()) return fail(problem);
  wanted_ = header.size;
  return state_;
}

FrameParser::State FrameParser::fail(std::string why) {
  frame_.fds.clear();
  failure_ = std::move(why);
  return state_ = State::failed;
}

base::Result<Frame> parse_packet(std::span<const std::byte> packet, FdList fds) {
  if (packet.size() < sizeof(FrameHeader) || packet.size() > kMaxMessageSize)
    return base::Error{0, "packet of " + to_string(packet.size()) + " bytes: no message has this size"};
  Frame frame;
  std::copy(packet.begin(), packet.end(), frame.bytes.begin());
  const auto header = frame.header();
  if (header.magic != kMagic || header.version.major != kVersion.major)
    return base::Error{0, "not a message of our protocol version"};
  auto problem = check(header, {&header.type, 1});
  if (problem.empty() && header.size != packet.size())
    problem = "packet of " + to_string(packet.size()) + " bytes with a message of " + to_string(header.size);
  if (problem.empty()) problem = check_fds(header, fds.size());
  if (!problem.empty()) return base::Error{0, problem};
  frame.fds = std::move(fds);
  return frame;
}

}  // namespace vgpu::control
