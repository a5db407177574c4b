// SPDX-License-Identifier: Apache-2.0
// Several devices, and parts of one, in the CUDA driver ABI: copies between contexts, resources, green contexts. Part
// of cuda_types.hpp, which includes it; the rules are the same.
#pragma once

#include "common/api/cuda_memory_types.hpp"
#include "common/api/cuda_types.hpp"

namespace vgpu::cuda {

using CUdevResourceDesc = struct CUdevResourceDesc_st*;
using CUdevResourceType = unsigned;

struct CUDA_MEMCPY3D_PEER {
  size_t srcXInBytes, srcY, srcZ, srcLOD;
  CUmemorytype srcMemoryType;
  const void* srcHost;
  CUdeviceptr srcDevice;
  CUarray srcArray;
  CUcontext srcContext;
  size_t srcPitch, srcHeight;
  size_t dstXInBytes, dstY, dstZ, dstLOD;
  CUmemorytype dstMemoryType;
  void* dstHost;
  CUdeviceptr dstDevice;
  CUarray dstArray;
  CUcontext dstContext;
  size_t dstPitch, dstHeight;
  size_t WidthInBytes, Height, Depth;
};

struct CUdevSmResource {
  unsigned smCount;
  unsigned minSmPartitionSize;
  unsigned smCoscheduledAlignment;
};

/// The driver's own notes lie in the padding.
struct CUdevResource {
  CUdevResourceType type;
  unsigned char _internal_padding[92];
  union {
    CUdevSmResource sm;
    unsigned char _oversize[48];
  };
};

// Resources and green contexts.
enum : unsigned {
  CU_GREEN_CTX_DEFAULT_STREAM = 1,
  CU_DEV_SM_RESOURCE_SPLIT_IGNORE_SM_COSCHEDULING = 1,
  CU_DEV_SM_RESOURCE_SPLIT_MAX_POTENTIAL_CLUSTER_SIZE = 2,
  CU_DEV_RESOURCE_TYPE_INVALID = 0,
  CU_DEV_RESOURCE_TYPE_SM = 1,
};

}  // namespace vgpu::cuda
