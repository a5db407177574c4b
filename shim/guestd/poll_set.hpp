// What one turn of the daemon's loop waits for: descriptors, and what to do when they are ready.
#pragma once

#include <poll.h>

#include <functional>
#include <vector>

namespace vgpu::guestd {

class PollSet {
 public:
  /// `on_ready` runs when `fd` is readable, hung up or broken. What it names must be looked up anew: an action that
  /// runs before it may have ended it.
  void add(int fd, std::function<void()> on_ready);
  /// Shortens the wait; the shortest counts.
  void wait_at_most(int milliseconds);
  /// Waits, then runs the actions of all that is ready, in the order in which they were added.
  void run();

 private:
  std::vector<pollfd> entries_;
  std::vector<std::function<void()>> actions_;
  int timeout_ms_ = 60'000;
};

}  // namespace vgpu::guestd
