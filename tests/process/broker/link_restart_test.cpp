// A VM whose broker is killed: its channels go on, and the next broker knows them by the window that the stub shows.
#include <signal.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>

#include "broker/vm/shared_memory.hpp"
#include "tests/process/broker/fake_stub.hpp"

using namespace vgpu;
using namespace vgpu::test;
using Catch::Contains;

namespace {

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;

void crash(VmBroker& broker) {
  broker.process.signal(SIGKILL);
  broker.process.wait();
}

}  // namespace

TEST_CASE("channels outlive their broker, and the next one keeps the window") {
  VmBroker broker;
  FakeStub stub(broker.vm_socket());
  stub.link_up();
  StubClient zero(stub, 0), one(stub, 1), two(stub, 2);
  const auto grown = zero.grow(8 * kMiB);
  crash(broker);
  REQUIRE(stub.is_cut_off());
  zero.order_and_wait("report");
  kill(two.worker_pid(), SIGKILL);  // and nobody is there to be told
  REQUIRE(eventually([&] { return !is_process_alive(two.worker_pid()); }));
  Process next(broker.command());
  REQUIRE(next.says("VM one: listening"));

  SECTION("with the channels that live, and those that the guest closed are ended") {
    FakeStub back(broker.vm_socket());
    back.window = std::move(stub.window);
    back.say_hello(kVmWindow, back.window.get(), 0b101);  // channel 1 was closed meanwhile
    const auto link = back.take_link();
    CHECK(link.status == 0);
    CHECK(link.kept == 1);
    CHECK(link.open[0] == 0b001);
    CHECK(eventually([&] { return !is_process_alive(one.worker_pid()); }));
    CHECK(is_process_alive(zero.worker_pid()));
    StubClient again(back, 1);  // its number is free at once
    const auto ends_before = [](std::uint64_t a, std::uint64_t size, std::uint64_t b) { return a + size <= b; };
    CHECK((ends_before(again.opened.window_offset, 16 * kMiB, grown.window_offset) ||
           ends_before(grown.window_offset, grown.size, again.opened.window_offset)));
    CHECK(zero.grow(2 * kMiB).channel_offset == 24 * kMiB);
    back.close_channel(2);
    CHECK(back.take_closed().released == 1);
  }
  SECTION("a stub that has been reset gets a fresh one, and the old is over") {
    FakeStub back(broker.vm_socket());
    const auto link = back.link_up();
    CHECK(link.kept == 0);
    CHECK(eventually([&] { return !is_process_alive(zero.worker_pid()); }));  // reaped by somebody else
    CHECK(eventually([&] { return !is_process_alive(one.worker_pid()); }));
  }
  SECTION("another window than the VM's is not taken for it") {
    FakeStub back(broker.vm_socket());
    auto other = broker::vm::create_shared_memory(kVmWindow);
    REQUIRE(other);
    back.say_hello(kVmWindow, other->get(), 0b111);
    const auto link = back.take_link();
    CHECK(link.kept == 0);
    struct stat mine {
    }, given{};
    fstat(other->get(), &mine);
    fstat(back.window.get(), &given);
    CHECK(mine.st_ino != given.st_ino);
    CHECK(eventually([&] { return !is_process_alive(zero.worker_pid()); }));  // reaped by somebody else
  }
}

TEST_CASE("a VM that is not configured any more is ended by the next broker") {
  VmBroker broker;
  FakeStub stub(broker.vm_socket());
  stub.link_up();
  StubClient client(stub, 0);
  crash(broker);
  auto command = broker.command();
  for (auto& word : command)
    if (word.ends_with(".toml")) word = "/dev/null";
  Process next(command);
  CHECK(next.says("which the configuration does not have any more"));
  CHECK(eventually([&] { return !is_process_alive(client.worker_pid()); }));
}
