// The look at what a connection says first. Nothing is taken from it: whoever owns the protocol reads it whole.
#pragma once

#include <chrono>
#include <functional>
#include <optional>

#include "broker/doors/first_words.hpp"
#include "broker/event/event.hpp"
#include "common/base/unique_fd.hpp"

namespace vgpu::broker::doors {

class Look {
 public:
  enum class End {
    recognised,
    closed,   // by the other side, or broken
    too_late  // with too few bytes to tell
  };
  struct Seen {
    End end;
    base::UniqueFd connection;
    FirstWords words;                // recognised
    std::string beginning;           // of what came, for the log
    std::chrono::milliseconds left;  // of the time for the hello
  };
  struct Events {
    /// Once. It may destroy the look only by event::defer.
    std::function<void(Seen)> seen;
    /// Nothing has come in time. Empty: that ends the look. Else it goes on without a deadline until the first byte
    /// comes: stubs of revision 2 connect when their VM starts, and speak when its guest does.
    std::function<void()> silent;
  };

  Look(event::Loop& loop, base::UniqueFd connection, std::chrono::milliseconds timeout, Events events);

 private:
  using Clock = std::chrono::steady_clock;

  void look();
  void look_again_later();
  void start_deadline();
  void on_deadline();
  void finish(End end);

  event::Loop& loop_;
  std::chrono::milliseconds timeout_;
  Events events_;
  std::array<std::byte, kFirstBytes> bytes_{};
  std::size_t count_ = 0;
  FirstWords words_;
  bool is_waiting_ = false;  // silent, without a deadline
  Clock::time_point limit_;
  event::Timer deadline_;
  event::Timer again_;
  base::UniqueFd resting_;  // the connection between two looks at an incomplete beginning
  std::optional<event::Readable> readable_;
};

}  // namespace vgpu::broker::doors
