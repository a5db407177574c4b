// What the shim lives on when the program has used up its memory: the shim never aborts a program, and cannot throw.
//
// Its operator new (shim/memory/operators.cpp) falls back on a reserve. From then on every call is refused at the door
// with CUDA_ERROR_OUT_OF_MEMORY, before it takes a lock, until there is memory again and the reserve is whole. So one
// call at a time per thread lives on it, and ends in order.
#pragma once

#include <atomic>
#include <cstddef>

namespace vgpu::shim {

namespace detail {
extern constinit std::atomic<bool> memory_is_short;
}

/// Memory from malloc, else from the reserve; null if that is used up too.
void* allocate(size_t size, size_t alignment);
void release(void* memory);

/// Whether a call may begin: one relaxed load while there is memory.
bool refill_reserve();
inline bool has_memory() {
  return !detail::memory_is_short.load(std::memory_order_relaxed) || refill_reserve();
}

}  // namespace vgpu::shim
