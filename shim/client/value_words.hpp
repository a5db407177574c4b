// Words of memory that streams and graphs wait for or write.
#pragma once

#include "shim/client/device_memory.hpp"

namespace vgpu::shim {

/// Replaces the address of pinned memory by its offset in the window.
inline CUresult find_word(uint64_t& address, size_t width, bool& in_window) {
  if (address == 0 || address % width != 0 || !is_program_memory(address, width)) return CUDA_ERROR_INVALID_VALUE;
  const Where where = locate(address);
  in_window = where.place == Place::pinned;
  if (in_window) address = where.offset;
  return CUDA_SUCCESS;
}

}  // namespace vgpu::shim
