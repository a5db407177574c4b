// Messages of revision-2 stubs, in pieces of every size.
#include <catch2/catch.hpp>

#include <cstring>

#include "broker/legacy/stub_parser.hpp"

using vgpu::broker::legacy::StubParser;
using State = StubParser::State;

namespace {

vgpu_legacy_message_header header_of(std::uint32_t type, std::uint32_t length) {
  return {VGPU_LEGACY_STUB_MAGIC, type, 7, 42, 'B', 1, 0, length};
}

std::vector<std::uint8_t> bytes_of(const vgpu_legacy_message_header& header, std::size_t payload) {
  std::vector<std::uint8_t> bytes(sizeof header + payload, 0x5a);
  std::memcpy(bytes.data(), &header, sizeof header);
  return bytes;
}

/// Feeds until a message is complete, the parser fails, or nothing is left; `piece` bytes at a time at most.
State feed(StubParser& parser, std::span<const std::uint8_t>& bytes, std::size_t piece = 1 << 20) {
  while (!bytes.empty() && parser.state() == State::incomplete) {
    const auto space = parser.space();
    const auto count = std::min({piece, space.size(), bytes.size()});
    std::copy_n(bytes.begin(), count, space.begin());
    bytes = bytes.subspan(count);
    parser.advance(count);
  }
  return parser.state();
}

State feed_all(std::uint32_t type, std::uint32_t length, std::size_t payload) {
  StubParser parser;
  const auto bytes = bytes_of(header_of(type, length), payload);
  std::span<const std::uint8_t> rest(bytes);
  return feed(parser, rest);
}

}  // namespace

TEST_CASE("a revision-2 request is found whole, in whatever pieces it comes") {
  auto bytes = bytes_of(header_of(VGPU_LEGACY_MESSAGE_REQUEST, 40), 40);
  const auto ping = bytes_of(header_of(VGPU_LEGACY_MESSAGE_PING, 0), 0);
  bytes.insert(bytes.end(), ping.begin(), ping.end());
  for (const std::size_t piece : {1u, 7u, 24u, 25u, 1000u}) {
    StubParser parser;
    std::span<const std::uint8_t> rest(bytes);
    CHECK(parser.is_between());
    REQUIRE(feed(parser, rest, piece) == State::complete);
    CHECK(parser.header().request_id == 42);
    CHECK(parser.header().pool == 'B');
    CHECK(parser.payload() == std::vector<std::uint8_t>(40, 0x5a));
    CHECK(rest.size() == ping.size());
    parser.next();
    CHECK(parser.is_between());
    REQUIRE(feed(parser, rest, piece) == State::complete);
    CHECK(parser.header().type == VGPU_LEGACY_MESSAGE_PING);
    CHECK(parser.payload().empty());
  }
}

TEST_CASE("a revision-2 payload that is too long is read over, and the next message found") {
  auto bytes = bytes_of(header_of(VGPU_LEGACY_MESSAGE_REQUEST, 300'000), 300'000);
  const auto ping = bytes_of(header_of(VGPU_LEGACY_MESSAGE_PING, 0), 0);
  bytes.insert(bytes.end(), ping.begin(), ping.end());
  StubParser parser;
  std::span<const std::uint8_t> rest(bytes);
  REQUIRE(feed(parser, rest) == State::complete);
  CHECK(parser.header().payload_length == 300'000);
  CHECK(parser.payload().empty());
  parser.next();
  REQUIRE(feed(parser, rest) == State::complete);
  CHECK(parser.header().type == VGPU_LEGACY_MESSAGE_PING);
}

TEST_CASE("the longest revision-2 payload is kept, one byte more is not") {
  StubParser parser;
  for (const std::size_t length : {1024u, 1025u}) {
    const auto bytes = bytes_of(header_of(VGPU_LEGACY_MESSAGE_REQUEST, static_cast<std::uint32_t>(length)), length);
    std::span<const std::uint8_t> rest(bytes);
    REQUIRE(feed(parser, rest) == State::complete);
    CHECK(parser.payload().size() == (length == 1024 ? 1024u : 0u));
    parser.next();
  }
}

TEST_CASE("what no revision-2 stub says fails, with a sentence") {
  CHECK(feed_all(VGPU_LEGACY_MESSAGE_RESPONSE, 0, 0) == State::failed);
  CHECK(feed_all(0, 0, 0) == State::failed);
  CHECK(feed_all(0x13, 0, 0) == State::failed);
  CHECK(feed_all(VGPU_LEGACY_MESSAGE_REQUEST, ~0u, 0) == State::failed);
  CHECK(feed_all(VGPU_LEGACY_MESSAGE_OLD_CUDA_FIRST, 100, 100) == State::complete);
  CHECK(feed_all(VGPU_LEGACY_MESSAGE_OLD_CUDA_LAST, 0, 0) == State::complete);
  StubParser parser;
  auto header = header_of(VGPU_LEGACY_MESSAGE_PING, 0);
  header.magic ^= 1;
  const auto bytes = bytes_of(header, 0);
  std::span<const std::uint8_t> rest(bytes);
  CHECK(feed(parser, rest) == State::failed);
  CHECK_THAT(parser.failure(), Catch::Contains("magic"));
  CHECK(parser.space().empty());
}
