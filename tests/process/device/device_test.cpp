// The device's core in an ordinary process against a real broker, real workers and the software GPU.
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cerrno>
#include <fstream>

#include "common/control/exit_class.hpp"
#include "tests/process/broker/harness.hpp"
#include "tests/process/device/guest_program.hpp"

using namespace vgpu;
using namespace vgpu::test;
using control::ExitClass;

namespace {

/// A broker with one virtual machine's socket, and the real worker.
class VmBroker {
 public:
  explicit VmBroker(const std::string& keys = "") : socket(folder / "vm-red.sock") {
    const auto file = folder / "broker.toml";
    std::ofstream(file) << "[vm.red]\nsocket = \"" << socket << "\"\n" << keys;
    command_ = {broker_path(), "--config", file, "--socket", folder / "broker.sock", "--driver", "sim"};
    start();
  }
  void start() {
    process.emplace(command_);
    REQUIRE(process->says("listening on "));
  }
  void crash() {
    process->signal(SIGKILL);
    process->wait();
  }
  void stop() {
    process->signal(SIGTERM);
    REQUIRE(process->wait() == 0);
  }

  TemporaryFolder folder;
  std::string socket;
  std::optional<Process> process;

 private:
  std::vector<std::string> command_;
};

/// Whoever inherits the workers of a killed broker may take their time to collect them.
bool has_ended(pid_t worker) {
  std::ifstream stat("/proc/" + std::to_string(worker) + "/stat");
  std::string number, name, state;
  return !(stat >> number >> name >> state) || state == "Z" || state == "X";
}

bool ends(pid_t worker) {
  return eventually([worker] { return has_ended(worker); });
}

}  // namespace

TEST_CASE("a program in a virtual machine is answered over the device, and its worker ends with its channel") {
  VmBroker broker;
  VirtualMachine vm(broker.socket);
  REQUIRE(vm.await_link());
  CHECK(vm.link_text() == "red");
  CHECK(vm.read(VGPU_REG_BROKER_PID) == static_cast<std::uint32_t>(broker.process->pid()));
  GuestProgram first(vm, 0), second(vm, 1);
  CHECK(first.count_gpus() == 1u);
  CHECK(second.count_gpus() == 1u);
  CHECK(first.channel() != second.channel());
  CHECK(first.offset() != second.offset());
  CHECK(vm.close(first.channel()) == VGPU_COMMAND_DONE);
  CHECK(vm.state(first.channel()) == VGPU_CHANNEL_FREE);
  CHECK(ends(first.worker()));
  CHECK(second.count_gpus() == 1u);
  GuestProgram third(vm, 2);
  CHECK(third.channel() == first.channel());
  CHECK(third.count_gpus() == 1u);
}

TEST_CASE("what a client left in its channel is not there for the next one") {
  VmBroker broker;
  VirtualMachine vm(broker.socket);
  REQUIRE(vm.await_link());
  std::uint64_t place = 0;
  {
    GuestProgram first(vm, 0);
    REQUIRE(first.count_gpus());
    place = first.offset();
    first.window().word32(VGPU_HEAP_OFFSET + 100).store(0xdeadbeef);
    REQUIRE(vm.close(first.channel()) == VGPU_COMMAND_DONE);
  }
  std::uint32_t left = ~0u;
  REQUIRE(::pread(vm.bar1(), &left, sizeof left, static_cast<off_t>(place + VGPU_HEAP_OFFSET + 100)) == sizeof left);
  CHECK(left == 0);
}

TEST_CASE("a broker that is killed takes nothing along, and the next one keeps what there is") {
  VmBroker broker;
  VirtualMachine vm(broker.socket);
  REQUIRE(vm.await_link());
  GuestProgram first(vm, 0), second(vm, 1);
  REQUIRE(first.count_gpus());
  broker.crash();
  REQUIRE(vm.await_link(VGPU_LINK_DOWN));
  CHECK(first.count_gpus() == 1u);
  CHECK(vm.close(second.channel()) == VGPU_COMMAND_DONE);  // given back while nobody serves
  broker.start();
  REQUIRE(vm.await_link());
  CHECK(vm.read(VGPU_REG_GENERATION) == 1);
  CHECK(vm.state(first.channel()) == VGPU_CHANNEL_OPEN);
  CHECK(first.count_gpus() == 1u);
  CHECK(vm.run_until([&] { return has_ended(second.worker()); }));
  GuestProgram third(vm, 2);
  CHECK(third.count_gpus() == 1u);
  CHECK(vm.close(first.channel()) == VGPU_COMMAND_DONE);
  CHECK(ends(first.worker()));
  CHECK(vm.read(VGPU_REG_MISTAKES) == 0);
}

TEST_CASE("a broker that is relaunched keeps the link's channels") {
  VmBroker broker;
  VirtualMachine vm(broker.socket);
  REQUIRE(vm.await_link());
  GuestProgram program(vm, 0);
  for (int i = 0; i < 3; ++i) {
    REQUIRE(program.count_gpus());
    broker.process->signal(SIGUSR2);
    REQUIRE(vm.await_link(VGPU_LINK_DOWN));
    REQUIRE(vm.await_link());
  }
  CHECK(vm.read(VGPU_REG_GENERATION) == 1);
  CHECK(program.count_gpus() == 1u);
}

TEST_CASE("a broker that is stopped ends its workers, which the guest sees; the next one brings a new window") {
  VmBroker broker;
  VirtualMachine vm(broker.socket);
  REQUIRE(vm.await_link());
  GuestProgram program(vm, 0);
  REQUIRE(program.count_gpus());
  broker.stop();
  CHECK(vm.run_until([&] { return vm.state(program.channel()) == VGPU_CHANNEL_LOST; }));
  CHECK(has_ended(program.worker()));
  broker.start();
  REQUIRE(vm.await_link());
  CHECK(vm.read(VGPU_REG_GENERATION) == 2);
  CHECK(vm.state(program.channel()) == VGPU_CHANNEL_LOST);
  CHECK(vm.close(program.channel()) == VGPU_COMMAND_DONE);
  CHECK(GuestProgram(vm, 1).count_gpus() == 1u);
}

TEST_CASE("a virtual machine that is switched off takes its workers along") {
  VmBroker broker;
  pid_t worker = 0;
  {
    VirtualMachine vm(broker.socket);
    REQUIRE(vm.await_link());
    GuestProgram program(vm, 0);
    REQUIRE(program.count_gpus());
    worker = program.worker();
  }
  CHECK(ends(worker));
  VirtualMachine next(broker.socket);
  REQUIRE(next.await_link());
  CHECK(GuestProgram(next, 0).count_gpus() == 1u);
}

TEST_CASE("the process of a virtual machine that is killed takes its workers along, also when no broker serves") {
  VmBroker broker;
  int words[2];
  REQUIRE(::pipe2(words, O_CLOEXEC) == 0);
  const pid_t machine = ::fork();
  if (machine == 0) {
    VirtualMachine vm(broker.socket);
    REQUIRE(vm.await_link());
    GuestProgram program(vm, 0);
    REQUIRE(program.count_gpus());
    const pid_t worker = program.worker();
    if (::write(words[1], &worker, sizeof worker) == sizeof worker) vm.run_until([] { return false; });
    ::_exit(0);
  }
  pid_t worker = 0;
  REQUIRE(::read(words[0], &worker, sizeof worker) == sizeof worker);
  const bool is_served = GENERATE(true, false);
  if (!is_served) broker.crash();
  CHECK_FALSE(has_ended(worker));
  ::kill(machine, SIGKILL);
  ::waitpid(machine, nullptr, 0);
  CHECK(ends(worker));
  ::close(words[0]);
  ::close(words[1]);
}

TEST_CASE("a worker that is killed leaves a lost channel, and the others alone") {
  VmBroker broker;
  VirtualMachine vm(broker.socket);
  REQUIRE(vm.await_link());
  GuestProgram victim(vm, 0), other(vm, 1);
  REQUIRE(victim.count_gpus());
  REQUIRE(other.count_gpus());
  const bool is_served = GENERATE(true, false);
  if (!is_served) {
    broker.crash();
    REQUIRE(vm.await_link(VGPU_LINK_DOWN));
  }
  ::kill(victim.worker(), SIGKILL);
  CHECK(vm.run_until([&] { return vm.state(victim.channel()) == VGPU_CHANNEL_LOST; }));
  if (is_served) {
    REQUIRE(vm.run_until([&] { return vm.exit_class(victim.channel()) != 0; }));
    CHECK(control::from_word(vm.exit_class(victim.channel())).kind == ExitClass::killed_by_signal);
  } else {
    broker.start();
    REQUIRE(vm.await_link());
    CHECK(vm.state(victim.channel()) == VGPU_CHANNEL_LOST);
  }
  CHECK(other.count_gpus() == 1u);
  CHECK(vm.close(victim.channel()) == VGPU_COMMAND_DONE);
  CHECK(GuestProgram(vm, 2).count_gpus() == 1u);
}

TEST_CASE("a reset ends the workers and brings a new window") {
  VmBroker broker;
  VirtualMachine vm(broker.socket);
  REQUIRE(vm.await_link());
  pid_t worker = 0;
  {
    GuestProgram program(vm, 0);
    REQUIRE(program.count_gpus());
    worker = program.worker();
  }
  vm.reset();
  CHECK(vm.bar1() == -1);
  REQUIRE(vm.await_link());
  CHECK(has_ended(worker));
  CHECK(vm.read(VGPU_REG_GENERATION) == 2);
  CHECK(GuestProgram(vm, 0).count_gpus() == 1u);
}

TEST_CASE("who holds the window can neither resize nor seal it, and a hole in a channel hurts that channel only") {
  VmBroker broker;
  VirtualMachine vm(broker.socket);
  REQUIRE(vm.await_link());
  GuestProgram careless(vm, 0), other(vm, 1);
  REQUIRE(careless.count_gpus());
  REQUIRE(other.count_gpus());
  const int window = vm.bar1();
  errno = 0;
  CHECK((::ftruncate(window, 4096) == -1 && errno == EPERM));
  CHECK((::ftruncate(window, static_cast<off_t>(2 * VirtualMachine::kWindowSize)) == -1 && errno == EPERM));
  CHECK((::fallocate(window, 0, static_cast<off_t>(VirtualMachine::kWindowSize), 4096) == -1 && errno == EPERM));
  CHECK((::fcntl(window, F_ADD_SEALS, F_SEAL_WRITE) == -1 && errno == EPERM));
  REQUIRE(::fallocate(window, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(careless.offset()),
                      static_cast<off_t>(careless.window().size())) == 0);
  vm.ring(careless.channel());
  (void)careless.count_gpus();  // lost, or answered: its own affair
  CHECK(other.count_gpus() == 1u);
  CHECK(vm.close(careless.channel()) == VGPU_COMMAND_DONE);
  CHECK(GuestProgram(vm, 2).count_gpus() == 1u);
  CHECK(vm.read(VGPU_REG_LINK) == VGPU_LINK_UP);
}

TEST_CASE("a second machine at a socket in use gets nothing, and the first goes on") {
  VmBroker broker;
  VirtualMachine first(broker.socket);
  REQUIRE(first.await_link());
  GuestProgram program(first, 0);
  VirtualMachine second(broker.socket);
  CHECK(second.run_until([&] { return second.log().find("Connected to mediator") != std::string::npos; }));
  CHECK(second.run_until([&] {
    return second.log().find("see its log") != std::string::npos || second.read(VGPU_REG_LINK) == VGPU_LINK_REFUSED;
  }));
  CHECK(second.read(VGPU_REG_LINK) != VGPU_LINK_UP);
  CHECK(program.count_gpus() == 1u);
}

TEST_CASE("a machine whose window is larger than the broker allows is told so") {
  VmBroker broker("window_size_max = \"128MiB\"\n");
  VirtualMachine vm(broker.socket);
  REQUIRE(vm.await_link(VGPU_LINK_REFUSED));
  CHECK_THAT(vm.link_text(), Catch::Contains("window_size_max"));
  CHECK_THAT(vm.log(), Catch::Contains("refuses this VM"));
}

TEST_CASE("a guest's hello that is none is refused, and the link goes on") {
  VmBroker broker;
  VirtualMachine vm(broker.socket);
  REQUIRE(vm.await_link());
  const auto opened = vm.open(control::Hello{});
  CHECK(opened.reply.status == control::HelloStatus::malformed);
  CHECK(GuestProgram(vm, 0).count_gpus() == 1u);
}

TEST_CASE("legacy requests are computed, and refused, as the guest asks through the legacy page") {
  VmBroker broker;
  VirtualMachine vm(broker.socket);
  REQUIRE(vm.await_link());
  const auto ask = [&](std::vector<std::uint32_t> words) {
    for (std::uint32_t i = 0; i < words.size(); ++i) vm.write(VGPU_LEGACY_REQUEST + 4 * i, words[i]);
    vm.write(VGPU_LEGACY_REQUEST_LEN, static_cast<std::uint32_t>(4 * words.size()));
    vm.write(VGPU_LEGACY_DOORBELL, 1);
    REQUIRE(vm.run_until([&] { return vm.read(VGPU_LEGACY_STATUS) != VGPU_LEGACY_BUSY; }));
    return vm.read(VGPU_LEGACY_STATUS) == VGPU_LEGACY_DONE ? 0 : vm.read(VGPU_LEGACY_ERROR_CODE);
  };
  CHECK(ask({0x00010000, 0, 0, 0, 0, 0, 0, 0}) == 0);
  CHECK(ask({0x00010000, 1, 0, 2, 0, 0, 0, 0, 100, 200}) == 0);
  CHECK(vm.read(VGPU_LEGACY_RESPONSE_LEN) == 36);
  CHECK(vm.read(VGPU_LEGACY_RESPONSE + 32) == 300);
  CHECK(ask({0x00010000, 5, 0, 0, 0, 0, 0, 0}) == 0);
  CHECK(vm.read(VGPU_LEGACY_RESPONSE + 8) == 8);  // results
  CHECK(ask({0x00020000, 0, 0, 0, 0, 0, 0, 0}) == VGPU_LEGACY_INVALID_REQUEST);
  CHECK(ask({0x00010000, 4, 0, 0, 0, 0, 0, 0}) == VGPU_LEGACY_UNSUPPORTED);
  CHECK(ask({0x00010000, 1, 0, 2, 0, 0, 0, 0, 100}) == VGPU_LEGACY_INVALID_LENGTH);
  CHECK(ask({0x00010000, 1, 0, 2, 0, 0, 0, 0, 5, 6}) == 0);
  CHECK(vm.read(VGPU_LEGACY_RESPONSE + 32) == 11);
}
