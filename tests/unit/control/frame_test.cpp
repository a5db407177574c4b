#include "common/control/frame.hpp"

#include <fcntl.h>

#include <catch2/catch.hpp>

using namespace vgpu;
using namespace vgpu::control;
using State = FrameParser::State;

namespace {

template <typename Message>
Message complete(Message message) {
  message.header.type = Message::kType;
  message.header.size = sizeof message;
  return message;
}

template <typename Message>
std::span<const std::byte> bytes_of(const Message& message) {
  return std::as_bytes(std::span(&message, 1));
}

// In steps of `step` bytes, `fds` with the first.
State feed(FrameParser& parser, std::span<const std::byte> bytes, std::size_t step, FdList fds = {}) {
  while (parser.state() == State::incomplete && !bytes.empty()) {
    const auto space = parser.space();
    const auto count = std::min({step, space.size(), bytes.size()});
    std::copy_n(bytes.begin(), count, space.begin());
    bytes = bytes.subspan(count);
    parser.advance(count, std::move(fds));
    fds.clear();
  }
  return parser.state();
}

FdList open_fds(std::size_t count) {
  FdList fds;
  for (std::size_t i = 0; i < count; ++i) fds.emplace_back(open("/dev/null", O_RDONLY | O_CLOEXEC));
  return fds;
}

bool is_open(int fd) { return fcntl(fd, F_GETFD) >= 0; }

}  // namespace

TEST_CASE("a message comes whole from pieces of any size") {
  auto hello = complete(Hello{});
  set_text(hello.label, "program");
  for (const std::size_t step : {1u, 7u, 15u, 16u, 17u, 4096u}) {
    FrameParser parser(MessageType::hello);
    REQUIRE(feed(parser, bytes_of(hello), step) == State::complete);
    CHECK(get_text(parser.frame().as<Hello>().label) == "program");
    CHECK(parser.space().empty());
  }
}

TEST_CASE("the parser never asks for a byte beyond the message") {
  FrameParser parser(MessageType::hello_reply);
  const auto reply = complete(HelloReply{});
  CHECK(parser.space().size() == sizeof(FrameHeader));
  feed(parser, bytes_of(reply).first(16), 16);
  CHECK(parser.space().size() == sizeof(HelloReply) - sizeof(FrameHeader));
}

TEST_CASE("wrong magic, type, size or descriptor count fails for good") {
  auto hello = complete(Hello{});
  SECTION("magic") { hello.header.magic ^= 1; }
  SECTION("type") { hello.header.type = MessageType::hello_reply; }
  SECTION("no such type") { hello.header.type = static_cast<MessageType>(99); }
  SECTION("size 0") { hello.header.size = 0; }
  SECTION("size + 1") { hello.header.size += 1; }
  SECTION("huge size") { hello.header.size = 0xffffffff; }
  SECTION("descriptors") { hello.header.fd_count = 1; }
  FrameParser parser(MessageType::hello);
  CHECK(feed(parser, bytes_of(hello), 4096) == State::failed);
  CHECK_FALSE(parser.failure().empty());
  CHECK(parser.advance(0, {}) == State::failed);
}

TEST_CASE("another major version is told apart from garbage") {
  auto hello = complete(Hello{});
  hello.header.version = {7, 3};
  hello.header.size = 12345;
  FrameParser parser(MessageType::hello);
  CHECK(feed(parser, bytes_of(hello), 4096) == State::foreign_version);
  CHECK(parser.frame().header().version == Version{7, 3});
}

TEST_CASE("descriptors are exact, and surplus ones are closed") {
  auto reply = complete(HelloReply{});
  reply.header.fd_count = 2;
  auto fds = open_fds(3);
  const int last = fds.back().get();
  SECTION("as announced") {
    fds.pop_back();
    FrameParser parser(MessageType::hello_reply);
    CHECK(feed(parser, bytes_of(reply), 4096, std::move(fds)) == State::complete);
    CHECK(parser.frame().fds.size() == 2);
  }
  SECTION("too many") {
    FrameParser parser(MessageType::hello_reply);
    CHECK(feed(parser, bytes_of(reply), 4096, std::move(fds)) == State::failed);
    CHECK_FALSE(is_open(last));
  }
  SECTION("too few") {
    fds.resize(1);
    const int first = fds.front().get();
    FrameParser parser(MessageType::hello_reply);
    CHECK(feed(parser, bytes_of(reply), 4096, std::move(fds)) == State::failed);
    CHECK_FALSE(is_open(first));
  }
}

TEST_CASE("packets are checked as a whole") {
  const auto ready = complete(WorkerReady{});
  const auto bytes = bytes_of(ready);
  CHECK(parse_packet(bytes, {}));
  CHECK_FALSE(parse_packet(bytes.first(bytes.size() - 1), {}));
  CHECK_FALSE(parse_packet(bytes.first(8), {}));
  CHECK_FALSE(parse_packet({}, {}));
  CHECK_FALSE(parse_packet(bytes, open_fds(1)));
  auto foreign = ready;
  foreign.header.version.major = 2;
  CHECK_FALSE(parse_packet(bytes_of(foreign), {}));
}

TEST_CASE("text fields end, and are shown printable") {
  std::array<char, 8> field;
  set_text(field, "0123456789");
  CHECK(get_text(field) == "0123456");
  field = {'a', '\n', '\x1b', 'b', '\x80', 'c', 'd', 'e'};
  CHECK(get_text(field) == "a??b?cde");
}
