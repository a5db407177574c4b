#include "shim/staging/staged_copy.hpp"

#include <cstring>

#include "shim/client/device_memory.hpp"
#include "shim/client/host_steps.hpp"
#include "shim/staging/pinned_memory.hpp"

namespace vgpu::shim {
namespace {

/// What the agent copies, row by row.
struct StagedCopy {
  CUDA_MEMCPY3D given;
  GuestArea to, from;
  void* staging;
};

void run(void* user) {
  const auto& copy = *static_cast<const StagedCopy*>(user);
  const CUDA_MEMCPY3D& shape = copy.given;
  const auto row_at = [](const GuestArea& area, size_t z, size_t y) {
    return reinterpret_cast<uint8_t*>(area.address + (z * area.rows + y) * area.pitch);
  };
  for (size_t z = 0; z < shape.Depth; ++z)
    for (size_t y = 0; y < shape.Height; ++y)
      std::memmove(row_at(copy.to, z, y), row_at(copy.from, z, y), shape.WidthInBytes);
}

StepRole role_of(const GuestArea& to, const GuestArea& from) {
  if (to.address != 0 && from.address != 0) return StepRole::all;
  return from.only_guest ? StepRole::before : StepRole::after;
}

}  // namespace

CUresult plan_staged_copy(const CUDA_MEMCPY3D& copy, const GuestArea& to, const GuestArea& from, StagedCopyPlan& plan) {
  plan.role = role_of(to, from);
  auto* const made = new StagedCopy{copy, to, from, nullptr};
  if (plan.role != StepRole::all) {
    size_t size = 0;
    if (__builtin_mul_overflow(copy.WidthInBytes, copy.Height, &size) ||
        __builtin_mul_overflow(size, copy.Depth, &size) || size == 0) {
      delete made;
      return CUDA_ERROR_INVALID_VALUE;
    }
    if (const CUresult result = allocate_pinned(size, 0, made->staging); result != CUDA_SUCCESS) {
      delete made;
      return result;
    }
    const auto address = reinterpret_cast<uint64_t>(made->staging);
    plan.staging_offset = locate(address).offset;
    (plan.role == StepRole::before ? made->to : made->from) = {address, copy.WidthInBytes, copy.Height, false};
  }
  plan.step = add_host_step({.function = run, .user = made, .repeats = true});
  if (plan.step != 0) return CUDA_SUCCESS;
  if (made->staging != nullptr) (void)free_pinned(made->staging);
  delete made;
  return CUDA_ERROR_OPERATING_SYSTEM;
}

bool find_staged_copy(uint64_t step, CUDA_MEMCPY3D& copy) {
  HostStep found;
  if (!find_host_step(step, found) || found.function != run) return false;
  copy = static_cast<const StagedCopy*>(found.user)->given;
  return true;
}

void drop_staged_copy(uint64_t step) {
  HostStep found;
  if (!find_host_step(step, found) || found.function != run) return;
  drop_host_step(step);
  auto* const copy = static_cast<StagedCopy*>(found.user);
  if (copy->staging != nullptr) (void)free_pinned(copy->staging);
  delete copy;
}

}  // namespace vgpu::shim
