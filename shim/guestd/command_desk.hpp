// The device takes one command at a time: this is the one, and for whom.
#pragma once

#include <chrono>
#include <optional>

#include "common/control/deadline.hpp"
#include "shim/guestd/mailbox.hpp"
#include "shim/guestd/poll_set.hpp"
#include "shim/guestd/waiting_line.hpp"

namespace vgpu::guestd {

/// A command that has come to its end.
struct Finished {
  enum class Kind { open, close, unknown };  // unknown: an earlier vgpu-guestd began it
  Kind kind = Kind::unknown;
  uint32_t status = VGPU_COMMAND_IDLE;  // enum vgpu_command_status
  uint32_t channel = 0;                 // of a close
  std::optional<Waiting> client;        // of an open; absent if it has ended, or was told to go meanwhile
};

class CommandDesk {
 public:
  CommandDesk(Device& device, std::chrono::milliseconds open_time)
      : device_(&device), mailbox_(device), open_time_(open_time) {}

  const Mailbox& mailbox() const { return mailbox_; }
  /// An earlier vgpu-guestd may have left a command under way: it comes out of look() as `unknown`.
  void take_over();
  bool is_free() const { return !current_; }
  void begin_open(Waiting waiting);
  void begin_close(uint32_t channel);

  void watch(PollSet& polls);
  /// The command, once it has ended. Lets a client go that has waited too long, or has ended; the command goes on.
  std::optional<Finished> look();

 private:
  void begin(Finished command);
  void let_client_go();

  Device* device_;
  Mailbox mailbox_;
  const std::chrono::milliseconds open_time_;
  std::optional<Finished> current_;
  control::Deadline deadline_ = control::Deadline::after(std::chrono::milliseconds(0));
  unsigned looks_ = 0;
};

}  // namespace vgpu::guestd
