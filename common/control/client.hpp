// The client's side of the hello, as the shim uses it.
#pragma once

#include <string>
#include <vector>

#include "common/base/result.hpp"
#include "common/base/unique_fd.hpp"
#include "common/control/deadline.hpp"
#include "common/control/messages.hpp"

namespace vgpu::control {

/// A channel as the broker handed it out. Keep `socket` open: closing it gives the channel back.
struct Connection {
  base::UniqueFd socket;
  base::UniqueFd window;
  base::UniqueFd doorbell;
  base::UniqueFd worker;              // pidfd; absent if the host is too old to send one
  std::uint64_t window_size = 0;      // bytes of the channel that are there now
  std::uint64_t window_offset = 0;    // where it begins behind `window`
  std::uint64_t window_capacity = 0;  // what it may grow to
  std::uint64_t doorbell_offset = 0;  // with kFeatureDevice: the channel's page behind `doorbell`
  Version version;
  std::uint64_t features = 0;
  std::uint64_t client_id = 0;
  std::uint32_t worker_pid = 0;
  std::vector<AddressCandidate> candidates;  // try to map the window at these, in this order
};

/// A hello of this program: its name, and of `environment` (as environ) what the allow-list has.
base::Result<Hello> make_hello(const std::string& label, const char* const* environment);

/// Connects, says hello and takes the channel. The error's text is the broker's when it refused. All descriptors are
/// close-on-exec. `deadline` is for the connection; the answer of a broker that took it may be 15 s in coming. A broker
/// that is just being relaunched is waited for until the deadline: its socket is there, but nobody listens, or the
/// connection ends before an answer.
base::Result<Connection> connect_broker(const std::string& path, const Hello& hello, Deadline deadline);

}  // namespace vgpu::control
