// A VM's link: windows and channels as its stub sees them.
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "common/control/exit_class.hpp"
#include "tests/process/broker/fake_stub.hpp"

using namespace vgpu;
using namespace vgpu::test;
using Catch::Contains;
using control::HelloStatus;
using control::MessageType;

namespace {

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;

HelloStatus status_of(const vgpu_link& link) { return static_cast<HelloStatus>(link.status); }

/// A refused OPEN: its sentence.
std::string refusal(FakeStub& stub, const vgpu_open& message) {
  stub.send(message, MessageType::open);
  auto frame = stub.take(MessageType::opened);
  const auto opened = frame.as<vgpu_opened>();
  CHECK(frame.fds.empty());
  CHECK(opened.channel == message.channel);
  CHECK(opened.status != 0);
  CHECK(opened.status == static_cast<std::uint32_t>(reply_in(opened).status));
  return control::get_text(reply_in(opened).text);
}

bool has_accounts(VmBroker& broker, const std::string& text) {
  broker.process.signal(SIGUSR1);
  return broker.process.says("accounts: " + text);
}

}  // namespace

TEST_CASE("a stub gets its VM's window, which nobody can resize") {
  VmBroker broker;
  FakeStub stub(broker.vm_socket());
  const auto link = stub.link_up();
  CHECK(status_of(link) == HelloStatus::ok);
  CHECK(link.kept == 0);
  CHECK(link.window_size == kVmWindow);
  CHECK(link.channels == 64);
  CHECK(link.broker_pid == static_cast<std::uint32_t>(broker.process.pid()));
  CHECK(std::string(link.vm) == "one");
  struct stat status {};
  REQUIRE(fstat(stub.window.get(), &status) == 0);
  CHECK(status.st_size == static_cast<off_t>(kVmWindow));
  CHECK(ftruncate(stub.window.get(), 4096) != 0);
  CHECK(ftruncate(stub.window.get(), static_cast<off_t>(2 * kVmWindow)) != 0);
  CHECK(fcntl(stub.window.get(), F_ADD_SEALS, F_SEAL_WRITE) != 0);
  CHECK(broker.process.says("VM one: link up"));
}

TEST_CASE("channels lie apart in the window, and each has a worker") {
  VmBroker broker;
  FakeStub stub(broker.vm_socket());
  stub.link_up();
  StubClient first(stub, 0), second(stub, 5);
  CHECK(first.opened.channel == 0);
  CHECK(second.opened.channel == 5);
  CHECK(first.reply.window_size == 16 * kMiB);
  CHECK(first.reply.window_capacity == kVmWindow);
  CHECK(first.reply.window_offset == first.opened.window_offset);
  CHECK(second.opened.window_offset >= first.opened.window_offset + first.reply.window_size);
  CHECK(first.control().magic == VGPU_WINDOW_MAGIC);
  CHECK(first.control().client == first.opened.client);
  CHECK(second.control().client == second.opened.client);
  first.order_and_wait("ready");
  CHECK(broker.process.says("is ready: driver 13000 (fake)"));
  first.order_and_wait("report");
  CHECK_THAT(first.heap(), Contains("--vm one") && Contains("--window-offset 0 --window-size 16777216") &&
                               Contains("descriptors: 0 1 2 3 4 5 6 7 8 \n"));
  CHECK(has_accounts(broker, "clients 2, greetings 0, places 2, workers 2, quarantined 0"));
}

TEST_CASE("a channel whose worker has ended stays the guest's until it is closed, and is scrubbed then") {
  VmBroker broker;
  FakeStub stub(broker.vm_socket());
  stub.link_up();
  StubClient client(stub, 3);
  strcpy(client.heap() + 4096, "secret");
  client.order("exit 66");
  const auto lost = stub.take_closed();
  CHECK(lost.channel == 3);
  CHECK(lost.released == 0);
  CHECK(control::from_word(lost.exit_class).kind == control::ExitClass::gpu_fault);
  CHECK(client.control().peer_status == VGPU_PEER_LOST);
  CHECK(std::string(client.heap() + 4096) == "secret");
  CHECK_THAT(refusal(stub, open_message(3)), Contains("channel 3 cannot be opened"));
  stub.close_channel(3);
  const auto released = stub.take_closed();
  CHECK(released.released == 1);
  CHECK(client.heap()[4096] == 0);
  StubClient next(stub, 3);
  CHECK(next.opened.window_offset == client.opened.window_offset);
  CHECK(next.control().client != client.opened.client);
}

TEST_CASE("closing a channel ends its worker first") {
  VmBroker broker;
  FakeStub stub(broker.vm_socket());
  stub.link_up();
  StubClient client(stub, 0), neighbour(stub, 1);
  stub.close_channel(0);
  const auto closed = stub.take_closed();
  CHECK(closed.released == 1);
  CHECK_FALSE(is_process_alive(client.worker_pid()));
  CHECK(is_process_alive(neighbour.worker_pid()));
  stub.close_channel(0);  // again: the daemon in the guest may have been restarted in between
  CHECK(stub.take_closed().released == 1);
  stub.close_channel(100'000);
  CHECK(stub.take_closed().channel == 100'000);
  CHECK(has_accounts(broker, "clients 1, greetings 0, places 1, workers 1"));
}

TEST_CASE("a stub that closes gives everything back, and the next life has a fresh window") {
  VmBroker broker;
  ino_t first_inode = 0;
  pid_t worker = 0;
  {
    FakeStub stub(broker.vm_socket());
    stub.link_up();
    StubClient client(stub, 0);
    worker = client.worker_pid();
    struct stat status {};
    fstat(stub.window.get(), &status);
    first_inode = status.st_ino;
  }
  FakeStub next(broker.vm_socket());
  const auto link = next.link_up();  // answered when the last life is over
  CHECK(status_of(link) == HelloStatus::ok);
  CHECK_FALSE(is_process_alive(worker));
  struct stat status {};
  fstat(next.window.get(), &status);
  CHECK(status.st_ino != first_inode);
  CHECK(has_accounts(broker, "clients 0, greetings 0, places 0, workers 0, quarantined 0"));
}

TEST_CASE("a VM has one stub at a time") {
  VmBroker broker;
  FakeStub stub(broker.vm_socket());
  stub.link_up();
  FakeStub second(broker.vm_socket());
  second.say_hello();
  CHECK_THAT(std::string(second.take_link().text), Contains("is the stub of VM one already"));
  CHECK(second.is_cut_off());
  StubClient client(stub, 0);
  CHECK(is_process_alive(client.worker_pid()));
}

TEST_CASE("hellos that cannot be served are refused with a sentence") {
  VmBroker broker("window_size_max = \"128MiB\"\n");
  const auto refused = [&](std::uint64_t size) {
    FakeStub stub(broker.vm_socket());
    stub.say_hello(size);
    const auto link = stub.take_link();
    CHECK(status_of(link) == HelloStatus::malformed);
    CHECK(stub.is_cut_off());
    return std::string(link.text);
  };
  CHECK_THAT(refused(96 * kMiB), Contains("power of two"));
  CHECK_THAT(refused(2 * kMiB), Contains("power of two"));
  CHECK_THAT(refused(256 * kMiB), Contains("window_size_max in [vm.one]"));
  CHECK_THAT(refused(std::uint64_t{1} << 63), Contains("window_size_max"));
  FakeStub right(broker.vm_socket());
  CHECK(status_of(right.link_up()) == HelloStatus::ok);
}

TEST_CASE("what a guest says in its hello is checked as on a socket") {
  VmBroker broker("channels = 2\n");
  FakeStub stub(broker.vm_socket());
  CHECK(stub.link_up().channels == 2);
  auto message = open_message(0);
  message.size = 100;
  CHECK_THAT(refusal(stub, message), Contains("is not one"));
  message = open_message(0);
  message.hello[0] ^= 1;
  CHECK_THAT(refusal(stub, message), Contains("is not one"));
  message = open_message(0);
  reinterpret_cast<control::Hello*>(message.hello)->header.version = {9, 0};
  CHECK_THAT(refusal(stub, message), Contains("9.0"));
  message = open_message(0);
  reinterpret_cast<control::Hello*>(message.hello)->environment_size = 5000;
  CHECK_FALSE(refusal(stub, message).empty());
  CHECK_THAT(refusal(stub, open_message(2)), Contains("beyond the 2 of this VM"));
  CHECK_THAT(refusal(stub, open_message(~0u)), Contains("beyond"));
  StubClient first(stub, 0), second(stub, 1);
  CHECK_THAT(refusal(stub, open_message(1)), Contains("in use"));
}

TEST_CASE("a full window refuses the channel, not the VM") {
  VmBroker broker("channel_size = \"32MiB\"\n");
  FakeStub stub(broker.vm_socket());
  stub.link_up();
  StubClient first(stub, 0), second(stub, 1);
  CHECK_THAT(refusal(stub, open_message(2)), Contains("window of VM one is full"));
  stub.close_channel(0);
  CHECK(stub.take_closed().released == 1);
  StubClient third(stub, 2);
  CHECK(third.opened.window_offset == first.opened.window_offset);
}

TEST_CASE("a channel grows and shrinks by pieces, within its VM's window") {
  VmBroker broker;
  FakeStub stub(broker.vm_socket());
  stub.link_up();
  StubClient client(stub, 0), neighbour(stub, 1);
  const auto piece = client.grow(8 * kMiB);
  CHECK(piece.channel_offset == 16 * kMiB);
  CHECK(piece.size == 8 * kMiB);
  CHECK(piece.window_offset == 32 * kMiB);
  CHECK(client.grow(kMiB).size == 0);       // not a multiple of 2 MiB
  CHECK(client.grow(32 * kMiB).size == 0);  // 24 are left
  CHECK(neighbour.grow(24 * kMiB).window_offset == 40 * kMiB);
  CHECK(client.grow(2 * kMiB).size == 0);
  client.order_and_wait("return " + std::to_string(8 * kMiB));
  CHECK(neighbour.grow(8 * kMiB).window_offset == 32 * kMiB);
  neighbour.order("return 12345");  // there is no such piece
  CHECK(stub.take_closed().channel == 1);
}

TEST_CASE("a stub that breaks the protocol is cut off, and its VM with it") {
  VmBroker broker;
  FakeStub stub(broker.vm_socket());
  SECTION("before its hello") { stub.send(open_message(0), MessageType::open); }
  SECTION("with garbage") {
    stub.link_up();
    stub.send_bytes("This is not a message of the link at all", 40);
  }
  SECTION("with a second hello") {
    stub.link_up();
    stub.say_hello();
  }
  SECTION("with descriptors that no message has") {
    stub.link_up();
    const int fds[] = {0, 0};
    stub.send(vgpu_close{}, MessageType::close, fds);
  }
  CHECK(stub.is_cut_off());
  CHECK(broker.process.says("the link to its stub"));
  FakeStub next(broker.vm_socket());
  CHECK(status_of(next.link_up()) == HelloStatus::ok);
}

TEST_CASE("a window with holes in it hurts its own VM alone") {
  VmBroker broker;
  FakeStub stub(broker.vm_socket());
  stub.link_up();
  StubClient client(stub, 0);
  CHECK(fallocate(stub.window.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(kVmWindow)) ==
        0);
  kill(client.worker_pid(), SIGKILL);  // makes the broker write into the channel's control page
  CHECK(stub.take_closed().channel == 0);
  CHECK(client.control().peer_status == VGPU_PEER_LOST);
  TestClient direct(broker.socket);
  direct.order_and_wait("report");
}

TEST_CASE("a legacy request whose worker ends is answered with a CUDA error, and the link goes on") {
  VmBroker broker;  // its worker is one for clients only
  FakeStub stub(broker.vm_socket());
  stub.link_up();
  vgpu_legacy_request request{};
  request.request_id = 42;
  request.length = 32;
  stub.send(request, MessageType::legacy_request);
  const auto response = stub.take<vgpu_legacy_response>(MessageType::legacy_response);
  CHECK(response.request_id == 42);
  CHECK(response.error == VGPU_LEGACY_CUDA_ERROR);
  CHECK(StubClient(stub, 0).worker_pid() > 0);
}

TEST_CASE("a broker that is stopped ends its VMs' workers and removes their sockets") {
  VmBroker broker;
  FakeStub stub(broker.vm_socket());
  stub.link_up();
  StubClient client(stub, 0);
  broker.process.signal(SIGTERM);
  CHECK(broker.process.wait() == 0);
  CHECK(stub.is_cut_off());
  CHECK_FALSE(is_process_alive(client.worker_pid()));
  CHECK(access(broker.vm_socket().c_str(), F_OK) != 0);
}
