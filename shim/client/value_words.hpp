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

/// Bytes of the word that an operation of a batch is about; 0 if there is none.
inline size_t width_of(const CUstreamBatchMemOpParams& operation) {
  switch (operation.operation) {
    case CU_STREAM_MEM_OP_WAIT_VALUE_32:
    case CU_STREAM_MEM_OP_WRITE_VALUE_32:
      return 4;
    case CU_STREAM_MEM_OP_WAIT_VALUE_64:
    case CU_STREAM_MEM_OP_WRITE_VALUE_64:
      return 8;
    default:
      return 0;
  }
}

}  // namespace vgpu::shim
