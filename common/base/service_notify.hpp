// Tells the service manager how we are, by its datagram protocol ($NOTIFY_SOCKET).
#pragma once

#include <string_view>

namespace vgpu::base {

/// Sends e.g. "READY=1". Does nothing without a service manager that listens.
void notify_service(std::string_view state);

}  // namespace vgpu::base
