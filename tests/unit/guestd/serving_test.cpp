// From a hello to a channel, and back.
#include <catch2/catch.hpp>

#include <sys/stat.h>
#include <sys/wait.h>

#include <csignal>

#include "guestd_fixture.hpp"

using namespace vgpu;
using control::HelloStatus;
using test::FakeDevice;
using test::Guestd;
using test::Program;

namespace {

constexpr uint32_t kOpen = VGPU_COMMAND_OPEN;
constexpr uint32_t close_of(uint32_t channel) { return VGPU_COMMAND_CLOSE | channel << VGPU_COMMAND_CHANNEL_SHIFT; }

ino_t inode_of(int fd) {
  struct stat status {};
  ::fstat(fd, &status);
  return status.st_ino;
}

bool has_been_given(const FakeDevice& device, uint32_t command) {
  return std::count(device.commands.begin(), device.commands.end(), command) != 0;
}

}  // namespace

TEST_CASE("a program gets its channel: the BARs, and the places in them") {
  FakeDevice device;
  device.set_channel(0, VGPU_CHANNEL_CLOSING);  // taken
  Guestd guestd(device);
  Program program(guestd.socket());
  program.say_hello("python3");
  const auto reply = guestd.answer_to(program);
  REQUIRE(reply.status == HelloStatus::ok);
  CHECK(reply.features == control::kFeatureDevice);
  CHECK(reply.doorbell_offset == VGPU_CHANNEL_PAGES + VGPU_CHANNEL_PAGE_SIZE);
  CHECK(reply.client_id == 77);
  REQUIRE(program.descriptors().size() == 2);
  CHECK(inode_of(program.descriptors()[0].get()) == inode_of(device.bar1()));
  CHECK(inode_of(program.descriptors()[1].get()) == inode_of(device.bar0()));
}

TEST_CASE("the host gets the hello, without what cannot work between machines") {
  FakeDevice device;
  Guestd guestd(device);
  Program program(guestd.socket());
  program.say_hello("python3", control::kFeatureFutexWake | control::kFeatureWorkerPidfd | control::kFeatureExtents);
  guestd.answer_to(program);
  const auto hello = device.hello();
  CHECK(hello.features == control::kFeatureExtents);
  CHECK(control::get_text(hello.label) == "python3");
  CHECK(device.get(VGPU_REG_ARGUMENT) == sizeof hello);
}

TEST_CASE("the owner is written down before it is answered") {
  FakeDevice device;
  Guestd guestd(device);
  Program program(guestd.socket());
  program.say_hello("a\"b");
  guestd.answer_to(program);
  CHECK_THAT(guestd.state(), Catch::Contains("\"pid\": " + std::to_string(::getpid())));
  CHECK_THAT(guestd.state(), Catch::Contains(R"("name": "a\"b")"));
}

TEST_CASE("a program that hangs up gives its channel back") {
  FakeDevice device;
  Guestd guestd(device);
  Program first(guestd.socket());
  Program second(guestd.socket());
  first.say_hello();
  guestd.answer_to(first);
  second.say_hello();
  guestd.answer_to(second);
  second.hang_up();
  CHECK(guestd.turn_until([&] { return has_been_given(device, close_of(1)); }));
  CHECK_FALSE(has_been_given(device, close_of(0)));
}

TEST_CASE("a program that dies gives its channel back, though a child of it holds the connection") {
  FakeDevice device;
  Guestd guestd(device);
  // The one that says hello ends; the one that it leaves holds the connection until we let go.
  int hold[2];
  REQUIRE(::pipe(hold) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    Program program(guestd.socket());
    program.say_hello();
    if (::fork() == 0) {
      ::close(hold[1]);
      char byte;
      (void)!::read(hold[0], &byte, 1);
    } else {
      while (!program.look()) ::usleep(1000);
    }
    ::_exit(0);
  }
  CHECK(guestd.turn_until([&] { return has_been_given(device, close_of(0)); }));
  ::close(hold[1]);
  ::close(hold[0]);
  ::waitpid(child, nullptr, 0);
}

TEST_CASE("what the broker refuses is refused with its words") {
  FakeDevice device;
  device.on_command = [&](uint32_t) {
    auto reply = FakeDevice::good_reply();
    reply.status = HelloStatus::limit;
    control::set_text(reply.text, "this VM has as many clients as it may have");
    device.write_reply(reply);
    device.finish(VGPU_COMMAND_FAILED);
  };
  Guestd guestd(device);
  Program program(guestd.socket());
  program.say_hello();
  const auto reply = guestd.answer_to(program);
  CHECK(reply.status == HelloStatus::limit);
  CHECK(control::get_text(reply.text) == "this VM has as many clients as it may have");
  CHECK(program.descriptors().empty());
}

TEST_CASE("without a link a program waits a little, and is told why there is none") {
  FakeDevice device;
  device.set_link(VGPU_LINK_DOWN, "connect to /tmp/vgpu-mediator.sock: Connection refused");
  Guestd guestd(device);
  Program program(guestd.socket());
  program.say_hello();
  SECTION("it comes in time") {
    for (int i = 0; i < 5; ++i) guestd.turn();
    CHECK_FALSE(program.look());
    device.set_link(VGPU_LINK_UP, "vm-a");
    CHECK(guestd.answer_to(program).status == HelloStatus::ok);
  }
  SECTION("it does not come") {
    const auto reply = guestd.answer_to(program);
    CHECK(reply.status == HelloStatus::internal);
    CHECK_THAT(control::get_text(reply.text), Catch::Contains("Connection refused"));
    CHECK(device.commands.empty());
  }
  SECTION("it is lost while the channel is opened") {
    device.set_link(VGPU_LINK_UP, "vm-a");
    device.on_command = [&](uint32_t) { device.finish(VGPU_COMMAND_LOST); };
    REQUIRE(guestd.turn_until([&] { return device.commands.size() == 1; }));
    device.on_command = nullptr;
    CHECK(guestd.answer_to(program).status == HelloStatus::ok);
  }
}

TEST_CASE("a VM that the broker refuses is told at once") {
  FakeDevice device;
  device.set_link(VGPU_LINK_REFUSED, "another stub serves vm-a");
  auto settings = Guestd::quick();
  settings.link_patience = std::chrono::seconds(60);
  Guestd guestd(device, settings);
  Program program(guestd.socket());
  program.say_hello();
  CHECK_THAT(control::get_text(guestd.answer_to(program).text), Catch::Contains("another stub serves vm-a"));
}

TEST_CASE("a device that does not answer in time costs one refusal, and what it opens late is given back") {
  FakeDevice device;
  device.on_command = [](uint32_t) {};
  Guestd guestd(device);
  Program program(guestd.socket());
  program.say_hello();
  CHECK_THAT(control::get_text(guestd.answer_to(program).text), Catch::Contains("did not answer in time"));
  device.on_command = nullptr;
  device.finish_open(5, FakeDevice::good_reply());
  CHECK(guestd.turn_until([&] { return has_been_given(device, close_of(5)); }));
}

TEST_CASE("a program that ends while its channel is opened leaves none behind") {
  FakeDevice device;
  device.on_command = [](uint32_t) {};
  auto settings = Guestd::quick();
  settings.open_time = std::chrono::seconds(60);
  Guestd guestd(device, settings);
  {
    Program program(guestd.socket());
    program.say_hello();
    REQUIRE(guestd.turn_until([&] { return device.commands.size() == 1; }));
  }
  guestd.turn();
  device.on_command = nullptr;
  device.finish_open(2, FakeDevice::good_reply());
  CHECK(guestd.turn_until([&] { return has_been_given(device, close_of(2)); }));
}

TEST_CASE("an answer that points outside the window is not passed on") {
  FakeDevice device(64u << 20);
  device.on_command = [&](uint32_t command) {
    if (command == kOpen) return device.finish_open(0, FakeDevice::good_reply(60u << 20));
    device.finish(VGPU_COMMAND_DONE);
  };
  Guestd guestd(device);
  Program program(guestd.socket());
  program.say_hello();
  CHECK(guestd.answer_to(program).status == HelloStatus::internal);
  CHECK(guestd.turn_until([&] { return has_been_given(device, close_of(0)); }));
}

TEST_CASE("a reset frees all channels: nothing is given back that is no longer there") {
  FakeDevice device;
  Guestd guestd(device);
  Program program(guestd.socket());
  program.say_hello();
  guestd.answer_to(program);
  device.set(VGPU_REG_GENERATION, 2);
  device.set_channel(0, VGPU_CHANNEL_FREE);
  REQUIRE(guestd.turn_until([&] { return program.is_closed(); }));
  CHECK(device.commands == std::vector<uint32_t>{kOpen});
  CHECK_THAT(guestd.state(), !Catch::Contains("pid"));
  Program next(guestd.socket());
  next.say_hello();
  CHECK(guestd.answer_to(next).status == HelloStatus::ok);
}

TEST_CASE("a new window without a reset leaves lost channels: they are their programs' until these end") {
  FakeDevice device;
  Guestd guestd(device);
  Program program(guestd.socket());
  program.say_hello();
  guestd.answer_to(program);
  device.set(VGPU_REG_GENERATION, 2);
  device.set_channel(0, VGPU_CHANNEL_LOST);
  guestd.restart();  // as the pid is ours, and we live, the next run keeps it too
  for (int i = 0; i < 20; ++i) guestd.turn();
  CHECK_FALSE(has_been_given(device, close_of(0)));
  CHECK_THAT(guestd.state(), Catch::Contains("\"channel\": 0"));
}

TEST_CASE("a channel whose worker is gone stays until its program ends") {
  FakeDevice device;
  Guestd guestd(device);
  Program program(guestd.socket());
  program.say_hello();
  guestd.answer_to(program);
  device.set_channel(0, VGPU_CHANNEL_LOST);
  for (int i = 0; i < 20; ++i) guestd.turn();
  CHECK_FALSE(has_been_given(device, close_of(0)));
  program.hang_up();
  CHECK(guestd.turn_until([&] { return has_been_given(device, close_of(0)); }));
}

TEST_CASE("a close that the link swallowed is made again") {
  FakeDevice device;
  Guestd guestd(device);
  Program program(guestd.socket());
  program.say_hello();
  guestd.answer_to(program);
  device.on_command = [&](uint32_t) { device.finish(VGPU_COMMAND_LOST); };
  program.hang_up();
  REQUIRE(guestd.turn_until([&] { return device.commands.size() >= 2; }));
  device.on_command = nullptr;
  CHECK(guestd.turn_until(
      [&] { return device.get(VGPU_CHANNEL_TABLE) == VGPU_CHANNEL_FREE && device.commands.back() == close_of(0); }));
}

TEST_CASE("the status names link, window and who has which channel") {
  FakeDevice device;
  Guestd guestd(device);
  Program program(guestd.socket());
  program.say_hello("trainer");
  guestd.answer_to(program);
  const std::string status = guestd.status();
  CHECK_THAT(status, Catch::Contains("device 0000:00:05.0\n") && Catch::Contains("link up\n") &&
                         Catch::Contains("link_text vm-a\n") && Catch::Contains("window_size 67108864\n"));
  CHECK_THAT(status, Catch::Contains("channel 0 open pid " + std::to_string(::getpid())));
  CHECK_THAT(status, Catch::Contains("name trainer\nend\n"));
}
