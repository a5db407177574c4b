#include "common/control/socket_io.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cerrno>
#include <thread>
#include <vector>

using namespace vgpu;
using namespace vgpu::control;
using namespace std::chrono_literals;
using Catch::Contains;

namespace {

struct Pair {
  explicit Pair(int type) {
    int ends[2];
    REQUIRE(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends) == 0);
    a.reset(ends[0]);
    b.reset(ends[1]);
  }
  base::UniqueFd a, b;
};

}  // namespace

TEST_CASE("a message crosses a stream socket with its descriptors") {
  Pair pair(SOCK_STREAM);
  HelloReply reply;
  reply.window_size = 42;
  const int fds[] = {STDIN_FILENO, STDERR_FILENO};
  REQUIRE(send_message(pair.a.get(), reply, fds, Deadline::after(1s)));
  const auto frame = receive_message(pair.b.get(), MessageType::hello_reply, Deadline::after(1s));
  REQUIRE(frame);
  CHECK(frame->as<HelloReply>().window_size == 42);
  CHECK(frame->fds.size() == 2);
  CHECK(fcntl(frame->fds[0].get(), F_GETFD) == FD_CLOEXEC);
}

TEST_CASE("a message crosses a seqpacket socket") {
  Pair pair(SOCK_SEQPACKET);
  WorkerStatus status;
  set_text(status.text, "hello");
  REQUIRE(send_message(pair.a.get(), status, {}, Deadline::after(1s)));
  const auto frame = receive_message(pair.b.get(), MessageType::worker_status, Deadline::after(1s));
  REQUIRE(frame);
  CHECK(get_text(frame->as<WorkerStatus>().text) == "hello");
  const auto nothing = read_packet(pair.b.get());
  REQUIRE_FALSE(nothing);
  CHECK(nothing.error().code == EAGAIN);
  pair.a.reset();
  CHECK(read_packet(pair.b.get()).error().code == EPIPE);
}

TEST_CASE("the other side that ends with something unread has closed the connection, and broken no rule") {
  Pair pair(SOCK_SEQPACKET);
  REQUIRE(send_message(pair.b.get(), WorkerStatus{}, {}, Deadline::after(1s)));
  pair.a.reset();
  CHECK(read_packet(pair.b.get()).error().code == EPIPE);
}

TEST_CASE("waiting ends with the deadline, or with the other side") {
  for (const int type : {SOCK_STREAM, SOCK_SEQPACKET}) {
    Pair pair(type);
    const auto late = receive_message(pair.b.get(), MessageType::worker_ready, Deadline::after(20ms));
    REQUIRE_FALSE(late);
    CHECK(late.error().code == ETIMEDOUT);
    pair.a.reset();
    const auto closed = receive_message(pair.b.get(), MessageType::worker_ready, Deadline::after(10s));
    REQUIRE_FALSE(closed);
    CHECK(closed.error().code == EPIPE);
    CHECK_FALSE(send_message(pair.b.get(), WorkerReady{}, {}, Deadline::after(10s)));  // and no SIGPIPE
  }
}

TEST_CASE("sending to one who does not read ends with the deadline") {
  Pair pair(SOCK_STREAM);
  base::Result<void> sent;
  for (int i = 0; i < 10'000 && sent; ++i) sent = send_message(pair.a.get(), Hello{}, {}, Deadline::after(20ms));
  REQUIRE_FALSE(sent);
  CHECK(sent.error().code == ETIMEDOUT);
}

TEST_CASE("a sender in pieces is put together, and what follows stays in the socket") {
  Pair pair(SOCK_STREAM);
  HelloReply reply;
  reply.header.type = MessageType::hello_reply;
  reply.header.size = sizeof reply;
  reply.client_id = 7;
  std::thread sender([&] {
    const auto* bytes = reinterpret_cast<const char*>(&reply);
    for (std::size_t i = 0; i < sizeof reply; i += 100)
      (void)!write(pair.a.get(), bytes + i, std::min<std::size_t>(100, sizeof reply - i));
    (void)!write(pair.a.get(), "rest", 4);
  });
  const auto frame = receive_message(pair.b.get(), MessageType::hello_reply, Deadline::after(10s));
  sender.join();
  REQUIRE(frame);
  CHECK(frame->as<HelloReply>().client_id == 7);
  char rest[8];
  CHECK(read(pair.b.get(), rest, sizeof rest) == 4);
}

TEST_CASE("an oversized packet, or one with many descriptors, is an error and leaves no descriptor open") {
  Pair pair(SOCK_SEQPACKET);
  const std::vector<char> large(kMaxMessageSize + 1);
  REQUIRE(send(pair.a.get(), large.data(), large.size(), 0) == static_cast<ssize_t>(large.size()));
  CHECK(read_packet(pair.b.get()).error().code == EBADMSG);
}

TEST_CASE("a peer of another major version is named") {
  Pair pair(SOCK_STREAM);
  HelloReply reply;
  reply.header.version = {8, 1};
  REQUIRE(send_message(pair.a.get(), reply, {}, Deadline::after(1s)));
  const auto frame = receive_message(pair.b.get(), MessageType::hello_reply, Deadline::after(1s));
  REQUIRE_FALSE(frame);
  CHECK_THAT(frame.error().text, Contains("8.1") && Contains("1.0"));
}
