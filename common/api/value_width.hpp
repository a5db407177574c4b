// Values in memory that streams write and wait for.
#pragma once

#include <cstddef>

#include "common/api/cuda_types.hpp"

namespace vgpu::api {

/// Bytes of the word that an operation of a batch is about; 0 if there is none.
inline std::size_t width_of(cuda::CUstreamBatchMemOpType operation) {
  switch (operation) {
    case cuda::CU_STREAM_MEM_OP_WAIT_VALUE_32:
    case cuda::CU_STREAM_MEM_OP_WRITE_VALUE_32:
      return 4;
    case cuda::CU_STREAM_MEM_OP_WAIT_VALUE_64:
    case cuda::CU_STREAM_MEM_OP_WRITE_VALUE_64:
      return 8;
    default:
      return 0;
  }
}

}  // namespace vgpu::api
