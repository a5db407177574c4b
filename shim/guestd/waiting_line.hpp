// Programs that have said hello and wait for the device, which takes one at a time. Users take turns: whoever has a
// hundred programs waiting holds up nobody else's first one.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>

#include "common/control/deadline.hpp"
#include "shim/guestd/client.hpp"

namespace vgpu::guestd {

struct Waiting {
  Client client;
  control::Hello hello;
  control::Deadline patience;  // for the link to come up
  control::Deadline longest;   // for its turn
};

class WaitingLine {
 public:
  bool is_empty() const { return line_.empty(); }
  size_t size() const { return line_.size(); }
  size_t count_of(uid_t uid) const;

  void add(Waiting waiting) { line_.push_back(std::move(waiting)); }
  /// Whose turn it is: of the user who has waited longest for one, the program that has.
  std::optional<Waiting> take_next();
  /// Back to the front: what was begun for it came to nothing by no fault of its own.
  void put_back(Waiting waiting) { line_.push_front(std::move(waiting)); }

  /// Hands every one of whom `is_over` says so to `on_over`.
  void remove_if(const std::function<bool(const Waiting&)>& is_over, const std::function<void(Waiting)>& on_over);
  const std::deque<Waiting>& all() const { return line_; }

 private:
  std::deque<Waiting> line_;         // in order of arrival
  std::deque<uid_t> lately_served_;  // the last is the latest
};

}  // namespace vgpu::guestd
