// Floating-point arithmetic. Approximate instructions give the correctly rounded result of the C library, or nearly so.
#include <cmath>

#include "worker/sim/exec/half.hpp"
#include "worker/sim/exec/lanes.hpp"
#include "worker/sim/exec/rounding.hpp"
#include "worker/sim/exec/select.hpp"

namespace vgpu::sim::exec {
namespace {

using ptx::Instruction;
using ptx::LaneMask;
using ptx::Op;
using ptx::Type;

struct FAdd {
  template <typename T>
  static T apply(T a, T b) {
    return a + b;
  }
};
struct FSub {
  template <typename T>
  static T apply(T a, T b) {
    return a - b;
  }
};
struct FMul {
  template <typename T>
  static T apply(T a, T b) {
    return a * b;
  }
};
struct FDiv {
  template <typename T>
  static T apply(T a, T b) {
    return a / b;
  }
};
struct FFma {
  template <typename T>
  static T apply(T a, T b, T c) {
    return std::fma(a, b, c);
  }
};
struct FNeg {
  template <typename T>
  static T apply(T a) {
    return -a;
  }
};
struct FAbs {
  template <typename T>
  static T apply(T a) {
    return std::fabs(a);
  }
};
// A NaN loses against a number; -0 is less than +0.
struct FMin {
  template <typename T>
  static T apply(T a, T b) {
    if (std::isnan(a)) return b;
    if (std::isnan(b)) return a;
    if (a == b) return std::signbit(a) ? a : b;
    return a < b ? a : b;
  }
};
struct FMax {
  template <typename T>
  static T apply(T a, T b) {
    if (std::isnan(a)) return b;
    if (std::isnan(b)) return a;
    if (a == b) return std::signbit(a) ? b : a;
    return a > b ? a : b;
  }
};
struct FRcp {
  template <typename T>
  static T apply(T a) {
    return T{1} / a;
  }
};
struct FSqrt {
  template <typename T>
  static T apply(T a) {
    return std::sqrt(a);
  }
};
struct FRsqrt {
  template <typename T>
  static T apply(T a) {
    return T{1} / std::sqrt(a);
  }
};
struct FSin {
  template <typename T>
  static T apply(T a) {
    return std::sin(a);
  }
};
struct FCos {
  template <typename T>
  static T apply(T a) {
    return std::cos(a);
  }
};
struct FLg2 {
  template <typename T>
  static T apply(T a) {
    return std::log2(a);
  }
};
struct FEx2 {
  template <typename T>
  static T apply(T a) {
    return std::exp2(a);
  }
};
struct FTanh {
  template <typename T>
  static T apply(T a) {
    return std::tanh(a);
  }
};
struct FCopysign {
  template <typename T>
  static T apply(T a, T b) {
    return std::copysign(b, a);
  }
};

inline float flushed(float value) {
  return std::fpclassify(value) == FP_SUBNORMAL ? std::copysign(0.0f, value) : value;
}
template <typename T>
inline T saturated(T value) {
  return std::isnan(value) || value < 0 ? T{0} : value > 1 ? T{1} : value;
}

template <typename Function>
struct Flush {
  template <typename... T>
  static auto apply(T... values) {
    return flushed(Function::apply(flushed(values)...));
  }
};
template <typename Function>
struct Saturate {
  template <typename... T>
  static auto apply(T... values) {
    return saturated(Function::apply(values...));
  }
};

template <ptx::Handler inner>
void rounded(Warp& warp, const Instruction& in, LaneMask mask) {
  const RoundingScope scope(in.rounding);
  inner(warp, in, mask);
}

template <typename T, typename Function, int arity>
constexpr ptx::Handler mapped() {
  if constexpr (arity == 1)
    return map1<T, Function>;
  else if constexpr (arity == 2)
    return map2<T, Function>;
  else
    return map3<T, Function>;
}

/// The variant of `Function` that the modifiers ask for, in single or double precision.
template <typename Function, int arity>
ptx::Handler choose(const Instruction& in) {
  if (in.type == Type::f64) {
    if (in.saturate) return nullptr;
    return is_directed(in.rounding) ? rounded<mapped<double, Function, arity>()> : mapped<double, Function, arity>();
  }
  if (in.type != Type::f32) return nullptr;
  if (in.flush && in.saturate)
    return is_directed(in.rounding) ? nullptr : mapped<float, Saturate<Flush<Function>>, arity>();
  if (in.flush)
    return is_directed(in.rounding) ? rounded<mapped<float, Flush<Function>, arity>()>
                                    : mapped<float, Flush<Function>, arity>();
  if (in.saturate) return is_directed(in.rounding) ? nullptr : mapped<float, Saturate<Function>, arity>();
  return is_directed(in.rounding) ? rounded<mapped<float, Function, arity>()> : mapped<float, Function, arity>();
}

double small_result(Op op, double a, double b, double c) {
  switch (op) {
    case Op::add:
      return a + b;
    case Op::sub:
      return a - b;
    case Op::mul:
      return a * b;
    case Op::fma:
      return std::fma(a, b, c);
    case Op::neg:
      return -a;
    case Op::abs:
      return std::fabs(a);
    case Op::min:
      return FMin::apply(a, b);
    case Op::max:
      return FMax::apply(a, b);
    case Op::ex2:
      return std::exp2(a);
    default:
      return std::tanh(a);
  }
}

/// Half precision and bfloat16, one or two values in a register.
void small_arithmetic(Warp& warp, const Instruction& in, LaneMask mask) {
  const std::uint64_t *a = warp.read(in.src[0]), *b = warp.read(in.src[1]), *c = warp.read(in.src[2]);
  std::uint64_t* d = warp.write(in.dst[0]);
  const SmallFormat format = in.type == Type::f16 || in.type == Type::f16x2 ? half_format : bfloat_format;
  const std::uint32_t values = ptx::size_of(in.type) / 2;
  for_lanes(mask, [&](std::uint32_t i) {
    std::uint64_t out = 0;
    for (std::uint32_t k = 0; k < values; ++k) {
      const auto part = [&](const std::uint64_t* from) {
        return widen(static_cast<std::uint16_t>(from[i] >> (16 * k)), format);
      };
      double value = small_result(in.op, part(a), part(b), part(c));
      if (in.saturate) value = saturated(value);
      out |= std::uint64_t{narrow(value, format)} << (16 * k);
    }
    d[i] = out;
  });
}

bool has_small_form(Op op) {
  switch (op) {
    case Op::add:
    case Op::sub:
    case Op::mul:
    case Op::fma:
    case Op::neg:
    case Op::abs:
    case Op::min:
    case Op::max:
    case Op::ex2:
    case Op::tanh:
      return true;
    default:
      return false;
  }
}

}  // namespace

ptx::Handler select_float(const Instruction& in) {
  if (!ptx::is_float(in.type)) return nullptr;
  if (in.type != Type::f32 && in.type != Type::f64) return has_small_form(in.op) ? small_arithmetic : nullptr;
  switch (in.op) {
    case Op::add:
      return choose<FAdd, 2>(in);
    case Op::sub:
      return choose<FSub, 2>(in);
    case Op::mul:
      return choose<FMul, 2>(in);
    case Op::div:
      return choose<FDiv, 2>(in);
    case Op::fma:
    case Op::mad:
      return choose<FFma, 3>(in);
    case Op::neg:
      return choose<FNeg, 1>(in);
    case Op::abs:
      return choose<FAbs, 1>(in);
    case Op::min:
      return choose<FMin, 2>(in);
    case Op::max:
      return choose<FMax, 2>(in);
    case Op::rcp:
      return choose<FRcp, 1>(in);
    case Op::sqrt:
      return choose<FSqrt, 1>(in);
    case Op::rsqrt:
      return choose<FRsqrt, 1>(in);
    case Op::sin:
      return choose<FSin, 1>(in);
    case Op::cos:
      return choose<FCos, 1>(in);
    case Op::lg2:
      return choose<FLg2, 1>(in);
    case Op::ex2:
      return choose<FEx2, 1>(in);
    case Op::tanh:
      return choose<FTanh, 1>(in);
    case Op::copysign:
      return choose<FCopysign, 2>(in);
    default:
      return nullptr;
  }
}

}  // namespace vgpu::sim::exec
