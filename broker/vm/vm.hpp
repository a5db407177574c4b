// A virtual machine that is reached through a device: the link to its stub, its window, and the channels in
// it (docs/design/007-virtual-machine.md).
//
// Lives of the window: a stub says hello -> up (a fresh window, or the one of before the broker's restart) -> the link
// closes -> ending: every worker is ended and waited for -> nothing is left; the next hello is answered then.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "broker/clients.hpp"
#include "broker/config.hpp"
#include "broker/legacy/service.hpp"
#include "broker/vm/link.hpp"
#include "broker/vm/pieces.hpp"
#include "broker/vm/vm_report.hpp"
#include "common/abi/stub_link.h"

namespace vgpu::broker::vm {

class Vm : private legacy::Asker {
 public:
  Vm(event::Loop& loop, VmSettings settings, Clients& clients, std::chrono::milliseconds hello_timeout);
  ~Vm() override;

  /// What it is given, for the scheduler and those who ask.
  struct Standing {
    std::string pool;
    Priority priority;
  };

  const std::string& name() const { return settings_.name; }
  VmReport report() const;
  const VmSettings& settings() const { return settings_; }
  const Standing& standing() const { return standing_; }
  /// For VMs without a [vm.NAME], whose labels count.
  void set_standing(Standing standing) { standing_ = std::move(standing); }
  bool has_stub() const { return (link_ && link_->is_open()) || legacy_.has_stub(); }
  /// Nothing of it is there, nor waits to end.
  bool is_idle() const { return !has_stub() && channels_.empty() && legacy_.worker_pid() == 0; }
  /// A stub that speaks stub_link.h has connected; nothing has been read of what it says.
  void take_stub(base::UniqueFd connection, base::Peer peer);
  /// The same for a stub of revision 2.
  void take_legacy_stub(base::UniqueFd connection, base::Peer peer);
  const legacy::Service& legacy() const { return legacy_; }
  /// Before the broker's program is executed anew, which would not know of this child.
  void end_legacy() { legacy_.end_worker(); }
  /// A channel of an earlier broker. `window` is a checked descriptor of the VM's memory if its worker lives, else -1.
  /// Nothing: it contradicts what is known of this VM.
  std::optional<ClientEvents> take_back(const restart::Entry& entry, int window);
  /// The broker ends: the stub is let go, nobody is let in. Clients are for the broker to end.
  void stop();

 private:
  enum class Use {
    running,
    lost,     // its worker has ended; the memory is the guest's until it closes the channel
    closing,  // the guest has closed it; its worker is being ended
    dying     // nobody waits for its end: its number may be another channel's already
  };
  struct Channel {
    std::uint32_t index = 0;
    std::vector<Piece> pieces;
    Use use = Use::running;
  };
  using Channels = std::map<std::uint64_t, Channel>;  // by the number of their client

  void on_message(control::Frame& frame);
  void on_closed(const std::string& reason);
  void turn_away(int connection, const base::Peer& peer);
  void refuse(control::HelloStatus status, const std::string& text);

  void on_hello(control::Frame& frame);
  bool recognise(const vgpu_stub_hello& hello, const control::Frame& frame);
  void keep_window(const vgpu_stub_hello& hello);
  void bring_up();
  void answer_hello(vgpu_link answer, std::span<const int> fds);
  std::uint64_t most_channels() const { return std::min<std::uint64_t>(settings_.channels, hello_.channels); }
  void end_life();
  void continue_ending();

  void on_open(const vgpu_open& message);
  base::Result<Client*> open(const vgpu_open& message);
  void refuse_open(const vgpu_open& message, const base::Error& why);
  void on_close(std::uint32_t index);
  void on_legacy_request(const vgpu_legacy_request& message);
  void on_answer(const legacy::Request& request, const legacy::Answer& answer) override;
  ClientEvents make_events(std::uint64_t client);
  void on_client_finished(std::uint64_t id, control::WorkerExit exit);
  control::ExtentGrant grow(std::uint64_t client, std::uint64_t size);
  bool shrink(std::uint64_t client, std::uint64_t size);
  Channels::iterator find(std::uint32_t index);
  void begin_dying(Channels::iterator channel);
  void release(Channels::iterator channel);
  void tell_closed(std::uint32_t index, bool released, std::uint32_t exit_class);
  restart::ChannelPlace place_of(const Channel& channel) const;

  event::Loop& loop_;
  const VmSettings settings_;
  Clients& clients_;
  const std::chrono::milliseconds hello_timeout_;
  Standing standing_;
  legacy::Service legacy_;
  std::unique_ptr<Link> link_;
  std::vector<std::unique_ptr<Link>> closed_links_;  // until the callback that closed them has returned
  event::Timer sweep_;                               // then
  bool up_ = false;                                  // the link has been answered
  bool ending_ = false;                              // the channels are of the last life, and all dying
  vgpu_stub_hello hello_{};                          // of link_, once it came; not yet answered while ending
  std::optional<VmMemory> memory_;
  Channels channels_;
};

}  // namespace vgpu::broker::vm
