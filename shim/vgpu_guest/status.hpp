// What the device and vgpu-guestd say of themselves.
#pragma once

#include <string>

#include "shim/vgpu_guest/daemon_report.hpp"
#include "shim/vgpu_guest/options.hpp"

namespace vgpu::guest {

/// Prints it, and returns an exit code. Without vgpu-guestd the device itself is asked, which takes root.
int show_status(const Options& options);

std::string status_text(const DaemonReport& report);
std::string status_json(const DaemonReport& report);

}  // namespace vgpu::guest
