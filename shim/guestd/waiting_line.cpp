#include "shim/guestd/waiting_line.hpp"

#include <algorithm>

namespace vgpu::guestd {
namespace {

constexpr size_t kUsersRemembered = 64;

}  // namespace

size_t WaitingLine::count_of(uid_t uid) const {
  return static_cast<size_t>(
      std::count_if(line_.begin(), line_.end(), [uid](const Waiting& waiting) { return waiting.client.uid == uid; }));
}

std::optional<Waiting> WaitingLine::take_next() {
  if (line_.empty()) return {};
  // Place in lately_served_, plus one; 0: not served lately. The smallest is next, the first to come among equals.
  const auto served = [this](const Waiting& waiting) {
    const auto found = std::find(lately_served_.begin(), lately_served_.end(), waiting.client.uid);
    return found == lately_served_.end() ? 0 : found - lately_served_.begin() + 1;
  };
  const auto next = std::min_element(line_.begin(), line_.end(), [&](const Waiting& one, const Waiting& other) {
    return served(one) < served(other);
  });
  Waiting taken = std::move(*next);
  line_.erase(next);
  std::erase(lately_served_, taken.client.uid);
  lately_served_.push_back(taken.client.uid);
  if (lately_served_.size() > kUsersRemembered) lately_served_.pop_front();
  return taken;
}

void WaitingLine::remove_if(const std::function<bool(const Waiting&)>& is_over,
                            const std::function<void(Waiting)>& on_over) {
  for (auto it = line_.begin(); it != line_.end();) {
    if (!is_over(*it)) {
      ++it;
      continue;
    }
    Waiting over = std::move(*it);
    it = line_.erase(it);
    on_over(std::move(over));
  }
}

}  // namespace vgpu::guestd
