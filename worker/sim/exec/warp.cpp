// The warp's lanes: where they are, who runs next, operands and addresses. Control instructions are in control.cpp.
#include "worker/sim/exec/warp.hpp"

#include <time.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "worker/sim/exec/block.hpp"

namespace vgpu::sim::exec {

using ptx::LaneMask;
using ptx::Space;
using ptx::Special;

namespace {

constexpr std::uint32_t nobody = std::numeric_limits<std::uint32_t>::max();
/// Every so many slices another group than the usual one begins.
constexpr std::uint32_t fairness_period = 4;

std::uint64_t nanoseconds() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<std::uint64_t>(now.tv_nsec);
}

}  // namespace

Warp::Warp(Block& block, std::uint32_t index)
    : block_(block), index_(index), specials_(static_cast<std::size_t>(Special::count)) {
  const std::uint32_t threads = block.threads() - index * warp_size;
  exists_ = threads >= warp_size ? ~0u : (1u << threads) - 1;
}

void Warp::start() {
  exited_ = at_barrier_ = at_meeting_ = 0;
  barrier_waiting_.fill(0);
  frames_.clear();
  frame_bytes_ = 0;
  pc_.fill(0);
  frame_of_.fill(nullptr);
  Frame* frame = new_frame(block_.running().kernel, nullptr, exists_);
  for_lanes(exists_, [&](std::uint32_t lane) { frame_of_[lane] = frame; });
  fill_specials();
}

const Launch& Warp::launch() const { return block_.running().launch; }

Extent Warp::thread_of(std::uint32_t lane) const {
  const Extent& block = launch().block;
  const std::uint32_t thread = index_ * warp_size + lane;
  return {thread % block[0], thread / block[0] % block[1], thread / block[0] / block[1]};
}

void Warp::fill_specials() {
  const auto all = [&](Special which, std::uint64_t value) {
    std::fill_n(specials_[static_cast<std::size_t>(which)].lane, warp_size, value);
  };
  const auto set = [&](Special which, std::uint32_t lane, std::uint64_t value) {
    specials_[static_cast<std::size_t>(which)].lane[lane] = value;
  };
  const Launch& here = launch();
  for (std::uint32_t i = 0; i < 3; ++i) {
    all(static_cast<Special>(static_cast<std::uint32_t>(Special::ntid_x) + i), here.block[i]);
    all(static_cast<Special>(static_cast<std::uint32_t>(Special::nctaid_x) + i), here.grid[i]);
    all(static_cast<Special>(static_cast<std::uint32_t>(Special::ctaid_x) + i), block_.index()[i]);
  }
  all(Special::warpid, index_);
  all(Special::nwarpid, (block_.threads() + warp_size - 1) / warp_size);
  all(Special::smid, block_.linear_index() % 132);
  all(Special::nsmid, 132);
  all(Special::gridid, here.id);
  all(Special::dynamic_smem_size, here.dynamic_shared);
  all(Special::total_smem_size, block_.running().kernel.shared_bytes + here.dynamic_shared);
  all(Special::zero, 0);
  all(Special::one, 1);
  for (std::uint32_t lane = 0; lane < warp_size; ++lane) {
    const Extent thread = thread_of(lane);
    for (std::uint32_t i = 0; i < 3; ++i)
      set(static_cast<Special>(static_cast<std::uint32_t>(Special::tid_x) + i), lane, thread[i]);
    const std::uint32_t bit = 1u << lane;
    set(Special::laneid, lane, lane);
    set(Special::lanemask_eq, lane, bit);
    set(Special::lanemask_lt, lane, bit - 1);
    set(Special::lanemask_le, lane, bit | (bit - 1));
    set(Special::lanemask_gt, lane, ~(bit | (bit - 1)));
    set(Special::lanemask_ge, lane, ~(bit - 1));
  }
}

const std::uint64_t* Warp::clock_value(Special which) {
  const std::uint64_t now = nanoseconds();
  LaneValues& values = specials_[static_cast<std::size_t>(which)];
  const bool high = which == Special::clock_hi || which == Special::globaltimer_hi;
  const bool low = which == Special::clock || which == Special::globaltimer_lo;
  std::fill_n(values.lane, warp_size, high ? now >> 32 : low ? now & 0xffff'ffffu : now);
  return values.lane;
}

const std::uint64_t* Warp::read(const ptx::Operand& operand) {
  switch (operand.kind) {
    case ptx::OperandKind::reg:
      return frame_->registers[operand.index].lane;
    case ptx::OperandKind::constant:
      return launch().program->constants[operand.index].lane;
    case ptx::OperandKind::special: {
      const auto which = static_cast<Special>(operand.index);
      return which >= Special::clock ? clock_value(which) : specials_[operand.index].lane;
    }
    case ptx::OperandKind::local: {
      LaneValues& values = scratch_[next_scratch_++ % scratch_.size()];
      std::fill_n(values.lane, warp_size, std::uint64_t{frame_->local_base} + operand.index);
      return values.lane;
    }
    case ptx::OperandKind::none:
      break;
  }
  return specials_[static_cast<std::size_t>(Special::zero)].lane;
}

void Warp::raise(FaultCode code, std::string text) {
  Fault& fault = block_.running().fault;
  if (fault.code == FaultCode::none) fault = {code, std::move(text)};
}

std::byte* Warp::resolve(std::uint32_t lane, std::uint64_t address, std::uint32_t size, Space space) {
  std::byte* at = nullptr;
  if ((address & (size - 1)) != 0) {
    raise(FaultCode::misaligned, "a misaligned address");
    return nullptr;
  }
  if (space == Space::generic && address >= function_window) {
    const std::uint64_t window = address & ~(window_span - 1);
    address -= window;
    space = window == shared_window  ? Space::shared
            : window == local_window ? Space::local
            : window == param_window ? Space::kernel_param
                                     : Space::generic;
  }
  const auto within = [&](std::byte* bytes, std::uint64_t length) {
    return address < length && size <= length - address ? bytes + address : nullptr;
  };
  switch (space) {
    case Space::shared: {
      at = within(block_.shared().data(), block_.shared().size());
      break;
    }
    case Space::local:
      at = within(local_[lane].data(), local_[lane].size());
      break;
    case Space::kernel_param:
      at = within(const_cast<std::byte*>(launch().parameters.data()), launch().parameters.size());
      break;
    case Space::frame_in:
      at = within(frame_->in.data() + std::size_t{lane} * frame_->in_stride, frame_->in_stride);
      break;
    case Space::frame_call:
      at = within(frame_->call.data() + std::size_t{lane} * frame_->call_stride, frame_->call_stride);
      break;
    default: {
      const Machine& machine = block_.running().machine;
      at = machine.arena.resolve(address, size, machine.reach);
      if (at == nullptr && !machine.arena.contains(address)) {
        if (!last_host_.contains(address, size)) last_host_ = machine.host.find(address).value_or(memory::HostRange{});
        if (last_host_.contains(address, size)) at = reinterpret_cast<std::byte*>(address);
      }
    }
  }
  if (at == nullptr) raise(FaultCode::illegal_address, "an address outside of every allocation");
  return at;
}

Frame* Warp::new_frame(const ptx::Function& function, Frame* parent, LaneMask lanes) {
  constexpr std::uint32_t max_depth = 512;
  constexpr std::uint64_t max_frame_bytes = 64u << 20;
  constexpr std::uint64_t max_local_bytes = 512u << 10;
  auto frame = std::make_unique<Frame>();
  frame->function = &function;
  frame->parent = parent;
  frame->depth = parent == nullptr ? 0 : parent->depth + 1;
  frame->local_base = parent == nullptr ? 0 : (parent->local_base + parent->function->local_bytes + 15) / 16 * 16;
  frame->lanes = lanes;
  frame->in_stride = parent == nullptr ? 0 : (function.frame_in_bytes + 15) / 16 * 16;
  frame->call_stride = (function.call_bytes + 15) / 16 * 16;
  const std::uint64_t bytes = std::uint64_t{function.registers} * sizeof(LaneValues) +
                              std::uint64_t{warp_size} * (frame->in_stride + frame->call_stride);
  const std::uint64_t local_end = std::uint64_t{frame->local_base} + function.local_bytes;
  if (frame->depth > max_depth || frame_bytes_ + bytes > max_frame_bytes || local_end > max_local_bytes) {
    raise(FaultCode::stack, "the call stack is too deep");
    return nullptr;
  }
  frame_bytes_ += bytes;
  frame->registers.resize(function.registers);
  frame->in.resize(std::size_t{warp_size} * frame->in_stride);
  frame->call.resize(std::size_t{warp_size} * frame->call_stride);
  for_lanes(lanes, [&](std::uint32_t lane) {
    if (local_[lane].size() < local_end) local_[lane].resize(local_end, std::byte{0xa5});
  });
  frames_.push_back(std::move(frame));
  return frames_.back().get();
}

void Warp::drop_lanes(Frame* frame, LaneMask lanes) {
  frame->lanes &= ~lanes;
  if (frame->lanes != 0) return;
  frame_bytes_ -= std::uint64_t{frame->function->registers} * sizeof(LaneValues) +
                  std::uint64_t{warp_size} * (frame->in_stride + frame->call_stride);
  const auto found =
      std::find_if(frames_.begin(), frames_.end(), [&](const auto& known) { return known.get() == frame; });
  if (found != frames_.end()) frames_.erase(found);
}

WarpState Warp::run(std::uint32_t budget) {
  bool fair = ++turn_ % fairness_period == 0;
  const std::uint32_t whole = budget;
  while (budget > 0) {
    if (!pick(std::exchange(fair, false))) {
      // Blocked is only who got nowhere: what it did may have freed others.
      if (live() != 0) return budget == whole ? WarpState::blocked : WarpState::running;
      return WarpState::finished;
    }
    budget = execute(budget);
    if (block_.running().fault.code != FaultCode::none) return WarpState::finished;
  }
  return live() == 0 ? WarpState::finished : WarpState::running;
}

bool Warp::pick(bool fair) {
  if (at_meeting_ != 0) meet_waiting();
  const LaneMask runnable = live() & ~at_barrier_ & ~at_meeting_;
  if (runnable == 0) return false;
  std::uint32_t leader = nobody;
  if (fair) {
    std::uint32_t skip = turn_ / fairness_period % static_cast<std::uint32_t>(__builtin_popcount(runnable));
    LaneMask left = runnable;
    while (skip-- > 0) left &= left - 1;
    leader = static_cast<std::uint32_t>(__builtin_ctz(left));
  } else {
    for_lanes(runnable, [&](std::uint32_t lane) {
      if (leader == nobody || frame_of_[lane]->depth > frame_of_[leader]->depth ||
          (frame_of_[lane]->depth == frame_of_[leader]->depth && pc_[lane] < pc_[leader]))
        leader = lane;
    });
  }
  frame_ = frame_of_[leader];
  at_ = pc_[leader];
  mask_ = 0;
  stop_ = nobody;
  for_lanes(runnable, [&](std::uint32_t lane) {
    if (frame_of_[lane] != frame_) return;
    if (pc_[lane] == at_)
      mask_ |= 1u << lane;
    else if (pc_[lane] > at_)
      stop_ = std::min(stop_, pc_[lane]);
  });
  return true;
}

LaneMask Warp::guard_mask(const ptx::Instruction& in) {
  const std::uint64_t* guard = read(in.guard);
  LaneMask holds = 0;
  for (std::uint32_t lane = 0; lane < warp_size; ++lane) holds |= static_cast<LaneMask>(guard[lane] & 1) << lane;
  return (in.guard_negated ? ~holds : holds) & mask_;
}

void Warp::save(LaneMask lanes, std::uint32_t pc) {
  for_lanes(lanes, [&](std::uint32_t lane) { pc_[lane] = pc; });
}

std::uint32_t Warp::execute(std::uint32_t budget) {
  const Fault& fault = block_.running().fault;
  const ptx::Instruction* code = frame_->function->code.data();
  // A function whose body is only declared has no code; calls to it are refused before they get here.
  while (budget > 0) {
    --budget;
    const ptx::Instruction& in = code[at_];
    const LaneMask active = in.guard ? guard_mask(in) : mask_;
    if (in.exec != nullptr) {
      if (active != 0) in.exec(*this, in, active);
      if (fault.code != FaultCode::none) return budget;
      ++at_;
    } else if (active == 0) {
      ++at_;
    } else if (!control(in, active)) {
      return budget;
    }
    if (at_ >= stop_) break;
  }
  save(mask_, at_);
  return budget;
}

}  // namespace vgpu::sim::exec
