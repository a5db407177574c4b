// A broker that comes after another: clients and workers go on, and count, and end as if nothing had happened.
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <vector>

#include "common/control/exit_class.hpp"
#include "common/shm/segment.hpp"
#include "tests/process/broker/harness.hpp"

using namespace vgpu;
using namespace vgpu::test;
using Catch::Contains;
using control::ExitClass;

namespace {

std::string took_back(const TestClient& client) {
  return "took back client " + std::to_string(client.connection.client_id) + ": worker " +
         std::to_string(client.connection.worker_pid);
}

std::string accounts(int clients) {
  const auto number = std::to_string(clients);
  return "accounts: clients " + number + ", greetings 0, places " + number + ", workers " + number + ", quarantined 0";
}

/// Ends the broker without a chance to tidy up.
void crash(TestBroker& broker) {
  broker.process.signal(SIGKILL);
  broker.process.wait();
}

}  // namespace

TEST_CASE("a broker that comes after a killed one takes its clients back") {
  TestBroker broker("[broker]\nmax_clients_per_uid = 2\n");
  TestClient first(broker.socket), second(broker.socket);
  crash(broker);
  first.order_and_wait("report");  // both serve on
  Process next(broker.command());
  REQUIRE(next.says(took_back(first)));
  REQUIRE(next.says(took_back(second)));
  REQUIRE(next.says("listening on"));

  SECTION("they count") {
    const auto third = control::connect_broker(broker.socket, hello_for_test(), soon());
    REQUIRE_FALSE(third);
    CHECK_THAT(third.error().text, Contains("already has 2 clients"));
    next.signal(SIGUSR1);
    CHECK(next.says(accounts(2)));
  }
  SECTION("the end of a client ends its worker") {
    first.connection.socket.reset();
    CHECK(next.says("of client " + std::to_string(first.connection.client_id) + " ended: client gone"));
    CHECK(eventually([&] { return !is_process_alive(static_cast<pid_t>(first.connection.worker_pid)); }));
    CHECK(second.control().peer_status == VGPU_PEER_ALIVE);
    TestClient third(broker.socket);  // its place is free
    CHECK(third.connection.client_id > second.connection.client_id);
  }
  SECTION("the end of a worker is told to its client, with its class") {
    first.order("exit 66");
    CHECK(next.says("ended: GPU fault"));
    CHECK(eventually([&] { return first.control().peer_status == VGPU_PEER_LOST; }));
    CHECK(control::from_word(first.control().exit_class).kind == ExitClass::gpu_fault);
    second.order("signal 11");
    CHECK(next.says("ended: killed by"));
    CHECK(eventually([&] { return second.control().peer_status == VGPU_PEER_LOST; }));
    CHECK(control::from_word(second.control().exit_class).kind == ExitClass::killed_by_signal);
  }
  SECTION("what the worker says is heard") {
    first.order_and_wait("ready");
    CHECK(next.says("is ready: driver 13000 (fake), 1 device(s), Fake"));
  }
  SECTION("it shuts them down in order") {
    next.signal(SIGTERM);
    CHECK(next.wait() == 0);
    CHECK(first.control().peer_status == VGPU_PEER_REVOKED);
    CHECK(eventually([&] { return !is_process_alive(static_cast<pid_t>(first.connection.worker_pid)); }));
    CHECK_FALSE(std::filesystem::exists(broker.socket + ".roster"));
  }
}

TEST_CASE("a client or worker that ended while no broker ran is not taken back") {
  TestBroker broker;
  TestClient client(broker.socket);
  crash(broker);
  SECTION("the worker") {
    client.order("exit 0");
    REQUIRE(eventually([&] { return !is_process_alive(static_cast<pid_t>(client.connection.worker_pid)); }));
    Process next(broker.command());
    CHECK(next.says("has ended while no broker served"));
    REQUIRE(next.says("listening on"));
    next.signal(SIGUSR1);
    CHECK(next.says(accounts(0)));
  }
  SECTION("the client") {
    client.connection.socket.reset();
    Process next(broker.command());
    CHECK(next.says("ended: client gone"));
    next.signal(SIGUSR1);
    CHECK(next.says(accounts(0)));
  }
}

TEST_CASE("SIGUSR2 relaunches the broker in its process, and no client notices") {
  TestBroker broker;
  const auto pid = broker.process.pid();
  {
    TestClient client(broker.socket);
    broker.process.signal(SIGUSR2);
    REQUIRE(broker.process.says(took_back(client)));
    CHECK(is_process_alive(pid));
    CHECK(client.control().peer_status == VGPU_PEER_ALIVE);
    client.order_and_wait("report");
    // Its children are still its children: exits keep their signal.
    TestClient other(broker.socket);
    broker.process.signal(SIGUSR2);
    REQUIRE(broker.process.says(took_back(other)));
    other.order("signal 11");
    CHECK(broker.process.says("ended: killed by signal 11"));
  }
  CHECK(eventually([&] { return broker.children().empty(); }));
  broker.process.signal(SIGUSR1);
  CHECK(broker.process.says(accounts(0)));
  broker.process.signal(SIGTERM);
  CHECK(broker.process.wait() == 0);
}

TEST_CASE("a signal to end that comes with one to relaunch is not lost") {
  TestBroker broker;
  TestClient client(broker.socket);
  const auto pid = broker.process.pid();
  const auto signals =
      GENERATE(as<std::vector<int>>{}, std::vector{SIGUSR2, SIGTERM}, std::vector{SIGUSR2, SIGHUP, SIGTERM});
  kill(pid, SIGSTOP);
  for (const int signal : signals) kill(pid, signal);
  kill(pid, SIGCONT);
  CHECK(broker.process.wait() == 0);
}

TEST_CASE("a relaunch is refused while the configuration has errors") {
  TestBroker broker;
  std::ofstream(broker.folder / "broker.toml") << "[broker]\nmax_clients = \"many\"\n";
  broker.process.signal(SIGUSR2);
  CHECK(broker.process.says("not relaunched: the configuration has errors"));
  TestClient client(broker.socket);
}

TEST_CASE("a greeting under way is waited for before a relaunch") {
  TestBroker broker;
  const auto pid = broker.process.pid();
  kill(pid, SIGSTOP);
  // Both are there when it goes on; one that never says hello holds it up for hello_timeout at most.
  kill(pid, SIGUSR2);
  const auto early = connect_raw(broker.socket);
  kill(pid, SIGCONT);
  TestClient client(broker.socket);
  CHECK(broker.process.says("relaunching"));
  CHECK(client.control().peer_status == VGPU_PEER_ALIVE);
}

TEST_CASE("a roster that cannot be believed is not") {
  TestBroker broker;
  TestClient client(broker.socket);
  crash(broker);
  const auto roster = broker.socket + ".roster";
  SECTION("damaged") {
    std::ofstream(roster) << "{\"vgpu_roster\": 1, \"clients\": [";
    Process next(broker.command());
    CHECK(next.says(".roster is damaged"));
    CHECK(next.says("listening on"));
  }
  SECTION("writable by others") {
    chmod(roster.c_str(), 0666);
    Process next(broker.command());
    CHECK(next.says("is not a file that only this user can write"));
    CHECK(next.says("listening on"));
  }
  SECTION("naming a process that is no worker") {
    std::ifstream file(roster);
    std::string text{std::istreambuf_iterator<char>(file), {}};
    const auto worker = std::to_string(client.connection.worker_pid);
    text.replace(text.rfind("\"pid\": " + worker), 7 + worker.size(), "\"pid\": " + std::to_string(getpid()));
    std::ofstream(roster) << text;
    Process next(broker.command());
    CHECK(next.says("has ended while no broker served"));
    CHECK(next.says("listening on"));
  }
  client.order("exit 0");
}

TEST_CASE("a client learns of its worker's end without a broker") {
  TestBroker broker;
  TestClient client(broker.socket);
  crash(broker);
  client.order("signal 9");
  REQUIRE(client.connection.worker);
  pollfd worker{client.connection.worker.get(), POLLIN, 0};
  CHECK(poll(&worker, 1, 10'000) == 1);
}
