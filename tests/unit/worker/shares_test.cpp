// What a worker offers and looks for, with a broker that the test plays.
#include "worker/shares.hpp"

#include <fcntl.h>
#include <sys/socket.h>

#include <catch2/catch.hpp>
#include <cstring>

#include "common/control/socket_io.hpp"

using namespace vgpu;
using namespace vgpu::cuda;
using worker::BrokerMail;
using worker::Shares;

namespace {

struct Play {
  Play() {
    int ends[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
    ours = base::UniqueFd(ends[0]);
    theirs = base::UniqueFd(ends[1]);
  }
  template <typename Message>
  Message heard() const {
    const auto frame = control::read_packet(theirs.get());
    REQUIRE(frame);
    REQUIRE(frame->header().type == Message::kType);
    return frame->as<Message>();
  }
  bool heard_nothing() const {
    const auto frame = control::read_packet(theirs.get());
    return !frame && frame.error().code == EAGAIN;
  }
  void answer(const control::ShareToken& token, control::ShareKind kind) const {
    control::ShareAnswer answer;
    answer.token = token;
    answer.kind = kind;
    answer.data[0] = 42;
    REQUIRE(control::send_message(theirs.get(), answer, {}, control::Deadline::after(std::chrono::milliseconds(0))));
  }

  base::UniqueFd ours, theirs;
};

constexpr control::ShareToken kToken{1, 2, 3};

}  // namespace

TEST_CASE("what was offered once keeps its token, and the broker hears of it once") {
  const Play play;
  BrokerMail mail(play.ours.get());
  Shares shares(mail);
  control::ShareToken first{}, again{}, other{};
  const Shares::Data data{7};
  REQUIRE(shares.offer(control::ShareKind::memory, data, -1, first) == CUDA_SUCCESS);
  REQUIRE(shares.offer(control::ShareKind::memory, data, -1, again) == CUDA_SUCCESS);
  REQUIRE(shares.offer(control::ShareKind::event, data, -1, other) == CUDA_SUCCESS);
  CHECK(first == again);
  CHECK(first != other);
  CHECK(play.heard<control::ShareOffer>().token == first);
  CHECK(play.heard<control::ShareOffer>().token == other);
  CHECK(play.heard_nothing());
}

TEST_CASE("the broker is asked once, and its answer is taken when it is there") {
  const Play play;
  BrokerMail mail(play.ours.get());
  Shares shares(mail);
  Shares::Found found;
  REQUIRE(shares.find(kToken, control::ShareKind::memory, found) == CUDA_ERROR_NOT_READY);
  REQUIRE(shares.find(kToken, control::ShareKind::memory, found) == CUDA_ERROR_NOT_READY);
  CHECK(play.heard<control::ShareRequest>().token == kToken);
  CHECK(play.heard_nothing());
  play.answer(kToken, control::ShareKind::memory);
  REQUIRE(shares.find(kToken, control::ShareKind::memory, found) == CUDA_SUCCESS);
  CHECK(found.data[0] == 42);
}

TEST_CASE("memory is no event, and what nobody offers is nothing") {
  const Play play;
  BrokerMail mail(play.ours.get());
  Shares shares(mail);
  Shares::Found found;
  for (const auto kind : {control::ShareKind::memory, control::ShareKind::none}) {
    REQUIRE(shares.find(kToken, control::ShareKind::event, found) == CUDA_ERROR_NOT_READY);
    play.answer(kToken, kind);
    CHECK(shares.find(kToken, control::ShareKind::event, found) == CUDA_ERROR_INVALID_HANDLE);
  }
}

TEST_CASE("answers that nobody asked for are dropped") {
  const Play play;
  BrokerMail mail(play.ours.get());
  Shares shares(mail);
  Shares::Found found;
  play.answer(kToken, control::ShareKind::memory);
  CHECK(shares.find(kToken, control::ShareKind::memory, found) == CUDA_ERROR_NOT_READY);
}

TEST_CASE("a broker that is gone is an error, not a wait") {
  Play play;
  BrokerMail mail(play.ours.get());
  Shares shares(mail);
  Shares::Found found;
  play.theirs.reset();
  control::ShareToken token{};
  CHECK(shares.find(kToken, control::ShareKind::memory, found) == CUDA_ERROR_OPERATING_SYSTEM);
  CHECK(shares.offer(control::ShareKind::memory, {}, -1, token) == CUDA_ERROR_OPERATING_SYSTEM);
}

TEST_CASE("a client shares so many things, and so many a second") {
  const Play play;
  BrokerMail mail(play.ours.get());
  Shares shares(mail);
  control::ShareToken token{};
  CUresult result = CUDA_SUCCESS;
  unsigned made = 0;
  while (result == CUDA_SUCCESS && made <= control::kMostSharesPerSecond) {
    Shares::Data data{};
    std::memcpy(data.data(), &made, sizeof made);
    result = shares.offer(control::ShareKind::memory, data, -1, token);
    if (result == CUDA_SUCCESS) (void)play.heard<control::ShareOffer>();
    ++made;
  }
  CHECK((result == CUDA_ERROR_NOT_READY || made > control::kMostSharesPerSecond));
}

TEST_CASE("an address is open until it has been closed as often as it was opened") {
  const Play play;
  BrokerMail mail(play.ours.get());
  Shares shares(mail);
  shares.note_opened(0x1000);
  shares.note_opened(0x1000);
  CHECK_FALSE(shares.note_closed(0x1000));
  CHECK(shares.note_closed(0x1000));
}
