// Integer arithmetic.
#include <limits>

#include "worker/sim/exec/lanes.hpp"
#include "worker/sim/exec/select.hpp"

namespace vgpu::sim::exec {
namespace {

using ptx::Instruction;
using ptx::LaneMask;
using ptx::Op;

template <typename T>
using Unsigned = std::make_unsigned_t<T>;
__extension__ using Wide128 = __int128;
__extension__ using UnsignedWide128 = unsigned __int128;

/// Twice as wide, same signedness.
template <typename T>
using Wider = std::conditional_t<
    sizeof(T) == 2, std::conditional_t<std::is_signed_v<T>, std::int32_t, std::uint32_t>,
    std::conditional_t<sizeof(T) == 4, std::conditional_t<std::is_signed_v<T>, std::int64_t, std::uint64_t>,
                       std::conditional_t<std::is_signed_v<T>, Wide128, UnsignedWide128>>>;

// Arithmetic is modulo 2^n: done on unsigned values, 64 bits wide so that no promotion to int can overflow.
template <typename T>
T wrap(std::uint64_t value) {
  return static_cast<T>(value);
}

struct Add {
  template <typename T>
  static T apply(T a, T b) {
    return wrap<T>(std::uint64_t(a) + std::uint64_t(b));
  }
};
struct Sub {
  template <typename T>
  static T apply(T a, T b) {
    return wrap<T>(std::uint64_t(a) - std::uint64_t(b));
  }
};
struct MulLow {
  template <typename T>
  static T apply(T a, T b) {
    return wrap<T>(std::uint64_t(a) * std::uint64_t(b));
  }
};
struct MulHigh {
  template <typename T>
  static T apply(T a, T b) {
    return static_cast<T>((Wider<T>(a) * Wider<T>(b)) >> (8 * sizeof(T)));
  }
};
struct MulWide {
  template <typename T>
  static Wider<T> apply(T a, T b) {
    return static_cast<Wider<T>>(std::uint64_t(a) * std::uint64_t(b));
  }
};
struct MadLow {
  template <typename T>
  static T apply(T a, T b, T c) {
    return wrap<T>(std::uint64_t(a) * std::uint64_t(b) + std::uint64_t(c));
  }
};
struct MadHigh {
  template <typename T>
  static T apply(T a, T b, T c) {
    return Add::apply(MulHigh::apply(a, b), c);
  }
};
// Division by zero gives what the hardware gives: all ones, and the dividend as remainder.
struct Div {
  template <typename T>
  static T apply(T a, T b) {
    if (b == 0) return static_cast<T>(~Unsigned<T>{0});
    if constexpr (std::is_signed_v<T>)
      if (b == -1) return wrap<T>(0 - std::uint64_t(a));
    return static_cast<T>(a / b);
  }
};
struct Rem {
  template <typename T>
  static T apply(T a, T b) {
    if (b == 0) return a;
    if constexpr (std::is_signed_v<T>)
      if (b == -1) return 0;
    return static_cast<T>(a % b);
  }
};
struct Min {
  template <typename T>
  static T apply(T a, T b) {
    return a < b ? a : b;
  }
};
struct Max {
  template <typename T>
  static T apply(T a, T b) {
    return a > b ? a : b;
  }
};
struct Neg {
  template <typename T>
  static T apply(T a) {
    return wrap<T>(0 - std::uint64_t(a));
  }
};
struct Abs {
  template <typename T>
  static T apply(T a) {
    return a < 0 ? Neg::apply(a) : a;
  }
};
struct Sad {
  template <typename T>
  static T apply(T a, T b, T c) {
    return Add::apply(c, a < b ? Sub::apply(b, a) : Sub::apply(a, b));
  }
};
struct AddSaturated {
  static std::int32_t clamp(std::int64_t value) {
    using Limits = std::numeric_limits<std::int32_t>;
    return static_cast<std::int32_t>(value < Limits::min()   ? Limits::min()
                                     : value > Limits::max() ? Limits::max()
                                                             : value);
  }
  static std::int32_t apply(std::int32_t a, std::int32_t b) { return clamp(std::int64_t{a} + b); }
};
struct SubSaturated {
  static std::int32_t apply(std::int32_t a, std::int32_t b) { return AddSaturated::clamp(std::int64_t{a} - b); }
};
template <typename T>
struct Mul24 {
  static std::int64_t low24(T a) {
    const std::uint32_t bits = static_cast<std::uint32_t>(a) & 0xff'ffff;
    if (std::is_signed_v<T> && (bits & 0x80'0000) != 0) return static_cast<std::int64_t>(bits) - 0x100'0000;
    return bits;
  }
  static T apply(T a, T b) { return static_cast<T>(low24(a) * low24(b)); }
  static T apply(T a, T b, T c) { return static_cast<T>(std::uint64_t(low24(a) * low24(b)) + std::uint64_t(c)); }
};

template <typename T>
void mad_wide(Warp& warp, const Instruction& in, LaneMask mask) {
  using W = Wider<T>;
  const std::uint64_t *a = warp.read(in.src[0]), *b = warp.read(in.src[1]), *c = warp.read(in.src[2]);
  std::uint64_t* d = warp.write(in.dst[0]);
  for_lanes(mask, [=](std::uint32_t i) {
    d[i] = put(static_cast<W>(std::uint64_t(MulWide::apply(get<T>(a[i]), get<T>(b[i]))) + c[i]));
  });
}

/// add/sub/mad with carries: computes in 128 bits, keeps what is above the type as the carry.
template <typename T>
void with_carry(Warp& warp, const Instruction& in, LaneMask mask) {
  using U = Unsigned<T>;
  const bool product = in.op == Op::mad || in.op == Op::madc;
  const bool minus = in.op == Op::sub || in.op == Op::subc;
  const bool takes = in.op == Op::addc || in.op == Op::subc || in.op == Op::madc;
  const std::uint64_t *a = warp.read(in.src[0]), *b = warp.read(in.src[1]), *c = warp.read(in.src[2]);
  std::uint64_t* d = warp.write(in.dst[0]);
  std::uint64_t* carry = warp.carry();
  for_lanes(mask, [&](std::uint32_t i) {
    UnsignedWide128 left = get<U>(a[i]);
    UnsignedWide128 right = get<U>(b[i]);
    if (product) {
      left = static_cast<U>(in.high ? MulHigh::apply(get<T>(a[i]), get<T>(b[i]))
                                    : MulLow::apply(get<T>(a[i]), get<T>(b[i])));
      right = get<U>(c[i]);
    }
    const UnsignedWide128 in_carry = takes ? carry[i] : 0;
    const UnsignedWide128 sum = minus ? left - right - in_carry : left + right + in_carry;
    d[i] = put(static_cast<T>(static_cast<U>(sum)));
    if (in.carry_out) carry[i] = static_cast<std::uint64_t>(sum >> (8 * sizeof(T))) & 1;
  });
}

template <bool is_signed>
void dot_product(Warp& warp, const Instruction& in, LaneMask mask) {
  const std::uint64_t *a = warp.read(in.src[0]), *b = warp.read(in.src[1]), *c = warp.read(in.src[2]);
  std::uint64_t* d = warp.write(in.dst[0]);
  for_lanes(mask, [=](std::uint32_t i) {
    auto sum = static_cast<std::uint32_t>(c[i]);
    for (std::uint32_t byte = 0; byte < 32; byte += 8) {
      const auto x = static_cast<std::uint8_t>(a[i] >> byte), y = static_cast<std::uint8_t>(b[i] >> byte);
      if constexpr (is_signed)
        sum += static_cast<std::uint32_t>(std::int32_t{static_cast<std::int8_t>(x)} * static_cast<std::int8_t>(y));
      else
        sum += std::uint32_t{x} * y;
    }
    d[i] = put(static_cast<std::int32_t>(sum));
  });
}

ptx::Handler select_multiply(const Instruction& in) {
  const bool add = in.op == Op::mad;
  if (in.saturate) return nullptr;
  return by_integer(in.type, [&](auto tag) -> ptx::Handler {
    using T = typename decltype(tag)::type;
    if (in.wide) {
      if constexpr (sizeof(T) == 8)
        return nullptr;
      else
        return add ? mad_wide<T> : map2<T, MulWide>;
    }
    if (add) return in.high ? map3<T, MadHigh> : map3<T, MadLow>;
    return in.high ? map2<T, MulHigh> : map2<T, MulLow>;
  });
}

template <typename Function>
ptx::Handler select2(ptx::Type type) {
  return by_integer(type, [](auto tag) -> ptx::Handler { return map2<typename decltype(tag)::type, Function>; });
}

}  // namespace

ptx::Handler select_integer(const Instruction& in) {
  const bool carries = in.carry_out || in.op == Op::addc || in.op == Op::subc || in.op == Op::madc;
  if (carries && (in.op == Op::add || in.op == Op::addc || in.op == Op::sub || in.op == Op::subc || in.op == Op::mad ||
                  in.op == Op::madc)) {
    return by_integer(in.type, [](auto tag) -> ptx::Handler { return with_carry<typename decltype(tag)::type>; });
  }
  const auto one = [&]<typename Function>(Function) {
    return by_integer(in.type, [](auto tag) -> ptx::Handler { return map1<typename decltype(tag)::type, Function>; });
  };
  if (in.saturate && (in.op == Op::add || in.op == Op::sub)) {
    if (in.type != ptx::Type::s32) return nullptr;
    return in.op == Op::add ? map2<std::int32_t, AddSaturated> : map2<std::int32_t, SubSaturated>;
  }
  switch (in.op) {
    case Op::add:
      return select2<Add>(in.type);
    case Op::sub:
      return select2<Sub>(in.type);
    case Op::mul:
    case Op::mad:
      return select_multiply(in);
    case Op::div:
      return select2<Div>(in.type);
    case Op::rem:
      return select2<Rem>(in.type);
    case Op::min:
      return select2<Min>(in.type);
    case Op::max:
      return select2<Max>(in.type);
    case Op::neg:
      return one(Neg{});
    case Op::abs:
      return one(Abs{});
    case Op::sad:
      return by_integer(in.type, [](auto tag) -> ptx::Handler { return map3<typename decltype(tag)::type, Sad>; });
    case Op::mul24:
    case Op::mad24:
      if (in.high) return nullptr;
      if (in.type == ptx::Type::s32)
        return in.op == Op::mul24 ? map2<std::int32_t, Mul24<std::int32_t>> : map3<std::int32_t, Mul24<std::int32_t>>;
      if (in.type == ptx::Type::u32)
        return in.op == Op::mul24 ? map2<std::uint32_t, Mul24<std::uint32_t>>
                                  : map3<std::uint32_t, Mul24<std::uint32_t>>;
      return nullptr;
    case Op::dp4a:
      if (in.type != in.from) return nullptr;
      return in.type == ptx::Type::s32 ? dot_product<true> : dot_product<false>;
    default:
      return nullptr;
  }
}

}  // namespace vgpu::sim::exec
