// Memory on which synchronous operations wait for their end (CU_POINTER_ATTRIBUTE_SYNC_MEMOPS), which they need not do
// on device memory otherwise. Kept by the allocation's number, which no later allocation gets.
#pragma once

#include <cstdint>

namespace vgpu::shim {

void set_sync_memops(uint64_t buffer_id, bool on);
bool has_sync_memops(uint64_t buffer_id);
/// Whether a synchronous operation on this device memory must wait. One relaxed load while no program asked for that.
bool must_synchronize(uint64_t address);

}  // namespace vgpu::shim
