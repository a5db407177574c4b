// One kernel launch: what it runs, with what, and the outcome.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "worker/sim/exec/fault.hpp"
#include "worker/sim/exec/output.hpp"
#include "worker/sim/memory/device_arena.hpp"
#include "worker/sim/memory/host_ranges.hpp"
#include "worker/sim/ptx/module.hpp"

namespace vgpu::sim::exec {

constexpr std::uint32_t warp_size = 32;

/// One value per lane.
struct alignas(64) LaneValues {
  std::uint64_t lane[warp_size];
};

/// A module bound to addresses: what a context makes of it when it loads it. Immutable.
struct Program {
  std::shared_ptr<const ptx::Module> module;
  std::vector<std::uint64_t> variable_addresses;  ///< by variable; offsets for shared ones
  std::vector<LaneValues> constants;              ///< by constant, the same value in every lane
};

/// Resolves the module's constants; `variable_addresses` has an entry for every variable.
Program bind_program(std::shared_ptr<const ptx::Module> module, std::vector<std::uint64_t> variable_addresses);

/// The bytes a variable begins with, addresses filled in.
std::vector<std::uint8_t> initial_contents(const ptx::Variable& variable,
                                           const std::vector<std::uint64_t>& variable_addresses);

using Extent = std::array<std::uint32_t, 3>;

struct Launch {
  std::shared_ptr<const Program> program;
  std::uint32_t function = 0;
  Extent grid{1, 1, 1};
  Extent block{1, 1, 1};
  std::uint32_t dynamic_shared = 0;
  std::vector<std::byte> parameters;  ///< at least Function::parameter_bytes
  bool all_resident = false;          ///< cooperative: every block must make progress
  std::uint64_t seed = 0;             ///< chooses the block with which the grid begins
  std::uint64_t id = 0;
};

/// What a running kernel may reach.
struct Machine {
  const memory::DeviceArena& arena;
  const memory::HostRanges& host;
  Output& output;
  const std::atomic<bool>& cancelled;
  memory::Reach reach{};
};

/// Runs the launch to its end, its fault or its cancellation (then without fault).
Fault run(const Launch& launch, const Machine& machine);

}  // namespace vgpu::sim::exec
