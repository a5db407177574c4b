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

  /// Takes over whom an earlier vgpu-guestd served in this generation, as far as they live.
  void take_over(uint32_t generation);
  /// Notes the owner, in the file too: before the client is answered.
  void add(uint32_t channel, Client client, uint32_t generation);
  void remove(uint32_t channel);
  /// The channels of earlier generations are gone: forgets all owners. Their connections end.
  void forget_all(uint32_t generation);

  const std::map<uint32_t, Client>& all() const { return owners_; }
  size_t count_of(uid_t uid) const;

  /// `on_end` is told the channel of a client that has ended; it is still an owner then.
  void watch(PollSet& polls, const std::function<void(uint32_t)>& on_end);

 private:
  void save();

  const std::string state_file_;
  const std::string device_;
  uint32_t generation_ = 0;
  std::map<uint32_t, Client> owners_;
  bool is_unsaved_told_ = false;
};

}  // namespace vgpu::guestd
