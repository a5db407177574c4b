// Memory that guests, workers and the broker share: sealed memfds.
#pragma once

#include <sys/types.h>

#include <cstdint>

#include "common/base/result.hpp"
#include "common/base/unique_fd.hpp"

namespace vgpu::broker::vm {

/// Sparse, all zero, sealed against shrinking, growing and unsealing: nobody's access to it can fault for its size.
base::Result<base::UniqueFd> create_shared_memory(std::uint64_t size);

/// An error unless `descriptor` is memory of this size, sealed as create_shared_memory() does it.
base::Result<void> check_shared_memory(int descriptor, std::uint64_t size);

/// What tells one such memory from every other until the host restarts; 0 if it cannot be had.
ino_t inode_of(int descriptor);

}  // namespace vgpu::broker::vm
