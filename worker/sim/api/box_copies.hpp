// Copies of boxes between memory and arrays, synchronous and asynchronous.
#pragma once

#include "worker/sim/api/entry.hpp"

namespace vgpu::sim::api {

CUresult copy_box_now(const CUDA_MEMCPY3D& given);
CUresult copy_box_later(const CUDA_MEMCPY3D& given, CUstream stream);

}  // namespace vgpu::sim::api
