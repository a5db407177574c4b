// Sockets that a service manager has opened for us (systemd's socket activation: $LISTEN_FDS).
#pragma once

#include <vector>

#include "common/base/unique_fd.hpp"

namespace vgpu::base {

/// Those handed to this very process, none if there are none. The variables are gone afterwards: neither a later run of
/// this process nor a child of it takes the numbers for its own.
std::vector<UniqueFd> take_service_sockets();

}  // namespace vgpu::base
