// What the guest knows of arrays and mipmapped arrays: enough to answer what programs ask of them, and to see whether a
// copy fits.
#pragma once

#include <cstdint>

#include "shim/client/context.hpp"

namespace vgpu::shim::arrays {

struct ArrayInfo {
  CUDA_ARRAY3D_DESCRIPTOR shape{};
  Context* context = nullptr;
  uint64_t owner = 0;  ///< the array it is a plane of, or the mipmapped array it is a level of
};

/// An array or mipmapped array that the worker made in the current context.
void add(uint64_t handle, const CUDA_ARRAY3D_DESCRIPTOR& shape);
bool find(uint64_t handle, ArrayInfo& found);
/// The handle of a plane or level that was asked for before; 0 if it was not.
uint64_t part_of(uint64_t owner, unsigned index);
/// Notes one, and gives back the handle to use for it from now on.
uint64_t add_part(uint64_t owner, unsigned index, uint64_t handle, const CUDA_ARRAY3D_DESCRIPTOR& shape);
/// It is gone, with planes and levels; the handles may come back.
void remove(uint64_t handle);

}  // namespace vgpu::shim::arrays
