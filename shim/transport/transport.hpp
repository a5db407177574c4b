// How a channel is obtained and how its doorbell is rung. The rest of the shim does not know which transport it runs
// on.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "common/base/result.hpp"
#include "common/base/unique_fd.hpp"
#include "common/control/deadline.hpp"
#include "common/control/messages.hpp"

namespace vgpu::shim::transport {

/// An open way to one worker. It is never closed while the process lives: the host learns of our end by itself.
class Transport {
 public:
  virtual ~Transport() = default;

  /// Memory of the channel; the transport owns the descriptor.
  virtual int window_fd() const = 0;
  /// Where the channel begins behind the descriptor, what is there from the start, and what it may grow to.
  virtual uint64_t window_offset() const = 0;
  virtual uint64_t window_size() const = 0;
  virtual uint64_t window_capacity() const = 0;
  /// Where the host would like the window and the arena to lie, best first.
  virtual const std::vector<control::AddressCandidate>& candidates() const = 0;
  /// Wakes a worker that said it sleeps. Never blocks. `number`: of the record that asks for it (low 32 bits; 0: none
  /// does), which a device shows where it is told to trace.
  virtual void ring_doorbell(uint32_t number) const = 0;
  /// True if the worker process is known to have ended. For those who wait: a system call.
  virtual bool has_lost_worker() const = 0;
  /// True if futexes work on the window's words. Not on a device's memory: there a wait is short sleeps.
  virtual bool has_futex() const = 0;
  /// The host's number of this client, for logs.
  virtual uint64_t client_id() const = 0;
};

/// Finds a transport: VGPU_SOCKET, else vgpu-guestd of a virtual machine, else the broker's usual sockets. The error
/// names all that was tried.
base::Result<std::unique_ptr<Transport>> connect(control::Deadline deadline);

}  // namespace vgpu::shim::transport
