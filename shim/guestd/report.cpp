#include "shim/guestd/report.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <iterator>

namespace vgpu::guestd {
namespace {

std::string channel_line(uint32_t number, const ChannelEntry& entry, const std::map<uint32_t, Client>& owners) {
  const auto owner = owners.find(number);
  const bool is_owned = owner != owners.end();
  return fmt::format("channel {} {} pid {} uid {} client {} offset {} exit {} name {}\n", number,
                     channel_word(entry.state), is_owned ? owner->second.process.pid : 0,
                     is_owned ? owner->second.uid : 0, entry.client, entry.offset, entry.exit_word,
                     is_owned ? owner->second.name : "");
}

}  // namespace

std::string make_report(const Device& device, const std::map<uint32_t, Client>& owners, size_t waiting) {
  std::string text = fmt::format(
      "vgpu-guestd {}\npid {}\ndevice {}\nrevision {}\nlink {}\nlink_text {}\ngeneration {}\nbroker_pid {}\nmistakes "
      "{}\n"
      "window_size {}\nchannel_limit {}\nwaiting {}\n",
      VGPU_VERSION, ::getpid(), device.function().address, device.function().revision, link_word(device.link()),
      device.link_text(), device.generation(), device.load(VGPU_REG_BROKER_PID), device.load(VGPU_REG_MISTAKES),
      device.window_size(), device.channels(), waiting);
  for (uint32_t number = 0; number < VGPU_CHANNEL_MAX; ++number) {
    if (device.channel_state(number) != VGPU_CHANNEL_FREE) text += channel_line(number, device.channel(number), owners);
  }
  return text + "end\n";
}

}  // namespace vgpu::guestd
