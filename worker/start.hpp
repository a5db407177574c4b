// How a worker comes up: from inherited descriptors to a session, or to an error that the guest's cuInit returns.
#pragma once

#include <memory>

#include "common/base/result.hpp"
#include "common/base/unique_fd.hpp"
#include "common/control/messages.hpp"
#include "worker/options.hpp"
#include "worker/session.hpp"

namespace vgpu::worker {

/// Descriptors as the broker hands them over (docs/design/001-contracts.md).
struct Inherited {
  base::UniqueFd window, doorbell, segment, control, client;
  /// The broker's ends of the control socket and of the client's connection. Not for us: while we hold them they
  /// outlive a broker that dies, and the next one fetches them from here.
  base::UniqueFd brokers_control, brokers_connection;
};

/// Takes the descriptors 3 to 9; an error if one of the required ones is missing. 7, the client's pidfd, and what is
/// kept for the broker may be absent.
base::Result<Inherited> take_inherited();

/// The one descriptor of a legacy worker; an error whose code is an exit code if it is missing.
base::Result<base::UniqueFd> take_legacy_control();

/// Prepares for a broker that dies before us: its standard error may then be a pipe that nobody reads, and the next
/// broker must be allowed to fetch our descriptors.
void outlive_the_broker();

/// Waits for the client to say where it mapped the window, maps it there too, confines and opens the driver. An error
/// with code >= 64 is an exit code; the control page then already tells the guest why.
base::Result<std::unique_ptr<Session>> start_session(const Options& options, Inherited& inherited);

/// What the broker is told once the worker serves.
control::WorkerReady readiness(Session& session);

}  // namespace vgpu::worker
