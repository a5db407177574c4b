// A warp: 32 lanes that run the same instructions together for as long as they agree on where they are.
//
// Lanes at the same place of the same call frame form a group; one group runs at a time, each instruction for all its
// lanes. Of several groups the one in the deepest call, and there the one least far in the text, goes first, so that
// lanes meet again after a branch; from time to time another group is taken, so that lanes may wait for one another (as
// compute capability 7.0 promises).
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "worker/sim/exec/launch.hpp"

namespace vgpu::sim::exec {

class Block;

/// One activation of a function, shared by the lanes that entered it together.
struct Frame {
  const ptx::Function* function = nullptr;
  Frame* parent = nullptr;
  const ptx::CallSite* site = nullptr;
  std::uint32_t return_pc = 0;
  std::uint32_t depth = 0;
  std::uint32_t local_base = 0;
  ptx::LaneMask lanes = 0;  ///< lanes in this frame or deeper
  std::vector<LaneValues> registers;
  std::vector<std::byte> in;    ///< parameters and results, lane after lane
  std::vector<std::byte> call;  ///< .param variables of the body, lane after lane
  std::uint32_t in_stride = 0;
  std::uint32_t call_stride = 0;
};

enum class WarpState { running, blocked, finished };

class Warp {
 public:
  Warp(Block& block, std::uint32_t index);

  /// Puts the lanes at the kernel's first instruction.
  void start();
  /// Runs about `budget` instructions.
  WarpState run(std::uint32_t budget);

  // For handlers: the operands of the running group.
  const std::uint64_t* read(const ptx::Operand& operand);
  std::uint64_t* write(const ptx::Operand& operand) {
    return operand ? frame_->registers[operand.index].lane : sink_.lane;
  }
  /// Carry flag of each lane.
  std::uint64_t* carry() { return carry_.lane; }

  /// Where `size` bytes at `address` of `space` are for `lane`, naturally aligned
  /// (`size` is a power of two, at most 32); null after raising a fault.
  std::byte* resolve(std::uint32_t lane, std::uint64_t address, std::uint32_t size, ptx::Space space);
  /// Ends the launch with this fault, unless it has one already.
  void raise(FaultCode code, std::string text);

  const Launch& launch() const;
  Block& block() { return block_; }
  ptx::LaneMask group() const { return mask_; }

  // For the block's barriers.
  ptx::LaneMask live() const { return exists_ & ~exited_; }
  ptx::LaneMask waiting_at(std::uint32_t barrier) const { return barrier_waiting_[barrier]; }
  void release_barrier(std::uint32_t barrier, std::uint32_t reduced);
  Extent thread_of(std::uint32_t lane) const;

 private:
  bool pick(bool fair);
  std::uint32_t execute(std::uint32_t budget);
  ptx::LaneMask guard_mask(const ptx::Instruction& in);
  void save(ptx::LaneMask lanes, std::uint32_t pc);
  /// Runs one control instruction for `active`. True if the group goes on at pc_, false if it has to be picked anew.
  bool control(const ptx::Instruction& in, ptx::LaneMask active);
  bool branch(ptx::LaneMask active, std::uint32_t target);
  bool branch_indexed(const ptx::Instruction& in, ptx::LaneMask active);
  bool call(const ptx::Instruction& in, ptx::LaneMask active);
  bool enter(const ptx::CallSite& site, std::uint32_t callee, ptx::LaneMask lanes, std::uint32_t return_pc);
  void call_builtin(ptx::Builtin builtin, const ptx::CallSite& site, const ptx::Function& callee, ptx::LaneMask lanes);
  bool leave(ptx::LaneMask active);
  void exit_lanes(ptx::LaneMask lanes);
  bool barrier(const ptx::Instruction& in, ptx::LaneMask active);
  bool meet(const ptx::Instruction& in, ptx::LaneMask active);
  void meet_waiting();
  void perform(const ptx::Instruction& in, ptx::LaneMask lanes);
  std::uint64_t lane_value(const ptx::Operand& operand, std::uint32_t lane);
  void lane_result(const ptx::Operand& operand, std::uint32_t lane, std::uint64_t value);

  Frame* new_frame(const ptx::Function& function, Frame* parent, ptx::LaneMask lanes);
  void drop_lanes(Frame* frame, ptx::LaneMask lanes);
  void fill_specials();
  const std::uint64_t* clock_value(ptx::Special which);

  Block& block_;
  const std::uint32_t index_;
  ptx::LaneMask exists_ = 0;
  ptx::LaneMask exited_ = 0;
  std::array<ptx::LaneMask, 16> barrier_waiting_{};
  ptx::LaneMask at_barrier_ = 0;
  ptx::LaneMask at_meeting_ = 0;
  std::array<ptx::LaneMask, warp_size> meeting_mask_{};
  std::array<std::uint32_t, warp_size> pc_{};
  std::array<Frame*, warp_size> frame_of_{};
  std::vector<std::unique_ptr<Frame>> frames_;
  std::uint64_t frame_bytes_ = 0;
  std::array<std::vector<std::byte>, warp_size> local_;

  // The running group.
  Frame* frame_ = nullptr;
  ptx::LaneMask mask_ = 0;
  std::uint32_t at_ = 0;
  std::uint32_t stop_ = 0;  ///< where another group of the same frame waits
  std::uint32_t turn_ = 0;

  std::vector<LaneValues> specials_;
  LaneValues sink_{};
  LaneValues carry_{};
  std::array<LaneValues, 8> scratch_{};
  std::uint32_t next_scratch_ = 0;
  memory::HostRange last_host_{};
};

/// Runs `body(lane)` for the lanes of `mask`; the full mask is a loop that the compiler can vectorise.
template <typename Body>
inline void for_lanes(ptx::LaneMask mask, Body body) {
  if (mask == ~0u) {
    for (std::uint32_t lane = 0; lane < warp_size; ++lane) body(lane);
    return;
  }
  for (; mask != 0; mask &= mask - 1) body(static_cast<std::uint32_t>(__builtin_ctz(mask)));
}

}  // namespace vgpu::sim::exec
