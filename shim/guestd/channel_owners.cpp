#include "shim/guestd/channel_owners.hpp"

#include <algorithm>
#include <cerrno>

#include "common/abi/device_registers.h"
#include "common/base/log.hpp"

namespace vgpu::guestd {

void ChannelOwners::take_over(const std::function<bool(uint32_t)>& is_taken) {
  auto saved = load_state(state_file_);
  if (!saved) {
    if (saved.error().code != ENOENT) log::warning("{}: channels of an earlier run are given back", saved.error().text);
    return save();
  }
  for (const SavedOwner& owner : saved->owners) {
    auto pidfd = base::open_process(owner.process);
    if (saved->device != device_ || owner.channel >= VGPU_CHANNEL_MAX || !is_taken(owner.channel) || !pidfd) continue;
    Client client;
    client.pidfd = std::move(*pidfd);
    client.process = owner.process;
    client.uid = owner.uid;
    client.name = owner.name;
    owners_.insert_or_assign(owner.channel, std::move(client));
  }
  save();
}

void ChannelOwners::add(uint32_t channel, Client client) {
  owners_.insert_or_assign(channel, std::move(client));
  save();
}

void ChannelOwners::remove(uint32_t channel) {
  if (owners_.erase(channel) != 0) save();
}

size_t ChannelOwners::forget_unless(const std::function<bool(uint32_t)>& is_taken) {
  const size_t forgotten = std::erase_if(owners_, [&](const auto& entry) { return !is_taken(entry.first); });
  if (forgotten != 0) save();
  return forgotten;
}

size_t ChannelOwners::count_of(uid_t uid) const {
  return static_cast<size_t>(
      std::count_if(owners_.begin(), owners_.end(), [uid](const auto& entry) { return entry.second.uid == uid; }));
}

void ChannelOwners::watch(PollSet& polls, const std::function<void(uint32_t)>& on_end) {
  for (const auto& [channel, client] : owners_) {
    const auto look = [this, on_end, which = channel] {
      const auto found = owners_.find(which);
      if (found != owners_.end() && has_ended(found->second)) on_end(which);
    };
    if (client.pidfd) polls.add(client.pidfd.get(), look);
    if (client.connection) polls.add(client.connection.get(), look);
  }
}

void ChannelOwners::save() {
  SavedState state{device_, {}};
  for (const auto& [channel, client] : owners_)
    state.owners.push_back({channel, client.process, client.uid, client.name});
  const auto saved = save_state(state_file_, state);
  // Said once: the disk does not get better by being asked often. We serve on.
  if (!saved && !is_unsaved_told_)
    log::error("{}; a vgpu-guestd that comes after this one will end all clients", saved.error().text);
  is_unsaved_told_ = !saved;
}

}  // namespace vgpu::guestd
