// How a worker comes up: from inherited descriptors to a session, or to an error that the guest's cuInit returns.
#pragma once

#include <memory>

#include "common/base/result.hpp"
#include "common/base/unique_fd.hpp"
#include "worker/options.hpp"
#include "worker/session.hpp"

namespace vgpu::worker {

/// Descriptors as the broker hands them over (docs/design/001-contracts.md).
struct Inherited {
  base::UniqueFd window, doorbell, segment, control, client;
};

/// Takes the descriptors 3 to 7; an error if one of the required ones is missing. 7, the client's pidfd, may be absent.
base::Result<Inherited> take_inherited();

/// Waits for the client to say where it mapped the window, maps it there too, confines and opens the driver. An error
/// with code >= 64 is an exit code; the control page then already tells the guest why.
base::Result<std::unique_ptr<Session>> start_session(const Options& options, Inherited& inherited);

/// Tells the broker that the worker serves.
void report_ready(Session& session, int control);

}  // namespace vgpu::worker
