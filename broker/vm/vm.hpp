// A virtual machine that is reached through a device: its socket, the link to its stub, its window, and the channels in
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
#include "broker/listener/acceptor.hpp"
#include "broker/listener/listen_socket.hpp"
#include "broker/vm/link.hpp"
#include "broker/vm/pieces.hpp"
#include "common/abi/stub_link.h"

namespace vgpu::broker::vm {

class Vm {
 public:
  Vm(event::Loop& loop, VmSettings settings, Clients& clients, std::chrono::milliseconds hello_timeout);
  ~Vm();

  const std::string& name() const { return settings_.name; }
  base::Result<void> listen();
  /// A channel of an earlier broker. `window` is a checked descriptor of the VM's memory if its worker lives, else -1.
  /// Nothing: it contradicts what is known of this VM.
  std::optional<ClientEvents> take_back(const restart::Entry& entry, int window);
  /// The broker ends: the stub is let go, nobody is let in. Clients are for the broker to end.
  void stop();

 private:
  enum class Use { running, lost, closing };
  struct Channel {
    std::vector<Piece> pieces;
    std::uint64_t client = 0;
    Use use = Use::running;
  };
  using Channels = std::map<std::uint32_t, Channel>;

  void on_connection(base::UniqueFd connection);
  void on_message(control::Frame& frame);
  void on_closed(const std::string& reason);
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
  ClientEvents events_of(std::uint32_t index);
  void on_client_finished(std::uint64_t id, control::WorkerExit exit);
  control::ExtentGrant grow(std::uint32_t index, std::uint64_t size);
  bool shrink(std::uint32_t index, std::uint64_t size);
  void release(Channels::iterator channel);
  void tell_closed(std::uint32_t index, bool released, std::uint32_t exit_class);
  restart::ChannelPlace place_of(std::uint32_t index) const;

  event::Loop& loop_;
  const VmSettings settings_;
  Clients& clients_;
  const std::chrono::milliseconds hello_timeout_;
  std::optional<listener::ListenSocket> socket_;
  std::optional<listener::Acceptor> acceptor_;
  std::unique_ptr<Link> link_;
  std::vector<std::unique_ptr<Link>> closed_links_;  // until the callback that closed them has returned
  event::Timer sweep_;                               // then
  bool up_ = false;                                  // the link has been answered
  bool ending_ = false;                              // channels of the last life are being ended
  vgpu_stub_hello hello_{};                          // of link_, once it came; not yet answered while ending
  std::optional<VmMemory> memory_;
  Channels channels_;
};

}  // namespace vgpu::broker::vm
