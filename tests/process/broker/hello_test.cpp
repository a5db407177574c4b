// Hello: what a client gets, and what becomes of hellos that break the rules.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <cstring>

#include "common/control/socket_io.hpp"
#include "tests/process/broker/harness.hpp"

using namespace vgpu;
using namespace vgpu::test;
using Catch::Contains;

namespace {

// Sends the first `size` bytes of `hello` with `count` copies of standard error.
void send_with_descriptors(int socket, const control::Hello& hello, std::size_t size, std::size_t count) {
  std::vector<int> fds(count, STDERR_FILENO);
  std::vector<char> room(CMSG_SPACE(count * sizeof(int)));
  iovec part{const_cast<control::Hello*>(&hello), size};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (count > 0) {
    message.msg_control = room.data();
    message.msg_controllen = room.size();
    cmsghdr* rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(count * sizeof(int));
    memcpy(CMSG_DATA(rights), fds.data(), count * sizeof(int));
  }
  REQUIRE(sendmsg(socket, &message, MSG_NOSIGNAL) == static_cast<ssize_t>(size));
}

control::Hello complete_hello() {
  auto hello = hello_for_test();
  hello.header.type = control::MessageType::hello;
  hello.header.size = sizeof hello;
  return hello;
}

std::string refusal_of(const std::string& socket, const control::Hello& hello,
                       std::size_t size = sizeof(control::Hello), std::size_t fds = 0) {
  const auto connection = connect_raw(socket);
  send_with_descriptors(connection.get(), hello, size, fds);
  const auto reply = read_reply(connection.get());
  INFO((reply ? "" : reply.error().text));
  REQUIRE(reply);
  CHECK(reply->status != control::HelloStatus::ok);
  return control::get_text(reply->text);
}

}  // namespace

TEST_CASE("a client gets a window, a doorbell and a worker") {
  TestBroker broker("[client]\nwindow_size = \"64MiB\"\n");
  TestClient client(broker.socket);
  CHECK(client.connection.window_size == 64u << 20);
  CHECK(client.connection.version == control::kVersion);
  CHECK(client.connection.candidates.size() == 4);
  CHECK(client.control().magic == VGPU_WINDOW_MAGIC);
  CHECK(client.control().layout == VGPU_WINDOW_LAYOUT);
  CHECK(client.control().window_size == 64u << 20);
  CHECK(client.control().ring_offset == VGPU_RING_OFFSET);
  CHECK(client.control().ring_size == VGPU_RING_SIZE);
  CHECK(client.control().heap_offset == VGPU_HEAP_OFFSET);
  CHECK(client.control().peer_status == VGPU_PEER_ALIVE);
  CHECK(is_process_alive(static_cast<pid_t>(client.connection.worker_pid)));
  client.order("ready");
  CHECK(broker.process.says("is ready: driver 13000 (fake), 1 device(s), Fake ?[31mGPU"));
  CHECK(broker.process.says("client 1 connected: pid " + std::to_string(getpid())));
}

TEST_CASE("the window is sparse and cannot be resized or sealed by the client") {
  TestBroker broker;
  TestClient client(broker.socket);
  const int window = client.connection.window.get();
  CHECK(ftruncate(window, 4096) == -1);
  CHECK(errno == EPERM);
  CHECK(ftruncate(window, static_cast<off_t>(client.connection.window_size * 2)) == -1);
  CHECK(fcntl(window, F_ADD_SEALS, F_SEAL_WRITE) == -1);
  CHECK((fcntl(window, F_GET_SEALS) & (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)) ==
        (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL));
  struct stat status {};
  REQUIRE(fstat(window, &status) == 0);
  CHECK(client.connection.window_size == std::uint64_t{16} << 30);
  CHECK(status.st_blocks * 512 < 1 << 20);
}

TEST_CASE("a worker has exactly its descriptors, arguments and environment") {
  setenv("CUDA_VISIBLE_DEVICES", "0", 1);
  setenv("CUDA_INJECTION64_PATH", "/tmp/evil.so", 1);
  TestBroker broker;
  TestClient client(broker.socket);
  client.order_and_wait("report");
  const std::string report = client.heap();
  CHECK_THAT(report, Contains("arguments: vgpu-worker --client 1 --vm uid-" + std::to_string(getuid()) +
                              " --driver sim --log-level info --log-format text\n"));
  CHECK_THAT(report, Contains(" CUDA_VISIBLE_DEVICES=0") && Contains(" PATH=") && !Contains("evil"));
  CHECK_THAT(report, Contains("descriptors: 0 1 2 3 4 5 6 7 8 9 \n"));
  CHECK_THAT(report, Contains("grant: open\n") && Contains("session: 1\n"));
  unsetenv("CUDA_VISIBLE_DEVICES");
  unsetenv("CUDA_INJECTION64_PATH");
}

TEST_CASE("hellos that break the rules are refused, and leave nothing behind") {
  TestBroker broker("[client]\nhello_timeout_ms = 300\n");
  const auto baseline = broker.descriptor_count();
  auto hello = complete_hello();

  SECTION("garbage") {
    const auto connection = connect_raw(broker.socket);
    REQUIRE(send(connection.get(), "test\n", 5, MSG_NOSIGNAL) == 5);
    CHECK_FALSE(read_reply(connection.get()));
    CHECK(broker.process.says("neither a client nor a stub begins with \"test\\x0a\""));
  }
  SECTION("half a message") { CHECK_THAT(refusal_of(broker.socket, hello, 2000), Contains("in time")); }
  SECTION("nothing at all") {
    const auto connection = connect_raw(broker.socket);
    const auto reply = read_reply(connection.get());
    REQUIRE(reply);
    CHECK_THAT(control::get_text(reply->text), Contains("in time"));
  }
  SECTION("another major version") {
    hello.header.version = {9, 4};
    CHECK_THAT(refusal_of(broker.socket, hello), Contains("9.4") && Contains("1.0") && Contains("update the host"));
  }
  SECTION("only newer minors") {
    hello.header.version = {1, 9};
    hello.oldest_minor = 7;
    CHECK_THAT(refusal_of(broker.socket, hello), Contains("1.7 to 1.9") && Contains("1.0"));
  }
  SECTION("a wrong size") {
    hello.header.size = 64;
    CHECK_THAT(refusal_of(broker.socket, hello), Contains("64 bytes instead of 4096"));
  }
  SECTION("another type") {
    hello.header.type = control::MessageType::worker_ready;
    CHECK_THAT(refusal_of(broker.socket, hello), Contains("type"));
  }
  SECTION("a descriptor that is announced") {
    hello.header.fd_count = 1;
    CHECK_THAT(refusal_of(broker.socket, hello, sizeof hello, 1), Contains("descriptors"));
  }
  SECTION("a descriptor that is not announced") {
    CHECK_THAT(refusal_of(broker.socket, hello, sizeof hello, 1), Contains("1 descriptors came"));
  }
  SECTION("many descriptors") {
    CHECK_THAT(refusal_of(broker.socket, hello, sizeof hello, 100), Contains("more descriptors"));
  }
  SECTION("an environment variable that is not allowed") {
    strcpy(hello.environment.data(), "LD_PRELOAD=/tmp/x.so");
    hello.environment_size = 21;
    CHECK_THAT(refusal_of(broker.socket, hello), Contains("allow-list"));
  }
  SECTION("an environment larger than the message") {
    hello.environment_size = 0xffffffff;
    CHECK_THAT(refusal_of(broker.socket, hello), Contains("environment"));
  }
  CHECK(broker.process.says("refused pid " + std::to_string(getpid())));
  CHECK(eventually([&] { return broker.descriptor_count() == baseline && broker.children().empty(); }));
  TestClient next(broker.socket);  // and the broker serves on
}

TEST_CASE("limits of clients hold, against a flood too, and the log stays bounded") {
  TestBroker broker("[broker]\nmax_clients_per_uid = 2\n");
  const auto baseline = broker.descriptor_count();
  {
    TestClient first(broker.socket), second(broker.socket);
    const auto third = control::connect_broker(broker.socket, hello_for_test(), soon());
    REQUIRE_FALSE(third);
    CHECK_THAT(third.error().text, Contains("already has 2 clients") && Contains("max_clients_per_uid"));
    for (int i = 0; i < 2000; ++i) {
      const auto connection = connect_raw(broker.socket);
      (void)send(connection.get(), "flood", 5, MSG_NOSIGNAL);
    }
    CHECK(is_process_alive(static_cast<pid_t>(first.connection.worker_pid)));
  }
  CHECK(eventually([&] { return broker.descriptor_count() == baseline && broker.children().empty(); }));
  // The flood's last connections may still wait to be accepted, and count as this user's until then.
  CHECK(
      eventually([&] { return static_cast<bool>(control::connect_broker(broker.socket, hello_for_test(), soon())); }));
  const auto& log = broker.process.output();
  CHECK(std::count(log.begin(), log.end(), '\n') < 1500);
}

TEST_CASE("a client that goes on talking after its hello loses its channel") {
  TestBroker broker;
  TestClient client(broker.socket);
  REQUIRE(send(client.connection.socket.get(), "more", 4, MSG_NOSIGNAL) == 4);
  CHECK(broker.process.says("sent data after its hello"));
  CHECK(eventually([&] { return broker.children().empty(); }));
  CHECK(client.control().peer_status == VGPU_PEER_REVOKED);
}

TEST_CASE("a broker that runs out of descriptors says so, and serves again when there are some") {
  TemporaryFolder folder;
  const auto command = "ulimit -n 60 && exec " + broker_path() + " --socket " + (folder / "s") + " --worker " +
                       fake_worker_path() + " --driver sim";
  Process broker({"/bin/sh", "-c", command});
  REQUIRE(broker.says("listening on"));
  {
    std::array<base::UniqueFd, 40> idle;
    for (auto& connection : idle) connection = connect_raw(folder / "s");
    CHECK(broker.says("Too many open files"));
  }
  // It has to see first that they are gone.
  REQUIRE(
      eventually([&] { return static_cast<bool>(control::connect_broker(folder / "s", hello_for_test(), soon())); }));
  TestClient client(folder / "s");
  client.order_and_wait("report");
}
