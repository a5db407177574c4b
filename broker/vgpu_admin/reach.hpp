// Whether a user gets to a socket: the folders on the way, then the file.
#pragma once

#include "broker/vgpu_admin/facts.hpp"

namespace vgpu::admin {

/// As root a child process becomes that user and asks the kernel. Else it is computed, which knows nothing of access
/// lists and security modules.
Reach find_reach(const std::string& path, uid_t uid);

/// The same from owners and modes alone. `groups`: all that the user is in.
Reach compute_reach(const std::string& path, uid_t uid, const std::vector<gid_t>& groups);

/// Root, and every name that the user database has for this number.
std::vector<gid_t> groups_of(uid_t uid);

}  // namespace vgpu::admin
