// The desk for legacy requests, with a computer that does as the test says.
#include <boost/asio/io_context.hpp>
#include <catch2/catch.hpp>

#include <map>

#include "broker/legacy/desk.hpp"

using namespace vgpu;
using namespace vgpu::broker::legacy;
using namespace std::chrono_literals;

namespace {

struct FakeComputer : Computer {
  base::Result<void> compute(const vgpu_legacy_request& request) override {
    if (!is_startable) return base::Error{ENOENT, "no such program"};
    runs = true;
    asked.push_back(request);
    return {};
  }
  bool is_running() const override { return runs; }
  void kill() override { ++kills; }
  void rest() override { ++rests; }

  std::vector<vgpu_legacy_request> asked;
  bool is_startable = true;
  bool runs = false;
  int kills = 0, rests = 0;
};

struct FakeAsker : Asker {
  void on_answer(const Request& request, const Answer& answer) override {
    vgpu_legacy_answer head{};
    REQUIRE(answer.payload.size() >= sizeof head);
    std::memcpy(&head, answer.payload.data(), sizeof head);
    CHECK(head.status == answer.error);
    CHECK(head.version == VGPU_LEGACY_VERSION);
    answers.emplace_back(request.id, answer.error);
  }
  std::vector<std::pair<std::uint32_t, std::uint32_t>> answers;  // request, error
};

DeskSettings quick() {
  DeskSettings settings;
  settings.vm = "one";
  settings.timeout = 20ms;
  settings.rest_after = 30ms;
  settings.restart_delay = 10ms;
  settings.longest_queue = 3;
  return settings;
}

struct Stage {
  explicit Stage(DeskSettings settings = quick())
      : desk(loop, std::move(settings), computer,
             {[this] { return is_quarantined; },
              [] {
                return Standing{"A", 1};
              }},
             limiter) {}

  void ask(std::uint32_t id, FakeAsker& who, char pool = 'A') {
    desk.take({1, id, pool, 0, 3, {1, 2, static_cast<std::uint8_t>(id)}}, who);
  }
  void ask(std::uint32_t id) { ask(id, asker); }
  /// Of the last one that was asked.
  void answer(std::uint32_t error = VGPU_LEGACY_OK) {
    control::LegacyResult result;
    result.request_id = computer.asked.back().request_id;
    result.error = error;
    result.length = sizeof(vgpu_legacy_answer);
    vgpu_legacy_answer head{};
    head.version = VGPU_LEGACY_VERSION;
    head.status = error;
    std::memcpy(result.payload.data(), &head, sizeof head);
    desk.on_result(result);
  }
  void end() {
    computer.runs = false;
    desk.on_end("as the test says");
  }
  /// Until it holds; fails after ten seconds.
  template <typename Condition>
  void run_until(Condition condition) {
    loop.restart();
    for (const auto end = std::chrono::steady_clock::now() + 10s; !condition();) {
      REQUIRE(std::chrono::steady_clock::now() < end);
      loop.run_one_for(1ms);
    }
  }
  std::uint64_t count(std::uint32_t error) const { return desk.counters().by_error[error]; }

  boost::asio::io_context loop;
  FakeComputer computer;
  FakeAsker asker;
  bool is_quarantined = false;
  broker::LogLimiter limiter{0, 0};  // no lines
  Desk desk;
};

using Answers = decltype(FakeAsker::answers);

}  // namespace

TEST_CASE("legacy requests are computed one at a time, in order, as they came") {
  Stage stage;
  for (std::uint32_t id = 10; id < 13; ++id) stage.ask(id);
  REQUIRE(stage.computer.asked.size() == 1);
  CHECK(stage.computer.asked[0].length == 3);
  CHECK(stage.computer.asked[0].payload[2] == 10);
  for (int i = 0; i < 3; ++i) stage.answer();
  CHECK(stage.asker.answers == Answers{{10, 0}, {11, 0}, {12, 0}});
  CHECK(stage.desk.counters().completed() == 3);
  CHECK(stage.desk.waiting() == 0);
}

TEST_CASE("a result that nobody waits for is nobody's") {
  Stage stage;
  stage.ask(1);
  stage.answer();
  stage.answer();
  stage.ask(2);
  control::LegacyResult old;
  old.request_id = stage.computer.asked.front().request_id;
  stage.desk.on_result(old);
  CHECK(stage.asker.answers == Answers{{1, 0}});
}

TEST_CASE("a legacy request that is not answered in time ends with a timeout, and what computes it is ended") {
  Stage stage;
  stage.ask(1);
  stage.run_until([&] { return !stage.asker.answers.empty(); });
  CHECK(stage.asker.answers == Answers{{1, VGPU_LEGACY_TIMEOUT}});
  CHECK(stage.computer.kills == 1);
  stage.ask(2);
  CHECK(stage.computer.asked.size() == 1);  // not before the end is seen
  stage.end();
  CHECK(stage.computer.asked.size() == 2);
  stage.answer();
  CHECK(stage.asker.answers.back() == std::pair(2u, 0u));
}

TEST_CASE("who computes and does not die keeps others waiting no longer than their time") {
  Stage stage;
  stage.ask(1);
  stage.ask(2);
  stage.run_until([&] { return stage.asker.answers.size() == 2; });
  stage.ask(3);
  stage.run_until([&] { return stage.asker.answers.size() == 3; });
  CHECK(stage.count(VGPU_LEGACY_TIMEOUT) == 3);
  CHECK(stage.computer.kills == 1);
}

TEST_CASE("the end of who computes answers the request in flight; the next begins, but not at once") {
  auto settings = quick();
  settings.timeout = 5s;
  Stage stage(settings);
  stage.ask(1);
  stage.ask(2);
  stage.end();
  CHECK(stage.asker.answers == Answers{{1, VGPU_LEGACY_CUDA_ERROR}});
  CHECK(stage.computer.asked.size() == 1);
  stage.run_until([&] { return stage.computer.asked.size() == 2; });
  stage.answer();
  CHECK(stage.asker.answers.back() == std::pair(2u, 0u));
}

TEST_CASE("after a CUDA error nothing is sent to the process that had it") {
  auto settings = quick();
  settings.timeout = 5s;
  Stage stage(settings);
  stage.ask(1);
  stage.ask(2);
  stage.answer(VGPU_LEGACY_CUDA_ERROR);
  CHECK(stage.computer.rests == 1);
  CHECK(stage.computer.asked.size() == 1);
  stage.end();
  stage.run_until([&] { return stage.computer.asked.size() == 2; });
  stage.answer();
  CHECK(stage.asker.answers == Answers{{1, VGPU_LEGACY_CUDA_ERROR}, {2, 0}});
}

TEST_CASE("each refusal of a legacy request has its cause") {
  Stage stage;
  SECTION("no such pool") {
    stage.ask(1, stage.asker, 'C');
    CHECK(stage.asker.answers == Answers{{1, VGPU_LEGACY_INVALID_POOL}});
  }
  SECTION("too large") {
    stage.desk.take({1, 1, 'A', 0, 1025, {}}, stage.asker);
    CHECK(stage.asker.answers == Answers{{1, VGPU_LEGACY_REQUEST_TOO_LARGE}});
  }
  SECTION("too many wait") {
    for (std::uint32_t id = 1; id <= 5; ++id) stage.ask(id);  // one is computed, three wait
    CHECK(stage.asker.answers == Answers{{5, VGPU_LEGACY_QUEUE_FULL}});
  }
  SECTION("quarantine, from the next one on and for those that wait") {
    stage.ask(1);
    stage.ask(2);
    stage.is_quarantined = true;
    stage.ask(3);
    stage.answer();
    CHECK(stage.asker.answers == Answers{{3, VGPU_LEGACY_QUARANTINED}, {1, 0}, {2, VGPU_LEGACY_QUARANTINED}});
    stage.is_quarantined = false;
    stage.ask(4);
    stage.answer();
    CHECK(stage.asker.answers.back() == std::pair(4u, 0u));
  }
  SECTION("nobody can be started") {
    stage.computer.is_startable = false;
    stage.ask(1);
    CHECK(stage.asker.answers == Answers{{1, VGPU_LEGACY_MEDIATOR_UNAVAILABLE}});
  }
  SECTION("the desk is closed") {
    stage.ask(1);
    stage.desk.close();
    stage.ask(2);
    CHECK(stage.asker.answers == Answers{{1, VGPU_LEGACY_MEDIATOR_UNAVAILABLE}, {2, VGPU_LEGACY_MEDIATOR_UNAVAILABLE}});
  }
  SECTION("an answer that is none") {
    stage.ask(1);
    control::LegacyResult result;
    result.request_id = stage.computer.asked.back().request_id;
    result.length = 2000;
    stage.desk.on_result(result);
    CHECK(stage.asker.answers == Answers{{1, VGPU_LEGACY_CUDA_ERROR}});
  }
}

TEST_CASE("more legacy requests than the rate are refused, and counted") {
  auto settings = quick();
  settings.rate = 1;
  Stage stage(settings);
  for (std::uint32_t id = 0; id < 25; ++id) {
    stage.ask(id);
    if (stage.count(VGPU_LEGACY_RATE_LIMITED) == 0) stage.answer();
  }
  CHECK(stage.desk.counters().completed() == 10);
  CHECK(stage.count(VGPU_LEGACY_RATE_LIMITED) == 15);
}

TEST_CASE("who has gone is not answered, and what it asked for not computed") {
  Stage stage;
  FakeAsker other;
  stage.ask(1);
  stage.ask(2);
  stage.ask(3, other);
  stage.desk.forget(stage.asker);
  CHECK(stage.desk.waiting() == 2);
  stage.answer();
  stage.answer();
  CHECK(stage.asker.answers.empty());
  CHECK(other.answers == Answers{{3, 0}});
}

TEST_CASE("without legacy requests the computer is let go, and taken again by the next one") {
  Stage stage;
  stage.ask(1);
  stage.answer();
  CHECK(stage.computer.rests == 0);
  stage.run_until([&] { return stage.computer.rests == 1; });
  stage.ask(2);
  CHECK(stage.computer.asked.size() == 1);
  stage.end();
  CHECK(stage.computer.asked.size() == 2);
}
