// A vgpu-guestd that comes after another.
#include <catch2/catch.hpp>

#include <sys/wait.h>

#include <csignal>
#include <fstream>

#include "guestd_fixture.hpp"
#include "shim/guestd/state_file.hpp"

using namespace vgpu;
using test::FakeDevice;
using test::Guestd;
using test::Program;

namespace {

constexpr uint32_t close_of(uint32_t channel) { return VGPU_COMMAND_CLOSE | channel << VGPU_COMMAND_CHANNEL_SHIFT; }

/// A program in a process of its own; it ends when told to.
struct OtherProgram {
  explicit OtherProgram(Guestd& guestd) {
    process = ::fork();
    if (process == 0) {
      ::signal(SIGTERM, SIG_DFL);
      Program program(guestd.socket());
      program.say_hello("other");
      for (;;) ::pause();
    }
  }
  ~OtherProgram() { end(); }
  void end() {
    if (process > 0) {
      ::kill(process, SIGKILL);
      ::waitpid(process, nullptr, 0);
    }
    process = -1;
  }
  pid_t process;
};

uint32_t open_channels(const FakeDevice& device) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < VGPU_CHANNEL_MAX; ++i)
    count += device.get(VGPU_CHANNEL_TABLE + i * VGPU_CHANNEL_ENTRY) == VGPU_CHANNEL_OPEN ? 1 : 0;
  return count;
}

}  // namespace

TEST_CASE("the next run keeps the channels of those who live, and watches them") {
  FakeDevice device;
  Guestd guestd(device);
  OtherProgram living(guestd);
  REQUIRE(guestd.turn_until([&] { return open_channels(device) == 1; }));
  OtherProgram dying(guestd);
  REQUIRE(guestd.turn_until(
      [&] { return open_channels(device) == 2 && guestd.state().find("\"channel\": 1") != std::string::npos; }));
  dying.end();  // while nobody looks
  device.commands.clear();
  guestd.restart();
  REQUIRE(guestd.turn_until([&] { return !device.commands.empty(); }));
  CHECK(device.commands == std::vector<uint32_t>{close_of(1)});
  living.end();
  REQUIRE(guestd.turn_until([&] { return device.commands.size() == 2; }));
  CHECK(device.commands[1] == close_of(0));
}

TEST_CASE("a channel that nobody is known to own is given back") {
  FakeDevice device;
  device.set_channel(3, VGPU_CHANNEL_OPEN);
  device.set_channel(4, VGPU_CHANNEL_LOST);
  Guestd guestd(device);
  REQUIRE(guestd.turn_until([&] { return device.commands.size() == 2; }));
  CHECK(device.commands == std::vector<uint32_t>{close_of(3), close_of(4)});
}

TEST_CASE("a command that the earlier run left under way is waited for") {
  FakeDevice device;
  device.finish(VGPU_COMMAND_BUSY);
  Guestd guestd(device);
  Program program(guestd.socket());
  program.say_hello();
  for (int i = 0; i < 20; ++i) guestd.turn();
  CHECK(device.commands.empty());
  device.finish_open(6, FakeDevice::good_reply());  // nobody is left to take it
  CHECK(guestd.answer_to(program).status == control::HelloStatus::ok);
  CHECK(device.commands.front() == close_of(6));
}

TEST_CASE("who had a channel that a reset has freed owns nothing") {
  FakeDevice device;
  Guestd guestd(device);
  OtherProgram program(guestd);
  REQUIRE(guestd.turn_until([&] { return open_channels(device) == 1; }));
  device.set(VGPU_REG_GENERATION, 2);
  device.set_channel(0, VGPU_CHANNEL_FREE);
  guestd.restart();
  CHECK_THAT(guestd.state(), !Catch::Contains("pid"));
}

TEST_CASE("the state file is read back as it was written, and nothing else is") {
  const test::TemporaryFolder folder;
  const std::string path = folder / "guestd.json";
  const guestd::SavedState state{"0000:00:05.0",
                                 {{0, {11, 12345678901234}, 1000, "a \"b\" \\c"}, {127, {12, 1}, 0, ""}}};
  REQUIRE(guestd::save_state(path, state));
  const auto loaded = guestd::load_state(path);
  REQUIRE(loaded);
  CHECK(loaded->device == state.device);
  REQUIRE(loaded->owners.size() == 2);
  CHECK(loaded->owners[0].process == state.owners[0].process);
  CHECK(loaded->owners[0].name == state.owners[0].name);
  CHECK(loaded->owners[1].channel == 127);

  std::string text = test::read_text(path);
  std::ofstream(path) << text.substr(0, text.size() - 4);
  CHECK_FALSE(guestd::load_state(path));
  std::ofstream(path) << "{}";
  CHECK_FALSE(guestd::load_state(path));
}
