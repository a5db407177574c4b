// cvt: between integers, between floating-point formats, and across.
#include <cmath>

#include "worker/sim/exec/half.hpp"
#include "worker/sim/exec/lanes.hpp"
#include "worker/sim/exec/rounding.hpp"
#include "worker/sim/exec/select.hpp"

namespace vgpu::sim::exec {
namespace {

using ptx::Instruction;
using ptx::LaneMask;
using ptx::Type;

bool is_signed_type(Type type) {
  return type == Type::s8 || type == Type::s16 || type == Type::s32 || type == Type::s64;
}

/// The value of an integer of `type`, widened to 64 bits.
std::uint64_t widened(std::uint64_t bits, Type type) {
  const std::uint32_t unused = 64 - 8 * ptx::size_of(type);
  if (is_signed_type(type)) return static_cast<std::uint64_t>(static_cast<std::int64_t>(bits << unused) >> unused);
  return bits << unused >> unused;
}

void integer_to_integer(Warp& warp, const Instruction& in, LaneMask mask) {
  const std::uint64_t* a = warp.read(in.src[0]);
  std::uint64_t* d = warp.write(in.dst[0]);
  for_lanes(mask, [&](std::uint32_t i) {
    const std::uint64_t value = widened(a[i], in.from);
    const std::uint64_t result = widened(value, in.type);
    d[i] = result;
    if (!in.saturate) return;
    const bool negative = is_signed_type(in.from) && static_cast<std::int64_t>(value) < 0;
    const bool result_negative = is_signed_type(in.type) && static_cast<std::int64_t>(result) < 0;
    if (result == value && negative == result_negative) return;
    const std::uint32_t width = 8 * ptx::size_of(in.type);
    const std::uint64_t highest = is_signed_type(in.type) ? (1ull << (width - 1)) - 1 : ~0ull >> (64 - width);
    const std::uint64_t lowest = is_signed_type(in.type) ? ~highest : 0;
    d[i] = negative ? lowest : highest;
  });
}

float flush(float value) { return std::fpclassify(value) == FP_SUBNORMAL ? std::copysign(0.0f, value) : value; }

std::uint64_t float_bits(double value, Type type, bool saturate, bool flushes) {
  if (saturate) value = std::isnan(value) || value < 0 ? 0 : value > 1 ? 1 : value;
  switch (type) {
    case Type::f32: {
      const auto single = static_cast<float>(value);
      return put(flushes ? flush(single) : single);
    }
    case Type::f16:
      return narrow(value, half_format);
    case Type::bf16:
      return narrow(value, bfloat_format);
    default:
      return put(value);
  }
}

double float_value(std::uint64_t bits, Type type, bool flushes) {
  switch (type) {
    case Type::f32:
      return flushes ? flush(get<float>(bits)) : get<float>(bits);
    case Type::f16:
      return widen(static_cast<std::uint16_t>(bits), half_format);
    case Type::bf16:
      return widen(static_cast<std::uint16_t>(bits), bfloat_format);
    default:
      return get<double>(bits);
  }
}

void integer_to_float(Warp& warp, const Instruction& in, LaneMask mask) {
  const RoundingScope scope(in.rounding);
  const std::uint64_t* a = warp.read(in.src[0]);
  std::uint64_t* d = warp.write(in.dst[0]);
  const bool is_signed = is_signed_type(in.from);
  for_lanes(mask, [&](std::uint32_t i) {
    const std::uint64_t value = widened(a[i], in.from);
    // Straight to single precision: a detour through double would round twice.
    if (in.type == Type::f32) {
      const float single = is_signed ? static_cast<float>(static_cast<std::int64_t>(value)) : static_cast<float>(value);
      d[i] = in.saturate ? float_bits(single, in.type, true, false) : put(single);
    } else {
      const double wide =
          is_signed ? static_cast<double>(static_cast<std::int64_t>(value)) : static_cast<double>(value);
      d[i] = float_bits(wide, in.type, in.saturate, false);
    }
  });
}

/// Rounds as told, clamps to the range of the type; a NaN becomes 0.
std::uint64_t to_integer(double value, Type type) {
  if (std::isnan(value)) return 0;
  value = std::nearbyint(value);
  const int width = static_cast<int>(8 * ptx::size_of(type));
  if (is_signed_type(type)) {
    const double limit = std::ldexp(1.0, width - 1);
    if (value >= limit) return static_cast<std::uint64_t>((~0ull >> 1) >> (64 - width));
    if (value < -limit) value = -limit;
    return static_cast<std::uint64_t>(static_cast<std::int64_t>(value));
  }
  if (value <= 0) return 0;
  if (value >= std::ldexp(1.0, width)) return ~0ull >> (64 - width);
  return static_cast<std::uint64_t>(value);
}

void float_to_integer(Warp& warp, const Instruction& in, LaneMask mask) {
  const RoundingScope scope(in.rounding);
  const std::uint64_t* a = warp.read(in.src[0]);
  std::uint64_t* d = warp.write(in.dst[0]);
  for_lanes(mask, [&](std::uint32_t i) { d[i] = to_integer(float_value(a[i], in.from, in.flush), in.type); });
}

void float_to_float(Warp& warp, const Instruction& in, LaneMask mask) {
  const RoundingScope scope(in.rounding);
  const std::uint64_t* a = warp.read(in.src[0]);
  std::uint64_t* d = warp.write(in.dst[0]);
  for_lanes(mask, [&](std::uint32_t i) {
    double value = float_value(a[i], in.from, in.flush);
    if (in.to_integral) value = std::nearbyint(value);
    d[i] = float_bits(value, in.type, in.saturate, in.flush);
  });
}

bool is_convertible(Type type) {
  const std::uint32_t size = ptx::size_of(type);
  return size != 0 && size <= 8 && type != Type::f16x2 && type != Type::bf16x2;
}

}  // namespace

ptx::Handler select_convert(const Instruction& in) {
  if (in.op != ptx::Op::cvt || !is_convertible(in.type) || !is_convertible(in.from)) return nullptr;
  const bool to_float = ptx::is_float(in.type), from_float = ptx::is_float(in.from);
  if (from_float) return to_float ? float_to_float : float_to_integer;
  return to_float ? integer_to_float : integer_to_integer;
}

}  // namespace vgpu::sim::exec
