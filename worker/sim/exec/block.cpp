#include "worker/sim/exec/block.hpp"

namespace vgpu::sim::exec {

Block::Block(Running& running) : running_(running) {
  const Extent& block = running.launch.block;
  threads_ = block[0] * block[1] * block[2];
  for (std::uint32_t i = 0; i * warp_size < threads_; ++i) warps_.push_back(std::make_unique<Warp>(*this, i));
}

void Block::start(const Extent& index, std::uint32_t linear_index) {
  index_ = index;
  linear_index_ = linear_index;
  barriers_ = {};
  const std::size_t bytes =
      running_.launch.program->module->dynamic_shared_offset + std::size_t{running_.launch.dynamic_shared};
  shared_.assign((bytes + 15) / 16 * 16, std::byte{0xa5});
  for (auto& warp : warps_) warp->start();
}

WarpState Block::run(std::uint32_t budget) {
  bool finished = true;
  bool progress = false;
  for (auto& warp : warps_) {
    if (warp->live() == 0) continue;
    const WarpState state = warp->run(budget);
    if (running_.fault.code != FaultCode::none) return WarpState::finished;
    finished &= state == WarpState::finished;
    progress |= state != WarpState::blocked;
  }
  if (finished) return WarpState::finished;
  return progress ? WarpState::running : WarpState::blocked;
}

void Block::arrive(std::uint32_t barrier, std::uint32_t expected, std::uint32_t lanes, bool waits, ptx::Variant reduce,
                   std::uint32_t predicates) {
  Barrier& state = barriers_[barrier];
  state.open = true;
  state.expected = expected;
  if (!waits) state.arrived += lanes;
  state.reduce = reduce;
  state.true_count += static_cast<std::uint32_t>(__builtin_popcount(predicates));
  state.thread_count += lanes;
  check_barriers();
}

bool Block::is_complete(std::uint32_t index) const {
  const Barrier& barrier = barriers_[index];
  std::uint32_t arrived = barrier.arrived;
  bool all = true;
  for (const auto& warp : warps_) {
    const ptx::LaneMask waiting = warp->waiting_at(index);
    const ptx::LaneMask live = warp->live();
    all &= waiting == live;
    // The hardware counts warps: a warp whose lanes are all there counts whole.
    arrived += waiting != 0 && waiting == live ? warp_size : static_cast<std::uint32_t>(__builtin_popcount(waiting));
  }
  return barrier.expected == 0 ? all : arrived >= barrier.expected;
}

void Block::check_barriers() {
  for (std::uint32_t i = 0; i < barriers_.size(); ++i) {
    Barrier& barrier = barriers_[i];
    if (!barrier.open || !is_complete(i)) continue;
    std::uint32_t reduced = barrier.true_count;
    if (barrier.reduce == ptx::Variant::and_) reduced = barrier.true_count == barrier.thread_count ? 1 : 0;
    if (barrier.reduce == ptx::Variant::or_) reduced = barrier.true_count != 0 ? 1 : 0;
    barrier = {};
    for (auto& warp : warps_) warp->release_barrier(i, reduced);
  }
}

}  // namespace vgpu::sim::exec
