#include "broker/legacy/stub_parser.hpp"

#include <algorithm>
#include <cstring>

namespace vgpu::broker::legacy {
namespace {

// An old CUDA message may carry a copy; nobody means more.
constexpr std::size_t kMostSkipped = std::size_t{16} << 20;

bool is_old_cuda(std::uint32_t type) {
  return type >= VGPU_LEGACY_MESSAGE_OLD_CUDA_FIRST && type <= VGPU_LEGACY_MESSAGE_OLD_CUDA_LAST;
}

bool is_known(std::uint32_t type) {
  return type == VGPU_LEGACY_MESSAGE_REQUEST || type == VGPU_LEGACY_MESSAGE_PING || is_old_cuda(type);
}

}  // namespace

std::span<std::uint8_t> StubParser::space() {
  if (state_ != State::incomplete) return {};
  if (!has_header_) return std::span(bytes_).subspan(received_);
  if (!payload_.empty()) return std::span(payload_).subspan(received_);
  return std::span(bytes_).first(std::min(bytes_.size(), header_.payload_length - received_));  // read over
}

StubParser::State StubParser::advance(std::size_t count) {
  if (count > space().size()) return fail("more bytes than asked for");
  received_ += count;
  if (!has_header_) return received_ == sizeof header_ ? take_header() : state_;
  if (received_ == header_.payload_length) state_ = State::complete;
  return state_;
}

StubParser::State StubParser::take_header() {
  std::memcpy(&header_, bytes_.data(), sizeof header_);
  if (header_.magic != VGPU_LEGACY_STUB_MAGIC) return fail("not a message of a stub: it has another magic number");
  if (!is_known(header_.type)) return fail("message type " + std::to_string(header_.type) + " is not a stub's");
  if (header_.payload_length > kMostSkipped)
    return fail("a payload of " + std::to_string(header_.payload_length) + " bytes");
  has_header_ = true;
  received_ = 0;
  if (header_.payload_length <= VGPU_LEGACY_BUFFER_SIZE)
    payload_.resize(header_.payload_length);
  else
    bytes_.resize(std::size_t{64} << 10);
  if (header_.payload_length == 0) state_ = State::complete;
  return state_;
}

void StubParser::next() {
  if (state_ != State::complete) return;
  state_ = State::incomplete;
  has_header_ = false;
  received_ = 0;
  payload_.clear();
  bytes_.resize(sizeof header_);
}

StubParser::State StubParser::fail(std::string why) {
  failure_ = std::move(why);
  return state_ = State::failed;
}

}  // namespace vgpu::broker::legacy
