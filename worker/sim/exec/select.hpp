// From a decoded instruction to the function that runs it.
#pragma once

#include "worker/sim/ptx/module.hpp"

namespace vgpu::sim::exec {

/// Instructions that Warp itself runs: branches, calls, and those at which lanes meet.
bool is_control(const ptx::Instruction& in);
/// Whether Warp knows this variant of a control instruction.
bool supports_control(const ptx::Instruction& in);

/// The handler for everything else; null if the interpreter lacks this variant.
ptx::Handler select_handler(const ptx::Instruction& in);

ptx::Handler select_integer(const ptx::Instruction& in);
ptx::Handler select_bits(const ptx::Instruction& in);
ptx::Handler select_float(const ptx::Instruction& in);
ptx::Handler select_compare(const ptx::Instruction& in);
ptx::Handler select_convert(const ptx::Instruction& in);
ptx::Handler select_move(const ptx::Instruction& in);
ptx::Handler select_memory(const ptx::Instruction& in);
ptx::Handler select_atomic(const ptx::Instruction& in);
ptx::Handler select_texture(const ptx::Instruction& in);

}  // namespace vgpu::sim::exec
