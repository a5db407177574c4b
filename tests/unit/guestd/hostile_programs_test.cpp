// Programs that break the rules, or want everything: they get nothing, and cost others nothing.
#include <catch2/catch.hpp>

#include <sys/socket.h>

#include <vector>

#include "guestd_fixture.hpp"

using namespace vgpu;
using control::HelloStatus;
using test::FakeDevice;
using test::Guestd;
using test::Program;

namespace {

guestd::Waiting waiting_of(uid_t uid, const std::string& name) {
  guestd::Waiting waiting{
      {}, {}, control::Deadline::after(std::chrono::seconds(60)), control::Deadline::after(std::chrono::seconds(60))};
  waiting.client.uid = uid;
  waiting.client.name = name;
  return waiting;
}

}  // namespace

TEST_CASE("half a hello is closed after its time, and others are served meanwhile") {
  FakeDevice device;
  Guestd guestd(device);
  Program slow(guestd.socket());
  slow.say_half();
  Program quick(guestd.socket());
  quick.say_hello();
  CHECK(guestd.answer_to(quick).status == HelloStatus::ok);
  CHECK(guestd.answer_to(slow).status == HelloStatus::malformed);
  CHECK(guestd.turn_until([&] { return slow.is_closed(); }));
}

TEST_CASE("whoever speaks after the hello loses the channel") {
  FakeDevice device;
  Guestd guestd(device);
  Program program(guestd.socket());
  program.say_hello();
  guestd.answer_to(program);
  program.say_half();
  CHECK(guestd.turn_until([&] { return device.commands.size() == 2; }));
  CHECK(device.commands[1] == VGPU_COMMAND_CLOSE);
}

TEST_CASE("one user cannot have all connections") {
  FakeDevice device;
  auto settings = Guestd::quick();
  settings.limits.most_of_user = 3;
  settings.limits.hello_time = std::chrono::seconds(60);
  Guestd guestd(device, settings);
  std::vector<Program> idle;
  for (int i = 0; i < 3; ++i) idle.emplace_back(guestd.socket());
  Program more(guestd.socket());
  const auto reply = guestd.answer_to(more);
  CHECK(reply.status == HelloStatus::limit);
  idle.clear();
  guestd.turn();
  Program again(guestd.socket());
  again.say_hello();
  CHECK(guestd.answer_to(again).status == HelloStatus::ok);
}

TEST_CASE("one user cannot have all channels") {
  FakeDevice device;
  auto settings = Guestd::quick();
  settings.channels_of_user = 1;
  Guestd guestd(device, settings);
  Program first(guestd.socket());
  first.say_hello();
  REQUIRE(guestd.answer_to(first).status == HelloStatus::ok);
  Program second(guestd.socket());
  second.say_hello();
  CHECK(guestd.answer_to(second).status == HelloStatus::limit);
}

TEST_CASE("users take turns, and of one user the first comes first") {
  guestd::WaitingLine line;
  for (const char* name : {"a1", "a2", "a3"}) line.add(waiting_of(1, name));
  line.add(waiting_of(2, "b1"));
  std::string order;
  while (auto next = line.take_next()) order += next->client.name + " ";
  CHECK(order == "a1 b1 a2 a3 ");
}
