#include "worker/sim/exec/launch.hpp"

#include <sched.h>

#include <algorithm>
#include <cstring>

#include "worker/sim/exec/block.hpp"

namespace vgpu::sim::exec {
namespace {

/// Instructions a warp runs before the next one's turn; also how often cancellation is looked at.
constexpr std::uint32_t slice = 2048;
/// Blocks that make progress side by side when the launch does not ask for all.
constexpr std::uint32_t usual_residents = 4;
/// Slices after which a block that does not end yields the processor between its slices.
constexpr std::uint32_t patient_slices = 64;

/// Deals out the blocks of a grid, beginning anywhere: CUDA promises no order.
class BlockQueue {
 public:
  explicit BlockQueue(const Launch& launch)
      : grid_(launch.grid), total_(std::uint64_t{grid_[0]} * grid_[1] * grid_[2]), first_(launch.seed % total_) {}

  bool empty() const { return given_ == total_; }
  std::uint64_t total() const { return total_; }
  void start_next(Block& block) {
    const std::uint64_t linear = (first_ + given_++) % total_;
    const std::uint64_t rows = linear / grid_[0];
    block.start({static_cast<std::uint32_t>(linear % grid_[0]), static_cast<std::uint32_t>(rows % grid_[1]),
                 static_cast<std::uint32_t>(rows / grid_[1])},
                static_cast<std::uint32_t>(linear));
  }

 private:
  Extent grid_;
  std::uint64_t total_;
  std::uint64_t first_;
  std::uint64_t given_ = 0;
};

struct Resident {
  std::unique_ptr<Block> block;
  std::uint32_t slices = 0;
};

std::uint64_t address_of(const ptx::Constant& constant, const Program& program) {
  switch (constant.kind) {
    case ptx::Constant::Kind::variable:
      return program.variable_addresses[constant.symbol] + constant.value;
    case ptx::Constant::Kind::function:
      return function_window + constant.symbol;
    default:
      return constant.value;
  }
}

}  // namespace

Program bind_program(std::shared_ptr<const ptx::Module> module, std::vector<std::uint64_t> variable_addresses) {
  Program program{std::move(module), std::move(variable_addresses), {}};
  program.constants.reserve(program.module->constants.size());
  for (const ptx::Constant& constant : program.module->constants) {
    LaneValues& values = program.constants.emplace_back();
    std::fill(std::begin(values.lane), std::end(values.lane), address_of(constant, program));
  }
  return program;
}

std::vector<std::uint8_t> initial_contents(const ptx::Variable& variable,
                                           const std::vector<std::uint64_t>& variable_addresses) {
  std::vector<std::uint8_t> bytes = variable.initial;
  for (const ptx::Relocation& relocation : variable.relocations) {
    const bool is_function = relocation.symbol.kind == ptx::SymbolReference::Kind::function;
    const std::uint64_t target =
        is_function ? function_window + relocation.symbol.index : variable_addresses[relocation.symbol.index];
    const std::uint64_t value = target + static_cast<std::uint64_t>(relocation.addend);
    std::memcpy(bytes.data() + relocation.offset, &value, sizeof value);
  }
  return bytes;
}

Fault run(const Launch& launch, const Machine& machine) {
  Running running{launch, machine, launch.program->module->functions[launch.function]};
  BlockQueue queue(launch);
  std::vector<Resident> residents(
      std::min<std::uint64_t>(queue.total(), launch.all_resident ? queue.total() : usual_residents));
  for (Resident& resident : residents) {
    resident.block = std::make_unique<Block>(running);
    queue.start_next(*resident.block);
  }
  while (!residents.empty()) {
    for (std::size_t i = 0; i < residents.size();) {
      if (machine.cancelled.load(std::memory_order_relaxed)) return {};
      Resident& resident = residents[i];
      const WarpState state = resident.block->run(slice);
      if (running.fault.code != FaultCode::none) return running.fault;
      if (state == WarpState::blocked) {
        return {FaultCode::launch_failed, "all threads of a block wait at barriers that cannot complete"};
      }
      if (++resident.slices > patient_slices) ::sched_yield();
      if (state != WarpState::finished) {
        ++i;
        continue;
      }
      resident.slices = 0;
      if (!queue.empty()) {
        queue.start_next(*resident.block);
        ++i;
      } else {
        residents.erase(residents.begin() + static_cast<std::ptrdiff_t>(i));
      }
    }
  }
  return running.fault;
}

}  // namespace vgpu::sim::exec
