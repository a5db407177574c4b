// Structures that forwarded calls hand to the driver as the guest sent them: what a guest must not choose is refused or
// cleared here. A row with an `in` parameter of a new type needs its function.
#pragma once

#include "common/api/cuda_types.hpp"

namespace vgpu::worker::handlers {

inline cuda::CUresult check_in(cuda::CUmemPoolProps& props) {
  constexpr unsigned kHost = 2, kHostNuma = 3, kHostNumaCurrent = 4;
  const unsigned where = props.location.type;
  // Memory of this host that no quota counts, at addresses of this process.
  if (where == kHost || where == kHostNuma || where == kHostNumaCurrent) return cuda::CUDA_ERROR_NOT_SUPPORTED;
  props.win32SecurityAttributes = nullptr;  // a pointer
  return cuda::CUDA_SUCCESS;
}

}  // namespace vgpu::worker::handlers
