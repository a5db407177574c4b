// 16-bit floating-point formats as bit patterns: half precision and bfloat16. Arithmetic is done in double and rounded
// once.
#pragma once

#include <cmath>
#include <cstdint>

#include "worker/sim/ptx/types.hpp"

namespace vgpu::sim::exec {

struct SmallFormat {
  int mantissa_bits;
  int bias;
  std::uint16_t infinity() const { return static_cast<std::uint16_t>(0x7fff & (0xffff << mantissa_bits)); }
};

constexpr SmallFormat half_format{10, 15};
constexpr SmallFormat bfloat_format{7, 127};

inline double widen(std::uint16_t bits, SmallFormat format) {
  const int magnitude = bits & 0x7fff;
  const int exponent = magnitude >> format.mantissa_bits;
  const int mantissa = magnitude & ((1 << format.mantissa_bits) - 1);
  double value = 0;
  if (magnitude > format.infinity())
    value = std::nan("");
  else if (magnitude == format.infinity())
    value = HUGE_VAL;
  else if (exponent == 0)
    value = std::ldexp(mantissa, 1 - format.bias - format.mantissa_bits);
  else
    value = std::ldexp(mantissa + (1 << format.mantissa_bits), exponent - format.bias - format.mantissa_bits);
  return (bits & 0x8000) != 0 ? -value : value;
}

/// Rounds in the current rounding mode.
inline std::uint16_t narrow(double value, SmallFormat format) {
  const std::uint16_t sign = std::signbit(value) ? 0x8000 : 0;
  if (std::isnan(value)) return 0x7fff;
  if (std::isinf(value)) return sign | format.infinity();
  if (value == 0) return sign;
  const int least = 1 - format.bias;
  int exponent = std::max(std::ilogb(value), least);
  double mantissa = std::fabs(std::nearbyint(std::ldexp(value, format.mantissa_bits - exponent)));
  if (mantissa >= std::ldexp(1.0, format.mantissa_bits + 1)) {
    mantissa /= 2;
    ++exponent;
  }
  if (exponent > format.bias) return sign | format.infinity();
  const auto bits = static_cast<int>(mantissa);
  const bool normal = bits >= 1 << format.mantissa_bits;
  const int field = normal ? (exponent + format.bias) << format.mantissa_bits : 0;
  return static_cast<std::uint16_t>(sign | field | (bits & ((1 << format.mantissa_bits) - 1)));
}

}  // namespace vgpu::sim::exec
