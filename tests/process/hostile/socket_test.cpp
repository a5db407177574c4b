// The socket and the first words in the window: what tests/process/broker/hello_test.cpp does not ask.
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <catch2/catch.hpp>
#include <thread>

#include "tests/process/hostile/stage.hpp"

using namespace vgpu;
using namespace vgpu::test;
using Catch::Contains;
using control::ExitClass;

namespace {

bool gets_in(const std::string& socket) {
  return static_cast<bool>(control::connect_broker(socket, hello_for_test(), soon()));
}

}  // namespace

TEST_CASE("half-hellos that trickle take their user's places until the deadline, and no longer", "[socket]") {
  Stage stage("[broker]\nmax_clients_per_uid = 9\n[client]\nwindow_size = \"64MiB\"\nhello_timeout_ms = 700\n");
  {
    std::vector<base::UniqueFd> slow;
    for (int i = 0; i < 8; ++i) slow.push_back(connect_raw(stage.socket));
    // A byte now and then: activity must not move the deadline.
    std::jthread trickle([&](const std::stop_token& end) {
      auto hello = hello_for_test();
      hello.header.type = control::MessageType::hello;
      hello.header.size = sizeof hello;
      const auto* bytes = reinterpret_cast<const char*>(&hello);
      for (size_t at = 0; !end.stop_requested();
           at = (at + 1) % sizeof hello, std::this_thread::sleep_for(std::chrono::milliseconds(20)))
        for (const auto& connection : slow) (void)send(connection.get(), bytes + at, 1, MSG_NOSIGNAL);
    });
    const auto refused = control::connect_broker(stage.socket, hello_for_test(), soon());
    const bool later = eventually([&] { return gets_in(stage.socket); });
    trickle.request_stop();
    trickle.join();
    REQUIRE_FALSE(refused);
    CHECK_THAT(refused.error().text, Contains("already has 9 clients"));
    CHECK(later);
  }
  stage.check_clean();
}

TEST_CASE("a flood of connections meets the limit on all clients, and leaves nothing", "[socket]") {
  Stage stage("[broker]\nmax_clients = 3\n[client]\nwindow_size = \"64MiB\"\n");
  {
    const auto mine = stage.client();
    for (int i = 0; i < 1000; ++i) (void)send(connect_raw(stage.socket).get(), "x", 1, MSG_NOSIGNAL);
    CHECK(eventually([&] { return gets_in(stage.socket); }));
    Stage::check_served(*mine);
  }
  stage.check_clean();
  CHECK(count_lines(stage.process.output(), "\n") < 1500);
}

TEST_CASE("a client that connects and leaves before it maps leaves nothing", "[socket]") {
  Stage stage;
  for (int i = 0; i < 10; ++i) REQUIRE(gets_in(stage.socket));
  stage.check_clean();
}

TEST_CASE("windows and arenas that cannot be end the worker in order", "[socket]") {
  Stage stage;
  RawClient client(stage.socket);
  const RawClient::Places good = client.places();
  RawClient::Places bad = good;
  SECTION("a window at zero") { bad.window_base = 0; }
  SECTION("a window where null pointers reach") { bad.window_base = 0x10000; }
  SECTION("a window between pages") { bad.window_base += 1; }
  SECTION("a window in the kernel's half") { bad.window_base = 0xffff800000000000; }
  SECTION("a window at the largest address") { bad.window_base = ~uint64_t{0} - 4095; }
  SECTION("a window that ends beyond the address space") { bad.window_base = 0x7ffffff00000; }
  SECTION("an arena between pages") { bad.arena_base += 1; }
  SECTION("an arena that wraps") { bad.arena_size = ~uint64_t{0} - 4095; }
  SECTION("an arena in the kernel's half") { bad.arena_base = 0xffff800000000000; }
  SECTION("an arena at zero") { bad.arena_base = 0; }
  client.begin(bad);
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  // Workers with a sanitizer look at no arena.
  if (bad.window_base == good.window_base) return;
#endif
  CHECK(client.end() == ExitClass::protocol_violation);
  stage.check_clean();
}

TEST_CASE("an arena with no room ends the worker in order", "[socket]") {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return;  // such workers look at no arena
#endif
  Stage stage;
  {
    RawClient client(stage.socket);
    auto places = client.places();
    places.arena_size = GENERATE(4096, 64 << 10, 16 << 20);
    client.begin(places);
    // It may serve, with no memory to give, or find that its driver cannot start.
    CHECK(eventually([&] {
      return client.is_lost() || client.control().worker_state == VGPU_WORKER_AWAKE ||
             client.control().worker_state == VGPU_WORKER_SLEEPING;
    }));
    client.context = wire::make_handle(wire::Kind::context, 1, 0);
    for (int i = 0; i < 20 && !client.is_lost(); ++i) {
      client.call(api::ops::PrimaryRetain{.device = 0, .id = {client.context}});
      client.call(api::ops::MemoryAlloc{1 << 20});
      client.call(api::ops::StreamSynchronize{{1}});
    }
    if (client.is_lost()) CHECK(client.end() != ExitClass::killed_by_signal);
  }
  stage.check_clean();
}

TEST_CASE("the doorbell belongs to the guest too: drained, blocking or rung without end, the worker serves",
          "[socket]") {
  Stage stage;
  {
    const auto client = stage.client();
    const int bell = client->connection.doorbell.get();
    REQUIRE(fcntl(bell, F_SETFL, fcntl(bell, F_GETFL) & ~O_NONBLOCK) == 0);
    std::jthread player([&](const std::stop_token& end) {
      // Rings, and takes the ring back, perhaps just when the worker is about to read.
      for (uint64_t count = 0; !end.stop_requested();) {
        eventfd_write(bell, 1);
        const iovec to{&count, sizeof count};
        (void)!preadv2(bell, &to, 1, -1, RWF_NOWAIT);
      }
    });
    for (int i = 0; i < 1000; ++i) Stage::check_served(*client);
    player.request_stop();
    player.join();
  }
  stage.check_clean();
}

// Half a minute: the test of that deadline has a run of its own.
TEST_CASE("a client that never maps its window is cut off", "[never-maps]") {
  Stage stage;
  RawClient client(stage.socket);
  const auto limit = control::Deadline::after(std::chrono::seconds(45));
  while (!client.is_lost() && !limit.passed()) std::this_thread::sleep_for(std::chrono::milliseconds(50));
  CHECK(client.end() == ExitClass::protocol_violation);
  CHECK(stage.process.says("did not map its window in time"));
  stage.check_clean();
}
