// The ends of workers: classed, told to the client, logged once; sleepers woken.
#include <linux/futex.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <csignal>
#include <thread>

#include "common/control/exit_class.hpp"
#include "tests/process/broker/harness.hpp"

using namespace vgpu;
using namespace vgpu::test;
using control::ExitClass;

namespace {

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

}  // namespace

TEST_CASE("the end of a worker is classed, told and logged") {
  struct Case {
    const char* order;
    ExitClass kind;
    const char* line;
  };
  const auto expected = GENERATE(values<Case>({
      {"exit 0", ExitClass::clean, "ended: clean"},
      {"exit 64", ExitClass::usage, "ended: usage error"},
      {"exit 65", ExitClass::protocol_violation, "ended: protocol violation"},
      {"exit 66", ExitClass::gpu_fault, "ended: GPU fault"},
      {"exit 67", ExitClass::no_driver, "ended: no usable driver or device"},
      {"exit 68", ExitClass::internal, "ended: internal error (exit code 68)"},
      {"exit 3", ExitClass::internal, "ended: internal error (exit code 3)"},
      {"signal 11", ExitClass::killed_by_signal, "ended: killed by signal 11 (segmentation fault)"},
      {"signal 9", ExitClass::killed_by_signal, "ended: killed by signal 9 (kill)"},
  }));
  TestBroker broker;
  TestClient client(broker.socket);
  client.order(expected.order);
  CHECK(broker.process.says(expected.line));
  CHECK(eventually([&] { return client.control().peer_status == VGPU_PEER_LOST; }));
  CHECK(control::from_word(client.control().exit_class).kind == expected.kind);
  CHECK(eventually([&] { return broker.children().empty(); }));
  CHECK(count(broker.process.output(), " ended: ") == 1);
}

TEST_CASE("a thread that sleeps on its slot is woken when the worker dies") {
  TestBroker broker;
  TestClient client(broker.socket);
  auto* word = &client.slot(VGPU_SLOT_COUNT - 1).sequence;
  const auto tid_known = std::make_shared<std::atomic<pid_t>>(0);
  long rc = -1;
  std::thread sleeper([&] {
    const timespec timeout{20, 0};
    *tid_known = static_cast<pid_t>(syscall(SYS_gettid));
    rc = syscall(SYS_futex, word, FUTEX_WAIT, 0, &timeout, nullptr, 0);
  });
  // Asleep: the kernel says so.
  const bool asleep = eventually([&] {
    const auto path = "/proc/self/task/" + std::to_string(*tid_known) + "/wchan";
    FILE* file = fopen(path.c_str(), "re");
    char text[64] = {};
    if (file == nullptr) return false;
    const auto length = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    return std::string(text, length).find("futex") != std::string::npos;
  });
  client.order("signal 6");
  sleeper.join();
  CHECK(asleep);
  CHECK(rc == 0);
  CHECK(client.control().peer_status == VGPU_PEER_LOST);
}

TEST_CASE("a worker that breaks the control protocol is killed") {
  TestBroker broker;
  TestClient client(broker.socket);
  client.order("garbage");
  CHECK(broker.process.says("breaks the control protocol"));
  CHECK(broker.process.says("ended: revoked by the host"));
}

TEST_CASE("a worker that cannot be executed is told to the client") {
  TemporaryFolder folder;
  const auto script = folder / "worker";
  FILE* file = fopen(script.c_str(), "we");
  fputs("#!/nonexistent/interpreter\n", file);
  fclose(file);
  chmod(script.c_str(), 0755);
  Process broker({broker_path(), "--socket", folder / "s", "--worker", script});
  REQUIRE(broker.says("listening on"));
  const auto refused = control::connect_broker(folder / "s", hello_for_test(), soon());
  REQUIRE_FALSE(refused);
  CHECK_THAT(refused.error().text, Catch::Contains("cannot start " + script));
}

// A traced process stops once more on its way out, even after SIGKILL: as near as one comes to a worker that a driver
// holds in the kernel.
TEST_CASE("a worker that does not die is quarantined until it does") {
  TestBroker broker("[broker]\nkill_timeout_ms = 50\n");
  auto client = std::make_unique<TestClient>(broker.socket);
  client->order_and_wait("linger");
  const auto worker = static_cast<pid_t>(client->connection.worker_pid);
  if (ptrace(PTRACE_SEIZE, worker, nullptr, PTRACE_O_TRACEEXIT) != 0) {
    WARN("skipped: this host does not let us trace the worker");
    return;
  }
  client.reset();
  CHECK(broker.process.says("ALARM: worker " + std::to_string(worker)));
  CHECK(is_process_alive(worker));
  int status = 0;
  REQUIRE(eventually([&] { return waitpid(worker, &status, WNOHANG | __WALL) == worker; }));
  ptrace(PTRACE_DETACH, worker, nullptr, nullptr);
  CHECK(broker.process.says("its quarantine is over"));
  CHECK(eventually([&] { return broker.children().empty(); }));
}
