// Arrays: device memory in rows of slices, reached by their elements. A mipmapped array is a list of them.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "common/api/cuda_types.hpp"
#include "worker/sim/exec/textures.hpp"

namespace vgpu::sim::device {

struct Array {
  std::uint64_t handle = 0;
  std::uint64_t context_id = 0;
  cuda::CUDA_ARRAY3D_DESCRIPTOR shape{};
  exec::Texels texels;
  bool is_level = false;  ///< of a mipmapped array, which owns it
};

struct MipmappedArray {
  std::uint64_t handle = 0;
  std::uint64_t context_id = 0;
  std::vector<std::shared_ptr<Array>> levels;
};

}  // namespace vgpu::sim::device
