// Extents: pieces of the window's heap that the driver of the host knows as pinned memory.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>

#include "common/api/cuda_types.hpp"

namespace vgpu::shim {

using namespace vgpu::cuda;

struct Context;

/// Lives until the process ends, or until close_extent.
struct Extent {
  uint64_t offset = 0;
  uint64_t size = 0;                       // of both, multiples of 2 MiB
  std::mutex mutex;                        // held while it is registered and unregistered, which may wait for the GPU
  std::atomic<bool> open{false};           // registered with the driver now; written with the mutex held
  std::atomic<Context*> context{nullptr};  // in which it was registered; the registration ends with it
};

/// Whether it is registered in a context that cannot end while a thread works in `owner`: in that one.
inline bool is_open_in(const Extent& extent, const Context* owner) {
  return extent.open.load(std::memory_order_acquire) && extent.context.load(std::memory_order_relaxed) == owner;
}

/// Takes heap memory and registers it, in the current context. CUDA_ERROR_OUT_OF_MEMORY, with one log line, when the
/// window is full.
CUresult open_extent(uint64_t size, Extent*& extent);
/// Registers it again if its context has ended since.
CUresult reopen_extent(Extent& extent);
/// Unregisters it, which waits for earlier work, and gives the memory back. The object is gone afterwards, whatever the
/// result.
CUresult close_extent(Extent* extent);

}  // namespace vgpu::shim
