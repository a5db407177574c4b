#include "broker/doors/look.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

namespace vgpu::broker::doors {
namespace {

using std::chrono::milliseconds;

// What is only looked at stays readable, and a Unix socket knows no low-water mark: between two looks at an incomplete
// beginning passes this time.
constexpr milliseconds kBetweenLooks{20};

bool has_hung_up(int connection) {
  pollfd polled{connection, POLLRDHUP, 0};
  return poll(&polled, 1, 0) > 0;
}

}  // namespace

Look::Look(event::Loop& loop, base::UniqueFd connection, milliseconds timeout, Events events)
    : loop_(loop), timeout_(timeout), events_(std::move(events)), deadline_(loop), again_(loop) {
  start_deadline();
  readable_.emplace(loop_, std::move(connection), [this] { look(); });
}

void Look::start_deadline() {
  limit_ = Clock::now() + timeout_;
  deadline_.start(timeout_, [this] { on_deadline(); });
}

void Look::look() {
  const auto got = recv(readable_->descriptor(), bytes_.data(), bytes_.size(), MSG_PEEK | MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) return finish(End::closed);
  count_ = static_cast<std::size_t>(got);
  words_ = judge_first_words(std::span(bytes_).first(count_));
  if (words_.speaker != FirstWords::Speaker::unclear) return finish(End::recognised);
  if (has_hung_up(readable_->descriptor())) return finish(End::closed);
  if (std::exchange(is_waiting_, false)) start_deadline();
  look_again_later();
}

void Look::look_again_later() {
  resting_ = readable_->release();
  readable_.reset();
  again_.start(kBetweenLooks, [this] { readable_.emplace(loop_, std::move(resting_), [this] { look(); }); });
}

void Look::on_deadline() {
  if (count_ != 0 || !events_.silent) return finish(End::too_late);
  is_waiting_ = true;
  events_.silent();
}

void Look::finish(End end) {
  deadline_.cancel();
  again_.cancel();
  auto connection = readable_ ? readable_->release() : std::move(resting_);
  const auto left = std::chrono::duration_cast<milliseconds>(limit_ - Clock::now());
  events_.seen({end, std::move(connection), words_, show_first_bytes(std::span(bytes_).first(count_)),
                is_waiting_ ? timeout_ : std::max(left, milliseconds(1))});
}

}  // namespace vgpu::broker::doors
