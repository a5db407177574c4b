#include "shim/guestd/poll_set.hpp"

#include <algorithm>

namespace vgpu::guestd {

void PollSet::add(int fd, std::function<void()> on_ready) {
  entries_.push_back({fd, POLLIN, 0});
  actions_.push_back(std::move(on_ready));
}

void PollSet::wait_at_most(int milliseconds) { timeout_ms_ = std::min(timeout_ms_, std::max(milliseconds, 0)); }

void PollSet::run() {
  if (::poll(entries_.data(), entries_.size(), timeout_ms_) <= 0) return;
  for (size_t i = 0; i < entries_.size(); ++i)
    if (entries_[i].revents != 0) actions_[i]();
}

}  // namespace vgpu::guestd
