// Functions that device code calls and the driver provides: printf, assertions, the device heap.
#pragma once

#include <array>
#include <cstdint>

#include "worker/sim/exec/warp.hpp"

namespace vgpu::sim::exec {

std::uint64_t run_builtin(Warp& warp, std::uint32_t lane, ptx::Builtin builtin,
                          const std::array<std::uint64_t, 5>& arguments);

}  // namespace vgpu::sim::exec
