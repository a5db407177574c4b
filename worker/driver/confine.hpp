// Keeps the driver's device addresses inside an arena that the guest keeps free, so that no device address means guest
// memory (decision 16).
#pragma once

#include <cstdint>

#include "common/base/result.hpp"

namespace vgpu::worker {

/// Fills the address space of this process with no-access mappings, except [arena_base, arena_base + arena_size), the
/// range that the driver itself needs at 0x200000000, room for libraries and heaps near what is mapped already, and a
/// stack's growth. Call before cuInit. Measured (docs/design/003-addresses.md): with a 2 TiB arena every device, pool
/// and pinned address then falls into the arena.
base::Result<void> confine_driver(uint64_t arena_base, uint64_t arena_size);

}  // namespace vgpu::worker
