// Who is at the other end of a connection.
#pragma once

#include <sys/types.h>

#include "common/base/result.hpp"
#include "common/base/unique_fd.hpp"

namespace vgpu::base {

/// Identity comes from the kernel: the credentials at connect, and a pidfd that tells when the process is gone.
struct Peer {
  pid_t pid = 0;  // in our pid namespace; 0 if the peer is not visible in it
  uid_t uid = 0;
  gid_t gid = 0;
  UniqueFd pidfd;
};

Result<Peer> identify_peer(int connection);

}  // namespace vgpu::base
