// Structures that forwarded calls hand to the driver as the guest sent them: what a guest must not choose is refused or
// cleared here. A row with an `in` parameter of a new type needs its function.
#pragma once

#include "common/api/cuda_types.hpp"

namespace vgpu::worker::handlers {

/// Memory of this host, which no quota counts, at addresses of this process.
inline bool is_on_host(const cuda::CUmemLocation& location) {
  constexpr unsigned kHost = 2, kHostNuma = 3, kHostNumaCurrent = 4;
  return location.type == kHost || location.type == kHostNuma || location.type == kHostNumaCurrent;
}

inline cuda::CUresult check_in(cuda::CUmemAllocationProp& props) {
  constexpr unsigned kManaged = 2;
  if (is_on_host(props.location) || props.type == kManaged) return cuda::CUDA_ERROR_NOT_SUPPORTED;
  props.allocFlags[1] = 0;  // no other device of the guest reaches the GPU
  props.win32HandleMetaData = nullptr;
  return cuda::CUDA_SUCCESS;
}

inline cuda::CUresult check_in(cuda::CUmemPoolProps& props) {
  constexpr unsigned kManaged = 2;
  if (is_on_host(props.location) || props.allocType == kManaged) return cuda::CUDA_ERROR_NOT_SUPPORTED;
  if ((props.handleTypes & ~unsigned{cuda::CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR}) != 0)
    return cuda::CUDA_ERROR_NOT_SUPPORTED;
  props.win32SecurityAttributes = nullptr;  // a pointer
  return cuda::CUDA_SUCCESS;
}

/// A place that is only asked about.
inline cuda::CUresult check_in(cuda::CUmemLocation& location) {
  return is_on_host(location) ? cuda::CUDA_ERROR_NOT_SUPPORTED : cuda::CUDA_SUCCESS;
}

}  // namespace vgpu::worker::handlers
