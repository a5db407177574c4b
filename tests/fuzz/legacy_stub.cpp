// What a revision-2 stub may say: the messages found in a stream of bytes are the same in whatever pieces it comes.
//
// Input: the size of the pieces; then the stream, in which 0xff at a place where a message begins stands for its magic
// number.
#include "broker/legacy/stub_parser.hpp"

#include <cstdlib>
#include <cstring>

#include "tests/fuzz/input.hpp"

namespace {

using vgpu::broker::legacy::StubParser;
using State = StubParser::State;

struct Found {
  std::vector<std::uint8_t> headers;  // one behind the other
  std::vector<std::uint8_t> payloads;
  State last = State::incomplete;
  bool operator==(const Found&) const = default;
};

void take(StubParser& parser, Found& found) {
  const auto& header = parser.header();
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(&header);
  if (header.magic != VGPU_LEGACY_STUB_MAGIC) std::abort();
  const bool is_kept = header.payload_length <= VGPU_LEGACY_BUFFER_SIZE;
  if (parser.payload().size() != (is_kept ? header.payload_length : 0)) std::abort();
  found.headers.insert(found.headers.end(), bytes, bytes + sizeof header);
  found.payloads.insert(found.payloads.end(), parser.payload().begin(), parser.payload().end());
  parser.next();
  if (!parser.is_between()) std::abort();
}

Found parse(std::span<const std::uint8_t> stream, std::size_t piece) {
  Found found;
  StubParser parser;
  while (!stream.empty() && parser.state() == State::incomplete) {
    const auto space = parser.space();
    if (space.empty()) std::abort();
    const auto count = std::min({piece, space.size(), stream.size()});
    std::copy_n(stream.begin(), count, space.begin());
    stream = stream.subspan(count);
    parser.advance(count);
    if (parser.state() == State::complete) take(parser, found);
  }
  if (parser.state() == State::failed && (parser.failure().empty() || !parser.space().empty())) std::abort();
  found.last = parser.state();
  return found;
}

/// So that more than one message in four thousand million has the right number.
std::vector<std::uint8_t> with_magic(std::span<const std::uint8_t> bytes) {
  std::vector<std::uint8_t> stream(bytes.begin(), bytes.end());
  const std::uint32_t magic = VGPU_LEGACY_STUB_MAGIC;
  for (std::size_t at = 0; at + sizeof(vgpu_legacy_message_header) <= stream.size();) {
    if (stream[at] != 0xff) break;
    std::memcpy(&stream[at], &magic, sizeof magic);
    std::uint32_t length = 0;
    std::memcpy(&length, &stream[at + offsetof(vgpu_legacy_message_header, payload_length)], sizeof length);
    at += sizeof(vgpu_legacy_message_header) + length;
  }
  return stream;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  vgpu::fuzz::Input input(data, size);
  const std::size_t piece = input.byte() % 64 + 1;
  const auto stream = with_magic(input.rest());
  if (parse(stream, stream.size() + 1) != parse(stream, piece)) std::abort();
  return 0;
}
