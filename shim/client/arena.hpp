// The address range that device addresses come from: kept free in the guest, so that no pointer of the program equals
// one.
#pragma once

#include <cstdint>

namespace vgpu::shim {

struct Arena {
  uint64_t base = 0;
  uint64_t size = 0;
  bool contains(uint64_t address) const { return address - base < size; }
};

/// False for addresses that a sanitizer in this program keeps for itself: it would end the program.
bool is_mappable(uint64_t address);
/// Reserves exactly this range for the life of the process; false if something lies there.
bool reserve_arena(uint64_t base, uint64_t size);
/// Gives back a range whose window could not be mapped.
void release_arena(const Arena& arena);
/// Reserves at the first free candidate of our own list; size 0 if there is none.
Arena reserve_any_arena();

}  // namespace vgpu::shim
