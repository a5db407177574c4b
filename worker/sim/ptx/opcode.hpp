// The instructions that the interpreter knows, by the first word of their PTX spelling.
#pragma once

#include <cstdint>

namespace vgpu::sim::ptx {

enum class Op : std::uint8_t {
  nop,
  // integer and bit arithmetic
  add, sub, addc, subc, mul, mad, madc, mul24, mad24, sad, div, rem, abs, neg, min, max,
  popc, clz, bfind, brev, bfe, bfi, bmsk, szext, fns, dp4a, dp2a,
  and_, or_, xor_, not_, cnot, shl, shr, shf, lop3, prmt,
  // floating point
  fma, rcp, sqrt, rsqrt, sin, cos, lg2, ex2, tanh, copysign, testp,
  // comparison and selection
  setp, set, selp, slct,
  // data movement
  mov, ld, st, cvt, cvta, isspacep, atom, red,
  // control flow
  bra, brx, call, ret, exit, trap, nanosleep,
  // meeting other lanes
  bar, shfl, vote, match, redux, activemask, elect,
};

}  // namespace vgpu::sim::ptx
