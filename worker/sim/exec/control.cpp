// Control flow, calls, and the instructions at which lanes meet.
#include <cstring>

#include "worker/sim/exec/block.hpp"
#include "worker/sim/exec/builtins.hpp"
#include "worker/sim/exec/select.hpp"
#include "worker/sim/exec/warp.hpp"

namespace vgpu::sim::exec {

using ptx::Instruction;
using ptx::LaneMask;
using ptx::Op;
using ptx::Variant;

bool is_control(const Instruction& in) {
  switch (in.op) {
    case Op::bra:
    case Op::brx:
    case Op::call:
    case Op::ret:
    case Op::exit:
    case Op::trap:
    case Op::bar:
    case Op::shfl:
    case Op::vote:
    case Op::match:
    case Op::redux:
    case Op::elect:
      return true;
    default:
      return false;
  }
}

bool supports_control(const Instruction& in) {
  const Variant variant = in.variant;
  const std::uint32_t size = ptx::size_of(in.type);
  switch (in.op) {
    case Op::shfl:
      return size == 4 && (variant == Variant::up || variant == Variant::down || variant == Variant::bfly ||
                           variant == Variant::idx);
    case Op::vote:
      return variant == Variant::all || variant == Variant::any || variant == Variant::uni ||
             variant == Variant::ballot;
    case Op::match:
      return in.sync && (size == 4 || size == 8) && (variant == Variant::all || variant == Variant::any);
    case Op::redux: {
      const bool arithmetic = variant == Variant::add || variant == Variant::min || variant == Variant::max;
      const bool bitwise = variant == Variant::and_ || variant == Variant::or_ || variant == Variant::xor_;
      return in.sync && size == 4 && !ptx::is_float(in.type) && (arithmetic || bitwise);
    }
    case Op::elect:
      return in.sync;
    default:
      return true;
  }
}

bool Warp::control(const Instruction& in, LaneMask active) {
  switch (in.op) {
    case Op::bra:
      return branch(active, in.target);
    case Op::brx:
      return branch_indexed(in, active);
    case Op::call:
      return call(in, active);
    case Op::ret:
    case Op::exit:
      save(mask_ & ~active, at_ + 1);
      if (in.op == Op::exit || frame_->parent == nullptr)
        exit_lanes(active);
      else
        leave(active);
      return false;
    case Op::trap:
      raise(FaultCode::launch_failed, "the kernel ran into a trap");
      return false;
    case Op::bar:
      if (in.variant != Variant::warp) return barrier(in, active);
      return meet(in, active);
    default:
      return meet(in, active);
  }
}

bool Warp::branch(LaneMask active, std::uint32_t target) {
  if (active == mask_) {
    at_ = target;
    return true;
  }
  save(active, target);
  save(mask_ & ~active, at_ + 1);
  return false;
}

bool Warp::branch_indexed(const Instruction& in, LaneMask active) {
  const auto& table = frame_->function->branch_tables[in.target];
  const std::uint64_t* index = read(in.src[0]);
  save(mask_ & ~active, at_ + 1);
  for_lanes(active, [&](std::uint32_t lane) {
    const auto entry = static_cast<std::uint32_t>(index[lane]);
    if (entry >= table.size())
      raise(FaultCode::invalid_pc, "an indexed branch past its table");
    else
      pc_[lane] = table[entry];
  });
  return false;
}

bool Warp::call(const Instruction& in, LaneMask active) {
  const ptx::CallSite& site = frame_->function->call_sites[in.target];
  const std::uint32_t return_pc = at_ + 1;
  save(mask_ & ~active, return_pc);
  if (!site.indirect) return enter(site, site.callee, active, return_pc);
  const std::uint64_t* target = read(site.target);
  // Lanes may call different functions: one frame for each.
  while (active != 0) {
    const std::uint64_t address = target[__builtin_ctz(active)];
    LaneMask same = 0;
    for_lanes(active, [&](std::uint32_t lane) { same |= target[lane] == address ? 1u << lane : 0; });
    active &= ~same;
    const auto& functions = launch().program->module->functions;
    const std::uint64_t index = address - function_window;
    if (index >= functions.size()) {
      raise(FaultCode::invalid_pc, "a call through a pointer that is no function's");
      return false;
    }
    enter(site, static_cast<std::uint32_t>(index), same, return_pc);
    if (block_.running().fault.code != FaultCode::none) return false;
  }
  return false;
}

bool Warp::enter(const ptx::CallSite& site, std::uint32_t callee_index, LaneMask lanes, std::uint32_t return_pc) {
  const ptx::Function& callee = launch().program->module->functions[callee_index];
  const bool fits = callee.parameters.size() == site.arguments.size() && callee.results.size() == site.results.size();
  if (callee.is_entry || !fits || (!callee.defined && callee.builtin == ptx::Builtin::none)) {
    raise(FaultCode::invalid_pc, "a call of something that cannot be called so");
    return false;
  }
  if (!callee.defined) {
    call_builtin(callee.builtin, site, callee, lanes);
    save(lanes, return_pc);
    return false;
  }
  Frame* frame = new_frame(callee, frame_, lanes);
  if (frame == nullptr) return false;
  frame->site = &site;
  frame->return_pc = return_pc;
  for_lanes(lanes, [&](std::uint32_t lane) {
    const std::byte* from = frame_->call.data() + std::size_t{lane} * frame_->call_stride;
    std::byte* to = frame->in.data() + std::size_t{lane} * frame->in_stride;
    for (std::size_t i = 0; i < site.arguments.size(); ++i) {
      std::memcpy(to + callee.parameters[i].offset, from + site.arguments[i].caller_offset,
                  std::min(site.arguments[i].size, callee.parameters[i].size));
    }
    frame_of_[lane] = frame;
    pc_[lane] = 0;
  });
  return false;
}

void Warp::call_builtin(ptx::Builtin builtin, const ptx::CallSite& site, const ptx::Function& callee, LaneMask lanes) {
  for_lanes(lanes, [&](std::uint32_t lane) {
    std::byte* area = frame_->call.data() + std::size_t{lane} * frame_->call_stride;
    std::array<std::uint64_t, 5> arguments{};
    for (std::size_t i = 0; i < std::min(arguments.size(), site.arguments.size()); ++i) {
      std::memcpy(&arguments[i], area + site.arguments[i].caller_offset,
                  std::min<std::size_t>(8, callee.parameters[i].size));
    }
    const std::uint64_t result = run_builtin(*this, lane, builtin, arguments);
    if (!site.results.empty())
      std::memcpy(area + site.results[0].caller_offset, &result, std::min<std::size_t>(8, site.results[0].size));
  });
}

bool Warp::leave(LaneMask active) {
  Frame* frame = frame_;
  Frame* parent = frame->parent;
  const auto& results = frame->function->results;
  for_lanes(active, [&](std::uint32_t lane) {
    const std::byte* from = frame->in.data() + std::size_t{lane} * frame->in_stride;
    std::byte* to = parent->call.data() + std::size_t{lane} * parent->call_stride;
    for (std::size_t i = 0; i < results.size(); ++i) {
      std::memcpy(to + frame->site->results[i].caller_offset, from + results[i].offset,
                  std::min(results[i].size, frame->site->results[i].size));
    }
    frame_of_[lane] = parent;
    pc_[lane] = frame->return_pc;
  });
  drop_lanes(frame, active);
  return false;
}

void Warp::exit_lanes(LaneMask lanes) {
  exited_ |= lanes;
  for (Frame* frame = frame_; frame != nullptr;) {
    Frame* parent = frame->parent;
    drop_lanes(frame, lanes);
    frame = parent;
  }
  block_.check_barriers();
}

std::uint64_t Warp::lane_value(const ptx::Operand& operand, std::uint32_t lane) {
  if (operand.kind == ptx::OperandKind::reg) return frame_of_[lane]->registers[operand.index].lane[lane];
  return read(operand)[lane];
}

void Warp::lane_result(const ptx::Operand& operand, std::uint32_t lane, std::uint64_t value) {
  if (operand) frame_of_[lane]->registers[operand.index].lane[lane] = value;
}

bool Warp::barrier(const Instruction& in, LaneMask active) {
  const auto first = static_cast<std::uint32_t>(__builtin_ctz(active));
  const std::uint64_t barrier = read(in.src[0])[first];
  if (barrier >= barrier_waiting_.size()) {
    raise(FaultCode::illegal_instruction, "a barrier number above 15");
    return false;
  }
  const auto index = static_cast<std::uint32_t>(barrier);
  const auto expected = in.src[1] ? static_cast<std::uint32_t>(read(in.src[1])[first]) : 0;
  LaneMask predicates = 0;
  if (in.src[2]) {
    const std::uint64_t* predicate = read(in.src[2]);
    for_lanes(active, [&](std::uint32_t lane) {
      predicates |= static_cast<LaneMask>((predicate[lane] & 1) != (in.wide ? 1u : 0u)) << lane;
    });
  }
  const bool waits = in.variant != Variant::arrive;
  const auto lanes = active == live() ? warp_size : static_cast<std::uint32_t>(__builtin_popcount(active));
  save(mask_ & ~active, at_ + 1);
  if (waits) {
    barrier_waiting_[index] |= active;
    at_barrier_ |= active;
    save(active, at_);
  } else {
    save(active, at_ + 1);
  }
  const auto counted = in.src[2] ? static_cast<std::uint32_t>(__builtin_popcount(active)) : lanes;
  block_.arrive(index, expected, counted, waits, in.variant, predicates);
  return false;
}

void Warp::release_barrier(std::uint32_t barrier, std::uint32_t reduced) {
  const LaneMask lanes = barrier_waiting_[barrier];
  for_lanes(lanes, [&](std::uint32_t lane) {
    const Instruction& in = frame_of_[lane]->function->code[pc_[lane]];
    lane_result(in.dst[0], lane, reduced);
    ++pc_[lane];
  });
  barrier_waiting_[barrier] = 0;
  at_barrier_ &= ~lanes;
}

namespace {

/// Which operand names the lanes that take part.
std::size_t mask_operand(const Instruction& in) {
  switch (in.op) {
    case Op::shfl:
      return 3;
    case Op::vote:
    case Op::match:
    case Op::redux:
      return 1;
    default:
      return 0;
  }
}

}  // namespace

bool Warp::meet(const Instruction& in, LaneMask active) {
  save(mask_ & ~active, at_ + 1);
  save(active, at_);
  const bool named = in.sync || in.op == Op::bar;
  const std::uint64_t* masks = named ? read(in.src[mask_operand(in)]) : nullptr;
  bool together = true;
  for_lanes(active, [&](std::uint32_t lane) {
    meeting_mask_[lane] = named ? (static_cast<LaneMask>(masks[lane]) & live()) | 1u << lane : active;
    together &= meeting_mask_[lane] == active;
  });
  if (!together) {
    at_meeting_ |= active;
    return false;
  }
  perform(in, active);
  ++at_;
  if (active == mask_) return true;
  save(active, at_);
  return false;
}

void Warp::meet_waiting() {
  for (LaneMask left = at_meeting_; left != 0;) {
    const auto leader = static_cast<std::uint32_t>(__builtin_ctz(left));
    const LaneMask lanes = meeting_mask_[leader] & live();
    const Instruction* in = &frame_of_[leader]->function->code[pc_[leader]];
    bool complete = (lanes & ~at_meeting_) == 0;
    for_lanes(lanes, [&](std::uint32_t lane) {
      if (!complete) return;
      const Instruction* other = &frame_of_[lane]->function->code[pc_[lane]];
      complete = other == in || (other->op == Op::bar && in->op == Op::bar);
    });
    left &= ~(1u << leader);
    if (!complete) continue;
    frame_ = frame_of_[leader];
    perform(*in, lanes);
    for_lanes(lanes, [&](std::uint32_t lane) { ++pc_[lane]; });
    at_meeting_ &= ~lanes;
    left &= ~lanes;
  }
}

namespace {

struct Shuffle {
  std::uint32_t source = 0;
  bool in_range = false;
};

Shuffle shuffle_source(Variant mode, std::uint32_t lane, std::uint32_t b, std::uint32_t c) {
  const std::uint32_t clamp = c & 31;
  const std::uint32_t segment = (c >> 8) & 31;
  const std::uint32_t highest = (lane & segment) | (clamp & ~segment);
  const std::uint32_t lowest = lane & segment;
  const std::uint32_t amount = b & 31;
  std::uint32_t source = lane;
  bool in_range = false;
  switch (mode) {
    case Variant::up:
      source = lane - amount;
      in_range = static_cast<std::int32_t>(source) >= static_cast<std::int32_t>(highest);
      break;
    case Variant::down:
      source = lane + amount;
      in_range = source <= highest;
      break;
    case Variant::bfly:
      source = lane ^ amount;
      in_range = source <= highest;
      break;
    default:
      source = lowest | (amount & ~segment);
      in_range = source <= highest;
      break;
  }
  return {in_range ? source : lane, in_range};
}

std::uint32_t reduce(const Instruction& in, LaneMask lanes, const std::uint64_t* values) {
  bool first = true;
  std::uint32_t result = 0;
  for_lanes(lanes, [&](std::uint32_t lane) {
    const auto value = static_cast<std::uint32_t>(values[lane]);
    const bool is_signed = in.type == ptx::Type::s32;
    const bool less = is_signed ? static_cast<std::int32_t>(value) < static_cast<std::int32_t>(result) : value < result;
    if (first)
      result = value;
    else
      switch (in.variant) {
        case Variant::add:
          result += value;
          break;
        case Variant::min:
          result = less ? value : result;
          break;
        case Variant::max:
          result = less ? result : value;
          break;
        case Variant::and_:
          result &= value;
          break;
        case Variant::or_:
          result |= value;
          break;
        default:
          result ^= value;
          break;
      }
    first = false;
  });
  return result;
}

}  // namespace

void Warp::perform(const Instruction& in, LaneMask lanes) {
  LaneValues a{};
  LaneMask truths = 0;
  for_lanes(lanes, [&](std::uint32_t lane) {
    a.lane[lane] = in.op == Op::bar || in.op == Op::elect ? 0 : lane_value(in.src[0], lane);
    const bool holds = ((a.lane[lane] & 1) != 0) != (in.combine == Variant::not_operand);
    truths |= holds ? 1u << lane : 0;
  });
  switch (in.op) {
    case Op::shfl:
      for_lanes(lanes, [&](std::uint32_t lane) {
        const Shuffle from = shuffle_source(in.variant, lane, static_cast<std::uint32_t>(lane_value(in.src[1], lane)),
                                            static_cast<std::uint32_t>(lane_value(in.src[2], lane)));
        lane_result(in.dst[0], lane, static_cast<std::uint32_t>(a.lane[from.source]));
        lane_result(in.dst[1], lane, from.in_range ? 1 : 0);
      });
      break;
    case Op::vote: {
      const std::uint64_t result = in.variant == Variant::all   ? truths == lanes
                                   : in.variant == Variant::any ? truths != 0
                                   : in.variant == Variant::uni ? truths == 0 || truths == lanes
                                                                : truths;
      for_lanes(lanes, [&](std::uint32_t lane) { lane_result(in.dst[0], lane, result); });
      break;
    }
    case Op::match:
      for_lanes(lanes, [&](std::uint32_t lane) {
        LaneMask same = 0;
        const std::uint64_t bits = ptx::size_of(in.type) == 4 ? 0xffff'ffffu : ~0ull;
        for_lanes(lanes,
                  [&](std::uint32_t other) { same |= ((a.lane[other] ^ a.lane[lane]) & bits) == 0 ? 1u << other : 0; });
        const bool all = same == lanes;
        lane_result(in.dst[0], lane, in.variant == Variant::all ? (all ? lanes : 0) : same);
        lane_result(in.dst[1], lane, all ? 1 : 0);
      });
      break;
    case Op::redux: {
      const std::uint32_t result = reduce(in, lanes, a.lane);
      for_lanes(lanes, [&](std::uint32_t lane) { lane_result(in.dst[0], lane, result); });
      break;
    }
    case Op::elect: {
      const auto leader = static_cast<std::uint32_t>(__builtin_ctz(lanes));
      for_lanes(lanes, [&](std::uint32_t lane) {
        lane_result(in.dst[0], lane, leader);
        lane_result(in.dst[1], lane, lane == leader ? 1 : 0);
      });
      break;
    }
    default:
      break;
  }
}

}  // namespace vgpu::sim::exec
