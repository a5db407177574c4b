// The heap of the window: memory of the channel in units of 2 MiB, which grows piece by piece where the host says so.
#pragma once

#include <cstdint>

#include "common/base/range_allocator.hpp"

namespace vgpu::shim {

/// Heap memory that nothing registers; base::RangeAllocator::kNone, with one log line, when the window is full.
uint64_t take_heap(uint64_t size);
/// Gives it back, and its pages to the host.
void give_back_heap(uint64_t offset);

/// Address of a place in the heap; null without a channel.
uint8_t* heap_address(uint64_t offset);

}  // namespace vgpu::shim
