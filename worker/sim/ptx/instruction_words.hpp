// The words of an instruction's spelling ("setp.lt.and.s32"), sorted into what the decoder needs.
#pragma once

#include <string_view>

#include "worker/sim/ptx/module.hpp"

namespace vgpu::sim::ptx {

/// How the operands of an instruction are arranged.
enum class Shape : std::uint8_t {
  plain,      ///< destination, then `sources` values of the instruction's type
  no_effect,  ///< operands are read and ignored
  move,
  load,
  store,
  atomic,
  reduction,
  texture,  ///< "destination, [object, {place}]", for stores the other way round
  compare,
  barrier,
  branch,
  call,
  bare,
};

struct OpcodeRow {
  Op op = Op::nop;
  Shape shape = Shape::plain;
  std::uint8_t sources = 0;
};

struct InstructionWords {
  OpcodeRow row;
  std::string_view spelling;
  Type types[3] = {Type::none, Type::none, Type::none};
  std::uint8_t type_count = 0;
};

/// Splits `spelling`, fills the modifiers of `in`. Fails with the word that is not known.
InstructionWords parse_words(std::string_view spelling, Instruction& in, std::uint32_t line);

}  // namespace vgpu::sim::ptx
