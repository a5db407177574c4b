// Who may administer the broker. The kernel says who asks; nothing that is sent counts.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "common/base/result.hpp"

namespace vgpu::broker::admin {

/// The process at the other end, as it was when it connected.
struct Asker {
  pid_t pid = 0;
  uid_t uid = 0;
  std::vector<gid_t> groups;  // the primary one and the others
};

base::Result<Asker> identify_asker(int connection);

struct Authority {
  uid_t own_uid = 0;
  std::optional<gid_t> group;

  /// Root, the broker's own user, and members of the group.
  bool allows(const Asker& asker) const;
};

/// The group's number; an error if there is no such group.
base::Result<std::optional<gid_t>> find_group(const std::string& name);

}  // namespace vgpu::broker::admin
