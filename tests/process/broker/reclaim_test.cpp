// The ends of clients: whatever way they go, the worker is ended and nothing is left.
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include <catch2/catch.hpp>
#include <fstream>

#include "tests/process/broker/harness.hpp"

using namespace vgpu;
using namespace vgpu::test;

namespace {

/// A child process that connects, and then either waits or does `after`.
struct ClientProcess {
  ClientProcess(const std::string& socket, void (*after)()) {
    const auto hello = hello_for_test();
    pid = fork();
    if (pid != 0) return;
    alarm(60);
    const auto connection = control::connect_broker(socket, hello, soon());
    if (!connection) {
      fprintf(stderr, "client: %s\n", connection.error().text.c_str());
      _exit(1);
    }
    after();
    for (;;) pause();
  }
  ~ClientProcess() {
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
  }
  pid_t pid = 0;
};

void wait_until_clean(TestBroker& broker, std::size_t baseline) {
  CHECK(eventually([&] { return broker.children().empty(); }));
  CHECK(eventually([&] { return broker.descriptor_count() == baseline; }));
}

}  // namespace

TEST_CASE("a killed client takes its worker with it, and nothing is left") {
  TestBroker broker;
  const auto baseline = broker.descriptor_count();
  for (int round = 0; round < 3; ++round) {
    ClientProcess client(broker.socket, [] {});
    const bool started = eventually([&] { return broker.children().size() == 1; });
    INFO(broker.process.output());
    REQUIRE(started);
    kill(client.pid, SIGKILL);
    wait_until_clean(broker, baseline);
  }
  CHECK(broker.process.says("client 3 (pid"));
  CHECK(broker.process.says("ended: client gone"));
}

TEST_CASE("a client whose child holds the connection open is known to be gone") {
  TestBroker broker;
  const auto baseline = broker.descriptor_count();
  ClientProcess client(broker.socket, [] {
    if (fork() == 0)
      for (alarm(20);;) pause();
  });
  REQUIRE(eventually([&] { return broker.children().size() == 1; }));
  kill(client.pid, SIGKILL);
  wait_until_clean(broker, baseline);
}

TEST_CASE("a client that gives its channel back lives on without a worker") {
  TestBroker broker;
  const auto baseline = broker.descriptor_count();
  { TestClient client(broker.socket); }
  wait_until_clean(broker, baseline);
  CHECK(broker.process.says("client 1 (pid " + std::to_string(getpid()) + ") is gone"));
}

TEST_CASE("one client's end leaves another alone") {
  TestBroker broker;
  TestClient staying(broker.socket);
  { TestClient leaving(broker.socket); }
  CHECK(eventually([&] { return broker.children().size() == 1; }));
  staying.order_and_wait("report");
  CHECK(staying.control().peer_status == VGPU_PEER_ALIVE);
}

TEST_CASE("idle, the broker sleeps: no wake-up without clients, one a second with one") {
  TestBroker broker;
  const auto wakeups = [&] {
    std::ifstream status("/proc/" + std::to_string(broker.process.pid()) + "/status");
    for (std::string word; status >> word;)
      if (word == "voluntary_ctxt_switches:") {
        long count = -1;
        status >> count;
        return count;
      }
    return -1L;
  };
  // Seconds of watching are the measurement here.
  const auto during = [&](int seconds) {
    const auto before = wakeups();
    for (const auto end = control::Deadline::after(std::chrono::seconds(seconds)); !end.passed();) usleep(50'000);
    return wakeups() - before;
  };
  // The first window may still see it go to sleep after its start; a timer of less than two seconds shows in every one.
  CHECK(eventually([&] { return during(2) == 0; }));
  TestClient client(broker.socket);
  client.order_and_wait("ready");
  REQUIRE(broker.process.says("is ready"));
  CHECK(during(3) <= 4);
}
