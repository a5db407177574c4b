// Taking back the workers of a broker that is no more. A worker holds all that a broker needs of its client: the
// window, the grant segment, the broker's end of the control socket and of the client's connection. The next broker
// fetches copies from the worker's own descriptor table (pidfd_getfd), and checks each: a worker that a guest has
// subverted must not be able to hurt the broker with what it put there.
#pragma once

#include <optional>

#include "broker/restart/roster.hpp"
#include "broker/supervisor/spawn.hpp"
#include "broker/vm/window.hpp"
#include "common/base/peer.hpp"
#include "common/shm/segment.hpp"

namespace vgpu::broker::restart {

/// A client as the earlier broker had it.
struct TakenBack {
  Entry entry;
  base::Peer peer;  // without a pidfd if the client has ended meanwhile
  base::UniqueFd connection;
  base::UniqueFd control;
  vm::Window window;
  shm::GrantWriter grant;
  supervisor::SpawnedProcess worker;
};

/// Error ESRCH: the worker has ended. Another error: it lives, but cannot be supervised; the text says why, and what to
/// do about it.
base::Result<TakenBack> take_back(const Entry& entry);

}  // namespace vgpu::broker::restart
