// The transport of a client in a virtual machine: window and doorbell are BARs of the vgpu-stub device.
#pragma once

#include <memory>

#include "common/base/result.hpp"
#include "common/control/client.hpp"
#include "shim/transport/transport.hpp"

namespace vgpu::shim::transport {

/// `connection` has kFeatureDevice: its window is BAR1, its doorbell BAR0.
base::Result<std::unique_ptr<Transport>> make_device(control::Connection connection);

}  // namespace vgpu::shim::transport
