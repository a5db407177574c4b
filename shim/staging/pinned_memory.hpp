// Pinned host memory of the program: cuMemHostAlloc and its relatives.
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/api/cuda_types.hpp"

namespace vgpu::shim {

using namespace vgpu::cuda;

struct Context;
struct Extent;

struct PinnedAllocation {
  uintptr_t base = 0;
  size_t size = 0;
  unsigned flags = 0;
  Context* context = nullptr;
  uint64_t buffer_id = 0;
};

CUresult allocate_pinned(size_t size, unsigned flags, void*& pointer);
/// CUDA_ERROR_INVALID_VALUE if `pointer` is not the beginning of an allocation. Returns when work submitted before is
/// complete.
CUresult free_pinned(void* pointer);
/// The allocation that contains the address.
bool find_pinned(uint64_t address, PinnedAllocation& found);

}  // namespace vgpu::shim
