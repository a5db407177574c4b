// The transport of a client and a broker that share a kernel.
#pragma once

#include <memory>

#include "common/control/client.hpp"
#include "shim/transport/transport.hpp"

namespace vgpu::shim::transport {

std::unique_ptr<Transport> make_direct(control::Connection connection);

}  // namespace vgpu::shim::transport
