// vgpu-guestd's loop: from a program's hello to a channel of the device, and from its end to the channel's return.
//
//   listener -> Arrivals -> WaitingLine -> CommandDesk (open) -> ChannelOwners -> (its end) -> CommandDesk (close)
#pragma once

#include <set>
#include <string>

#include "shim/guestd/arrivals.hpp"
#include "shim/guestd/channel_owners.hpp"
#include "shim/guestd/command_desk.hpp"
#include "shim/guestd/device.hpp"
#include "shim/guestd/waiting_line.hpp"

namespace vgpu::guestd {

class Server {
 public:
  struct Settings {
    std::string state_file = "/run/vgpu/guestd.json";
    size_t channels_of_user = 64;                   // at a time, of one user
    std::chrono::milliseconds link_patience{1500};  // a client waits for a link that is down; the shim connects for 2 s
    std::chrono::milliseconds longest_wait{14'000};  // for its turn; the shim waits 15 s for an answer
    std::chrono::milliseconds open_time{10'000};
    Arrivals::Limits limits;
  };
  struct Listeners {
    int clients = -1;
    int status = -1;  // whoever connects is sent a report
  };

  Server(Settings settings, Device& device, Listeners listeners);

  /// Takes over what an earlier run left.
  void start();
  /// Waits for something to happen, and does it. `stop` ends the wait when readable.
  void turn(int stop);

 private:
  void watch(PollSet& polls);
  void look_at_device();
  bool is_taken(uint32_t channel) const { return device_->channel_state(channel) != VGPU_CHANNEL_FREE; }
  void give_back_the_unowned();
  void expire();
  void serve_next();
  void on_hello(Client client, const control::Hello& hello);
  void on_end(uint32_t channel);
  void on_finished(Finished finished);
  void on_opened(Waiting waiting);
  void on_refused(Waiting waiting);
  void hand_out(Waiting waiting, uint32_t channel, control::HelloReply reply);
  void answer_status();

  const Settings settings_;
  Device* const device_;
  const Listeners listeners_;
  Arrivals arrivals_;
  WaitingLine line_;
  CommandDesk desk_;
  ChannelOwners owners_;
  std::set<uint32_t> to_close_;
  uint32_t generation_ = 0;
  uint32_t link_ = VGPU_LINK_DOWN;
  std::string report_;
  control::Deadline report_is_fresh_ = control::Deadline::after(std::chrono::milliseconds(0));
};

}  // namespace vgpu::guestd
