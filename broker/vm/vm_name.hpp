// Names of VMs: in logs, in limits, in the configuration.
#pragma once

#include <sys/types.h>

#include <string>

namespace vgpu::broker::vm {

/// The VM that a directly connected client belongs to: its user. No configured VM may have a name of this form.
inline std::string vm_name(uid_t uid) { return "uid-" + std::to_string(uid); }

}  // namespace vgpu::broker::vm
