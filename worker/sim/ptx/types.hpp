// The scalar types, state spaces and small enumerations of PTX that decoded instructions carry.
#pragma once

#include <cstdint>

namespace vgpu::sim::ptx {

enum class Type : std::uint8_t {
  none,
  pred,
  b8,
  b16,
  b32,
  b64,
  b128,
  u8,
  u16,
  u32,
  u64,
  s8,
  s16,
  s32,
  s64,
  f16,
  f16x2,
  bf16,
  bf16x2,
  f32,
  f64,
};

/// Size of one value in bytes; 0 for none and pred.
constexpr std::uint32_t size_of(Type type) {
  switch (type) {
    case Type::b8:
    case Type::u8:
    case Type::s8:
      return 1;
    case Type::b16:
    case Type::u16:
    case Type::s16:
    case Type::f16:
    case Type::bf16:
      return 2;
    case Type::b32:
    case Type::u32:
    case Type::s32:
    case Type::f32:
    case Type::f16x2:
    case Type::bf16x2:
      return 4;
    case Type::b64:
    case Type::u64:
    case Type::s64:
    case Type::f64:
      return 8;
    case Type::b128:
      return 16;
    default:
      return 0;
  }
}

constexpr bool is_float(Type type) { return type >= Type::f16; }

/// Where a load, store or atomic goes. The three parameter spaces are told apart at parse time.
enum class Space : std::uint8_t {
  generic,
  global,
  shared,
  local,
  constant,
  kernel_param,  ///< the launch's parameter block
  frame_in,      ///< parameters and return value of the running device function
  frame_call,    ///< .param variables a caller fills before a call
  param,         ///< as written; the parser replaces it by one of the three above
};

enum class Rounding : std::uint8_t { none, nearest, zero, down, up };

enum class Compare : std::uint8_t {
  none,
  eq,
  ne,
  lt,
  le,
  gt,
  ge,
  lo,
  ls,
  hi,
  hs,
  equ,
  neu,
  ltu,
  leu,
  gtu,
  geu,
  num,
  nan
};

/// Modifier words that select a variant of an instruction.
/// Of textures and surfaces: how many dimensions, and whether there are layers of them.
enum class Geometry : std::uint8_t { none, d1, d2, d3, a1d, a2d };
/// What an access outside of a surface does.
enum class Outside : std::uint8_t { trap, clamp, zero };

enum class Variant : std::uint8_t {
  none,
  add,
  min,
  max,
  inc,
  dec,
  exch,
  cas,
  and_,
  or_,
  xor_,
  all,
  any,
  uni,
  ballot,
  up,
  down,
  bfly,
  idx,
  wrap,
  clamp,
  left,
  right,
  f4e,
  b4e,
  rc8,
  ecl,
  ecr,
  rc16,
  arrive,
  reduce,
  popc,
  warp,
  not_operand,  ///< a source predicate is negated
};

}  // namespace vgpu::sim::ptx
