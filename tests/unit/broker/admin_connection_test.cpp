// A connection to the admin socket: deadlines, one request after another, and answers that are taken slowly.
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <boost/asio/io_context.hpp>
#include <catch2/catch.hpp>

#include "broker/admin/connection.hpp"
#include "broker/admin/request.hpp"

using namespace vgpu;
using namespace vgpu::broker;
using std::chrono::milliseconds;

namespace {

struct Scene {
  explicit Scene(admin::Connection::Times times = {}) {
    int ends[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
    ours = base::UniqueFd(ends[0]);
    connection.emplace(
        loop, base::UniqueFd(ends[1]),
        [this](std::string_view line) {
          asked.emplace_back(line);
          return answer.empty() ? "to " + std::string(line) : answer;
        },
        [this] { is_closed = true; }, times);
  }
  void say(const std::string& text) { REQUIRE(send(ours.get(), text.data(), text.size(), 0) == ssize_t(text.size())); }
  void run() { loop.run_for(milliseconds(30)); }
  void run_until_closed() {
    for (int i = 0; i < 300 && !is_closed; ++i) loop.run_for(milliseconds(10));
  }
  std::string hear() {
    char buffer[65536];
    const auto count = recv(ours.get(), buffer, sizeof buffer, 0);
    return {buffer, count > 0 ? std::size_t(count) : 0};
  }

  event::Loop loop{1};
  base::UniqueFd ours;
  std::vector<std::string> asked;
  std::string answer;
  bool is_closed = false;
  std::optional<admin::Connection> connection;
};

}  // namespace

TEST_CASE("lines are answered one after another, however they are cut") {
  Scene scene;
  scene.say("a\nb");
  scene.run();
  CHECK(scene.hear() == "to a\n");
  scene.say("c\n\n");
  scene.run();
  CHECK(scene.hear() == "to bc\nto \n");
  CHECK(scene.asked == std::vector<std::string>{"a", "bc", ""});
  CHECK_FALSE(scene.is_closed);
}

TEST_CASE("nothing more is read while an answer is not taken") {
  Scene scene;
  scene.answer = std::string(4 << 20, 'x');
  scene.say("a\nb\n");
  scene.run();
  CHECK(scene.asked == std::vector<std::string>{"a"});
  std::size_t taken = 0;
  for (int i = 0; i < 1000 && taken < 2 * (scene.answer.size() + 1); ++i) {
    for (auto text = scene.hear(); !text.empty(); text = scene.hear()) taken += text.size();
    scene.loop.run_for(milliseconds(1));
  }
  CHECK(taken == 2 * (scene.answer.size() + 1));
  CHECK(scene.asked.size() == 2);
}

TEST_CASE("who does not ask, asks half, or does not take the answer is closed in time") {
  Scene scene({milliseconds(50), milliseconds(50)});
  SECTION("silent") {}
  SECTION("half a request") { scene.say("{"); }
  SECTION("deaf") {
    scene.answer = std::string(4 << 20, 'x');
    scene.say("a\n");
  }
  scene.run_until_closed();
  CHECK(scene.is_closed);
}

TEST_CASE("a line that is too long is answered once, and ends the connection") {
  Scene scene;
  scene.say(std::string(admin::kLongestRequest + 1, 'x'));
  scene.run_until_closed();
  CHECK(scene.is_closed);
  REQUIRE(scene.asked.size() == 1);
  CHECK(scene.asked[0].size() == admin::kLongestRequest + 1);  // which the parser refuses
}

TEST_CASE("the other end may stop to speak and still gets its answer") {
  Scene scene;
  scene.say("a\n");
  REQUIRE(shutdown(scene.ours.get(), SHUT_WR) == 0);
  scene.run_until_closed();
  CHECK(scene.hear() == "to a\n");
  CHECK(scene.is_closed);
}

TEST_CASE("a connection may be destroyed at any time") {
  Scene scene;
  scene.say("a\n");
  scene.connection.reset();
  scene.run();
  CHECK(scene.asked.empty());
}
