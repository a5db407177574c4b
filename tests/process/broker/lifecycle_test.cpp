// Start and end of the broker itself.
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "tests/process/broker/harness.hpp"

using namespace vgpu;
using namespace vgpu::test;
using namespace std::literals;
using Catch::Contains;

TEST_CASE("SIGTERM ends clients, workers and socket, in order, with exit code 0") {
  for (const int signal : {SIGTERM, SIGINT}) {
    TestBroker broker;
    TestClient client(broker.socket);
    broker.process.signal(signal);
    CHECK(broker.process.wait() == 0);
    CHECK(client.control().peer_status == VGPU_PEER_REVOKED);
    CHECK_FALSE(is_process_alive(static_cast<pid_t>(client.connection.worker_pid)));
    CHECK_FALSE(std::filesystem::exists(broker.socket));
    CHECK_FALSE(std::filesystem::exists(broker.socket + ".lock"));
    CHECK_THAT(broker.process.output(),
               Contains("1 client(s) to end") && Contains("ended: revoked by the host") && Contains("shut down\n"));
  }
}

TEST_CASE("a second broker on the same socket is refused, naming the first") {
  TestBroker broker;
  Process second({broker_path(), "--socket", broker.socket, "--worker", fake_worker_path()});
  CHECK(second.wait() == 1);
  CHECK_THAT(second.output(), Contains("pid " + std::to_string(broker.process.pid())) && Contains("--socket"));
  TestClient client(broker.socket);
}

TEST_CASE("a listener that is no broker of ours keeps its socket, a plain file its place") {
  TemporaryFolder folder;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  (folder / "s").copy(address.sun_path, sizeof address.sun_path - 1);
  const base::UniqueFd stranger(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  REQUIRE(bind(stranger.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  REQUIRE(listen(stranger.get(), 1) == 0);
  Process broker({broker_path(), "--socket", folder / "s", "--worker", fake_worker_path()});
  CHECK(broker.wait() == 1);
  CHECK_THAT(broker.output(), Contains("pid " + std::to_string(getpid())));

  std::ofstream(folder / "file") << "text";
  Process other({broker_path(), "--socket", folder / "file", "--worker", fake_worker_path()});
  CHECK(other.wait() == 1);
  CHECK_THAT(other.output(), Contains("is no socket"));
  CHECK(std::filesystem::file_size(folder / "file") == 4);
}

TEST_CASE("a killed broker leaves its workers running, and a new one replaces its socket") {
  TestBroker broker;
  TestClient client(broker.socket);
  broker.process.signal(SIGKILL);
  broker.process.wait();
  CHECK(std::filesystem::exists(broker.socket));
  client.order_and_wait("report");  // the worker serves on
  CHECK(client.control().peer_status == VGPU_PEER_ALIVE);
  Process next({broker_path(), "--socket", broker.socket, "--worker", fake_worker_path()});
  REQUIRE(next.says("listening on"));
  TestClient another(broker.socket);
  client.order("exit 0");
}

TEST_CASE("what a worker has offered is found by whoever asks then, however busy the broker is") {
  TestBroker broker;
  TestClient offering(broker.socket), asking(broker.socket);
  const auto finds = [&](const std::string& token, const std::string& answer) {
    asking.order("find " + token);
    REQUIRE(eventually([&] { return asking.heap() == "asked"s; }));
    kill(broker.process.pid(), SIGCONT);
    CHECK(eventually([&] { return asking.heap() == answer; }));
  };
  kill(broker.process.pid(), SIGSTOP);
  offering.order_and_wait("offer 5");
  SECTION("the last of them") { finds("5", "found 1"); }
  SECTION("not what nobody offers") { finds("6", "found 0"); }
}

TEST_CASE("a log that nobody reads stops nothing") {
  TemporaryFolder folder;
  const auto fifo = folder / "log";
  REQUIRE(mkfifo(fifo.c_str(), 0600) == 0);
  const base::UniqueFd unread(open(fifo.c_str(), O_RDWR | O_CLOEXEC));
  REQUIRE(fcntl(unread.get(), F_SETPIPE_SZ, 4096) > 0);
  const auto socket = folder / "s";
  Process broker({"/bin/sh", "-c",
                  "exec " + broker_path() + " --config /dev/null --driver sim --socket " + socket + " --worker " +
                      fake_worker_path() + " 2>" + fifo});
  REQUIRE(eventually([&] { return std::filesystem::exists(socket); }));
  for (int i = 0; i < 40; ++i) {
    TestClient client(socket);  // some 300 bytes of log each
    client.order_and_wait("ready");
  }
  broker.signal(SIGTERM);
  CHECK(broker.wait() == 0);
}

TEST_CASE("the socket has the configured mode") {
  TestBroker broker("[broker]\nsocket_mode = \"0604\"\n");
  struct stat status {};
  REQUIRE(stat(broker.socket.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0604);
}

TEST_CASE("the service manager is told of readiness and of the end") {
  TemporaryFolder folder;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  (folder / "notify").copy(address.sun_path, sizeof address.sun_path - 1);
  const base::UniqueFd manager(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  REQUIRE(bind(manager.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  const timeval timeout{20, 0};
  setsockopt(manager.get(), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
  const auto heard = [&] {
    char text[256];
    const auto count = recv(manager.get(), text, sizeof text, 0);
    return std::string(text, count > 0 ? static_cast<std::size_t>(count) : 0);
  };
  Process broker({broker_path(), "--socket", folder / "s", "--worker", fake_worker_path()},
                 {"NOTIFY_SOCKET=" + (folder / "notify")});
  CHECK_THAT(heard(), Contains("READY=1"));
  const auto connection = connect_raw(folder / "s");  // ready means ready
  broker.signal(SIGTERM);
  CHECK_THAT(heard(), Contains("STOPPING=1"));
  CHECK(broker.wait() == 0);
}

TEST_CASE("SIGHUP reads the log level anew, and keeps the old one if the file is wrong") {
  TestBroker broker("[broker]\nlog_level = \"info\"\n");
  std::ofstream(broker.folder / "broker.toml") << "[broker]\nlog_level = \"loud\"\n";
  broker.process.signal(SIGHUP);
  CHECK(broker.process.says("broker.toml:2: log_level must be"));
  CHECK(broker.process.says("stays as it was"));
  std::ofstream(broker.folder / "broker.toml") << "[broker]\nlog_level = \"debug\"\n";
  broker.process.signal(SIGHUP);
  CHECK(broker.process.says("log level is now debug"));
  TestClient client(broker.socket);
  client.order_and_wait("report");
  CHECK_THAT(client.heap(), Contains("--log-level debug"));
}
