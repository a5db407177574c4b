// Connections that have not yet said hello: accepted, identified, read, and closed if they take too long.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>

#include "common/control/deadline.hpp"
#include "common/control/frame.hpp"
#include "shim/guestd/client.hpp"
#include "shim/guestd/poll_set.hpp"

namespace vgpu::guestd {

class Arrivals {
 public:
  struct Limits {
    std::chrono::milliseconds hello_time{2000};
    size_t most = 1024;         // connections that wait here or in line, of everybody
    size_t most_of_user = 128;  // of one user: as many as there are channels
  };
  /// What others hold that counts for the limits.
  struct Elsewhere {
    size_t all = 0;
    size_t of_user = 0;
  };

  Arrivals(int listener, Limits limits, std::function<Elsewhere(uid_t)> elsewhere,
           std::function<void(Client, const control::Hello&)> on_hello)
      : listener_(listener), limits_(limits), elsewhere_(std::move(elsewhere)), on_hello_(std::move(on_hello)) {}

  size_t size() const { return visitors_.size(); }
  void watch(PollSet& polls);
  void expire();

 private:
  struct Visitor {
    Client client;
    control::FrameParser parser{control::MessageType::hello};
    control::Deadline deadline;
  };
  void accept_some();
  void admit(base::UniqueFd connection);
  void read(uint64_t number);
  void judge(uint64_t number);

  const int listener_;
  const Limits limits_;
  const std::function<Elsewhere(uid_t)> elsewhere_;
  const std::function<void(Client, const control::Hello&)> on_hello_;
  std::map<uint64_t, Visitor> visitors_;
  uint64_t next_ = 0;
  bool is_short_ = false;  // of descriptors: look at the listener again a little later
};

}  // namespace vgpu::guestd
