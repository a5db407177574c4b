// Copies in graph nodes of memory that only the guest reaches: a guest step gathers it into staging or scatters it
// from there each time the graph runs, the copy engine does the rest.
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/api/cuda_types.hpp"

namespace vgpu::shim {

using namespace vgpu::cuda;

/// One side of the copy, as far as the guest is concerned.
struct GuestArea {
  uint64_t address = 0;  ///< 0: device memory
  uint64_t pitch = 0, rows = 0;
  bool only_guest = false;  ///< the GPU cannot reach it
};

/// What the guest's step is to the copy. The numbers travel (common/api/ops.table).
enum class StepRole : uint32_t { before = 1, after = 2, all = 3 };

struct StagedCopyPlan {
  uint64_t step = 0;
  StepRole role = StepRole::all;
  uint64_t staging_offset = 0;  ///< in the window: rows without gaps
};

/// Takes staging memory and makes the guest's step, for a copy of which at least one side is the guest's only. Both
/// live until the process ends or drop_staged_copy(): nobody says when the last graph with them is gone.
CUresult plan_staged_copy(const CUDA_MEMCPY3D& copy, const GuestArea& to, const GuestArea& from, StagedCopyPlan& plan);
/// The copy as the program described it; false if the step is not such a copy's.
bool find_staged_copy(uint64_t step, CUDA_MEMCPY3D& copy);
/// No node came to hold it.
void drop_staged_copy(uint64_t step);

}  // namespace vgpu::shim
