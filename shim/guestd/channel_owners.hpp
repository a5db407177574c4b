// Who has which channel: watched to their ends, and written down for the vgpu-guestd that comes after this one.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "shim/guestd/client.hpp"
#include "shim/guestd/poll_set.hpp"
#include "shim/guestd/state_file.hpp"

namespace vgpu::guestd {

class ChannelOwners {
 public:
  ChannelOwners(std::string state_file, std::string device)
      : state_file_(std::move(state_file)), device_(std::move(device)) {}

  /// Takes over whom an earlier vgpu-guestd served, as far as they live and `is_taken` says that their channel is not
  /// free: a reset may have come between.
  void take_over(const std::function<bool(uint32_t)>& is_taken);
  /// Notes the owner, in the file too: before the client is answered.
  void add(uint32_t channel, Client client);
  void remove(uint32_t channel);
  /// Forgets those whose channel is free by now. Their connections end. How many there were.
  size_t forget_unless(const std::function<bool(uint32_t)>& is_taken);

  const std::map<uint32_t, Client>& all() const { return owners_; }
  size_t count_of(uid_t uid) const;

  /// `on_end` is told the channel of a client that has ended; it is still an owner then.
  void watch(PollSet& polls, const std::function<void(uint32_t)>& on_end);

 private:
  void save();

  const std::string state_file_;
  const std::string device_;
  std::map<uint32_t, Client> owners_;
  bool is_unsaved_told_ = false;
};

}  // namespace vgpu::guestd
