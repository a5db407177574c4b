// SPDX-License-Identifier: Apache-2.0
// In the CUDA driver ABI: linking, values that streams write and wait for, user objects, and what a program asks about
// the driver itself (logs, core dumps, notifications). Part of cuda_types.hpp, which includes it; the rules are the
// same.
#pragma once

#include "common/api/cuda_types.hpp"

namespace vgpu::cuda {

using CUjitInputType = unsigned;
using CUstreamBatchMemOpType = unsigned;
using CUatomicOperation = unsigned;
using CUmem_advise = unsigned;
using CUmem_range_attribute = unsigned;
using CUlogLevel = unsigned;
using CUlogIterator = unsigned;
using CUlogsCallbackHandle = struct CUlogsCallbackEntry_st*;
using CUlogsCallback = void (*)(void* data, CUlogLevel level, char* message, size_t length);
using CUasyncCallbackHandle = struct CUasyncCallbackEntry_st*;
struct CUasyncNotificationInfo;
using CUasyncCallback = void (*)(CUasyncNotificationInfo* info, void* user, CUasyncCallbackHandle callback);

/// One operation of a batch: a wait or a write; of a barrier or a flush the flags stand where `head.flags` is.
union CUstreamBatchMemOpParams {
  CUstreamBatchMemOpType operation;
  struct {
    CUstreamBatchMemOpType operation;
    unsigned flags;
  } head;
  struct {
    CUstreamBatchMemOpType operation;
    CUdeviceptr address;
    cuuint64_t value;  ///< of 32 bits: the lower half
    unsigned flags;
    CUdeviceptr alias;  ///< the driver's own
  } value;
  cuuint64_t pad[6];
};

// Linking.
enum : unsigned {
  CU_JIT_INPUT_CUBIN = 0,
  CU_JIT_INPUT_PTX = 1,
  CU_JIT_INPUT_FATBINARY = 2,
  CU_JIT_INPUT_OBJECT = 3,
  CU_JIT_INPUT_LIBRARY = 4,
  CU_JIT_INPUT_NVVM = 5,
  CU_JIT_NUM_INPUT_TYPES = 6,
};

// Values in streams.
enum : unsigned {
  CU_STREAM_WAIT_VALUE_GEQ = 0,
  CU_STREAM_WAIT_VALUE_EQ = 1,
  CU_STREAM_WAIT_VALUE_AND = 2,
  CU_STREAM_WAIT_VALUE_NOR = 3,
  CU_STREAM_WAIT_VALUE_FLUSH = 1u << 30,
  CU_STREAM_WRITE_VALUE_DEFAULT = 0,
  CU_STREAM_WRITE_VALUE_NO_MEMORY_BARRIER = 1,
  CU_STREAM_MEM_OP_WAIT_VALUE_32 = 1,
  CU_STREAM_MEM_OP_WRITE_VALUE_32 = 2,
  CU_STREAM_MEM_OP_FLUSH_REMOTE_WRITES = 3,
  CU_STREAM_MEM_OP_WAIT_VALUE_64 = 4,
  CU_STREAM_MEM_OP_WRITE_VALUE_64 = 5,
  CU_STREAM_MEM_OP_BARRIER = 6,
  CU_STREAM_MEMORY_BARRIER_TYPE_SYS = 0,
  CU_STREAM_MEMORY_BARRIER_TYPE_GPU = 1,
};

// User objects.
enum : unsigned {
  CU_USER_OBJECT_NO_DESTRUCTOR_SYNC = 1,
  CU_GRAPH_USER_OBJECT_MOVE = 1,
};

// Core dumps.
enum : unsigned {
  CU_COREDUMP_ENABLE_ON_EXCEPTION = 1,
  CU_COREDUMP_TRIGGER_HOST = 2,
  CU_COREDUMP_LIGHTWEIGHT = 3,
  CU_COREDUMP_ENABLE_USER_TRIGGER = 4,
  CU_COREDUMP_FILE = 5,
  CU_COREDUMP_PIPE = 6,
  CU_COREDUMP_GENERATION_FLAGS = 7,
  CU_COREDUMP_SKIP_ABORT = 1u << 4,
  CU_COREDUMP_LIGHTWEIGHT_FLAGS = 0x2f,
};

// Questions about devices.
enum : unsigned {
  CU_EXEC_AFFINITY_TYPE_SM_COUNT = 0,
  CU_EXEC_AFFINITY_TYPE_MAX = 1,
  CU_ATOMIC_OPERATION_INTEGER_ADD = 0,
  CU_ATOMIC_OPERATION_MAX = 13,
};

// Managed memory.
enum : unsigned {
  CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY = 1,
  CU_MEM_ADVISE_SET_READ_MOSTLY = 1,
};

}  // namespace vgpu::cuda
