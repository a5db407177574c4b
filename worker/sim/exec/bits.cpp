// Bit operations, shifts and permutations.
#include "worker/sim/exec/lanes.hpp"
#include "worker/sim/exec/select.hpp"

namespace vgpu::sim::exec {
namespace {

using ptx::Instruction;
using ptx::LaneMask;
using ptx::Op;
using ptx::Variant;

struct And {
  template <typename T>
  static T apply(T a, T b) {
    return static_cast<T>(a & b);
  }
};
struct Or {
  template <typename T>
  static T apply(T a, T b) {
    return static_cast<T>(a | b);
  }
};
struct Xor {
  template <typename T>
  static T apply(T a, T b) {
    return static_cast<T>(a ^ b);
  }
};
struct Not {
  template <typename T>
  static T apply(T a) {
    return static_cast<T>(~a);
  }
};
struct NotPredicate {
  template <typename T>
  static T apply(T a) {
    return static_cast<T>(~a & 1);
  }
};
struct CNot {
  template <typename T>
  static T apply(T a) {
    return a == 0 ? 1 : 0;
  }
};
struct Popc {
  template <typename T>
  static std::uint32_t apply(T a) {
    return static_cast<std::uint32_t>(std::popcount(a));
  }
};
struct Clz {
  template <typename T>
  static std::uint32_t apply(T a) {
    return static_cast<std::uint32_t>(std::countl_zero(a));
  }
};
struct Brev {
  template <typename T>
  static T apply(T a) {
    T out = 0;
    for (std::uint32_t i = 0; i < 8 * sizeof(T); ++i)
      out = static_cast<T>(out | ((a >> i & 1) << (8 * sizeof(T) - 1 - i)));
    return out;
  }
};

/// The position of the highest significant bit; of a negative number, of the highest zero.
template <typename T, bool as_shift>
struct Bfind {
  static std::uint32_t apply(T a) {
    using U = std::make_unsigned_t<T>;
    auto bits = static_cast<U>(a);
    if (std::is_signed_v<T> && a < 0) bits = static_cast<U>(~bits);
    if (bits == 0) return ~0u;
    const auto zeros = static_cast<std::uint32_t>(std::countl_zero(bits));
    return as_shift ? zeros : static_cast<std::uint32_t>(8 * sizeof(T) - 1) - zeros;
  }
};

/// Shift amounts are 32 bits wide and clamp at the width.
template <typename T, bool left>
void shift(Warp& warp, const Instruction& in, LaneMask mask) {
  constexpr std::uint32_t width = 8 * sizeof(T);
  const std::uint64_t *a = warp.read(in.src[0]), *b = warp.read(in.src[1]);
  std::uint64_t* d = warp.write(in.dst[0]);
  for_lanes(mask, [=](std::uint32_t i) {
    const auto amount = static_cast<std::uint32_t>(b[i]);
    const T value = get<T>(a[i]);
    const std::uint32_t safe = amount < width ? amount : width - 1;
    if constexpr (left)
      d[i] = amount < width ? put(static_cast<T>(static_cast<std::make_unsigned_t<T>>(value) << safe)) : 0;
    else if constexpr (std::is_signed_v<T>)
      d[i] = put(static_cast<T>(value >> safe));
    else
      d[i] = amount < width ? put(static_cast<T>(value >> safe)) : 0;
  });
}

void funnel_shift(Warp& warp, const Instruction& in, LaneMask mask) {
  const std::uint64_t *a = warp.read(in.src[0]), *b = warp.read(in.src[1]), *c = warp.read(in.src[2]);
  std::uint64_t* d = warp.write(in.dst[0]);
  const bool clamp = in.variant == Variant::clamp;
  const bool right = in.high;
  for_lanes(mask, [=](std::uint32_t i) {
    const std::uint64_t both = (b[i] & 0xffff'ffffu) << 32 | (a[i] & 0xffff'ffffu);
    const auto wanted = static_cast<std::uint32_t>(c[i]);
    const std::uint32_t amount = clamp ? (wanted < 32 ? wanted : 32) : wanted & 31;
    d[i] = right ? static_cast<std::uint32_t>(both >> amount) : static_cast<std::uint32_t>(both << amount >> 32);
  });
}

template <typename T>
void bit_field_extract(Warp& warp, const Instruction& in, LaneMask mask) {
  constexpr std::uint32_t width = 8 * sizeof(T);
  using U = std::make_unsigned_t<T>;
  const std::uint64_t *a = warp.read(in.src[0]), *b = warp.read(in.src[1]), *c = warp.read(in.src[2]);
  std::uint64_t* d = warp.write(in.dst[0]);
  for_lanes(mask, [=](std::uint32_t i) {
    const U value = get<U>(a[i]);
    const auto begin = static_cast<std::uint32_t>(b[i] & 0xff);
    const auto length = static_cast<std::uint32_t>(c[i] & 0xff);
    const std::uint32_t last = begin + length - 1 < width - 1 ? begin + length - 1 : width - 1;
    const bool negative = std::is_signed_v<T> && length != 0 && (value >> last & 1) != 0;
    U out = begin < width ? static_cast<U>(value >> begin) : U{0};
    const std::uint32_t kept = length < width ? length : width;
    const std::uint32_t available = begin < width ? width - begin : 0;
    const std::uint32_t bits = kept < available ? kept : available;
    const U low = bits >= width ? static_cast<U>(~U{0}) : static_cast<U>((U{1} << bits) - 1);
    out = static_cast<U>(out & low);
    if (negative) out = static_cast<U>(out | static_cast<U>(~low));
    d[i] = put(static_cast<T>(out));
  });
}

template <typename T>
void bit_field_insert(Warp& warp, const Instruction& in, LaneMask mask) {
  constexpr std::uint32_t width = 8 * sizeof(T);
  const std::uint64_t *a = warp.read(in.src[0]), *b = warp.read(in.src[1]), *c = warp.read(in.src[2]),
                      *e = warp.read(in.src[3]);
  std::uint64_t* d = warp.write(in.dst[0]);
  for_lanes(mask, [=](std::uint32_t i) {
    const auto begin = static_cast<std::uint32_t>(c[i] & 0xff);
    const auto length = static_cast<std::uint32_t>(e[i] & 0xff);
    const T low = length >= width ? static_cast<T>(~T{0}) : static_cast<T>((T{1} << length) - 1);
    const T field = begin < width ? static_cast<T>(low << begin) : T{0};
    const T inserted = begin < width ? static_cast<T>(get<T>(a[i]) << begin) : T{0};
    d[i] = static_cast<T>((inserted & field) | (get<T>(b[i]) & static_cast<T>(~field)));
  });
}

void lop3(Warp& warp, const Instruction& in, LaneMask mask) {
  const std::uint64_t *a = warp.read(in.src[0]), *b = warp.read(in.src[1]), *c = warp.read(in.src[2]),
                      *table = warp.read(in.src[3]);
  std::uint64_t* d = warp.write(in.dst[0]);
  for_lanes(mask, [=](std::uint32_t i) {
    std::uint32_t out = 0;
    for (std::uint32_t row = 0; row < 8; ++row) {
      if ((table[i] >> row & 1) == 0) continue;
      const std::uint64_t x = row & 4 ? a[i] : ~a[i], y = row & 2 ? b[i] : ~b[i], z = row & 1 ? c[i] : ~c[i];
      out |= static_cast<std::uint32_t>(x & y & z);
    }
    d[i] = out;
  });
}

void permute(Warp& warp, const Instruction& in, LaneMask mask) {
  const std::uint64_t *a = warp.read(in.src[0]), *b = warp.read(in.src[1]), *c = warp.read(in.src[2]);
  std::uint64_t* d = warp.write(in.dst[0]);
  for_lanes(mask, [=](std::uint32_t i) {
    const std::uint64_t bytes = (b[i] & 0xffff'ffffu) << 32 | (a[i] & 0xffff'ffffu);
    const auto selector = static_cast<std::uint32_t>(c[i]);
    std::uint32_t out = 0;
    for (std::uint32_t k = 0; k < 4; ++k) {
      const std::uint32_t pick = selector >> (4 * k) & 0xf;
      auto byte = static_cast<std::uint8_t>(bytes >> (8 * (pick & 7)));
      if (pick & 8) byte = byte & 0x80 ? 0xff : 0;
      out |= std::uint32_t{byte} << (8 * k);
    }
    d[i] = out;
  });
}

void active_mask(Warp& warp, const Instruction& in, LaneMask mask) {
  std::uint64_t* d = warp.write(in.dst[0]);
  for_lanes(mask, [=](std::uint32_t i) { d[i] = mask; });
}

template <typename Function>
ptx::Handler bitwise(const Instruction& in) {
  if (in.type == ptx::Type::pred) return map2<std::uint64_t, Function>;
  return by_bits(in.type, [](auto tag) -> ptx::Handler { return map2<typename decltype(tag)::type, Function>; });
}

ptx::Handler select_find(const Instruction& in) {
  return by_integer(in.type, [&](auto tag) -> ptx::Handler {
    using T = typename decltype(tag)::type;
    if constexpr (sizeof(T) == 2)
      return nullptr;
    else
      return in.high ? map1<T, Bfind<T, true>> : map1<T, Bfind<T, false>>;
  });
}

}  // namespace

ptx::Handler select_bits(const Instruction& in) {
  const auto one = [&]<typename Function>(Function) {
    return by_bits(in.type, [](auto tag) -> ptx::Handler { return map1<typename decltype(tag)::type, Function>; });
  };
  if (ptx::is_float(in.type)) return nullptr;
  switch (in.op) {
    case Op::and_:
      return bitwise<And>(in);
    case Op::or_:
      return bitwise<Or>(in);
    case Op::xor_:
      return bitwise<Xor>(in);
    case Op::not_:
      return in.type == ptx::Type::pred ? map1<std::uint64_t, NotPredicate> : one(Not{});
    case Op::cnot:
      return one(CNot{});
    case Op::popc:
      return one(Popc{});
    case Op::clz:
      return one(Clz{});
    case Op::brev:
      return one(Brev{});
    case Op::bfind:
      return select_find(in);
    case Op::shl:
      return by_integer(in.type, [](auto tag) -> ptx::Handler { return shift<typename decltype(tag)::type, true>; });
    case Op::shr:
      return by_integer(in.type, [](auto tag) -> ptx::Handler { return shift<typename decltype(tag)::type, false>; });
    case Op::shf:
      return in.variant == Variant::wrap || in.variant == Variant::clamp ? funnel_shift : nullptr;
    case Op::bfe:
      return by_integer(in.type,
                        [](auto tag) -> ptx::Handler { return bit_field_extract<typename decltype(tag)::type>; });
    case Op::bfi:
      return by_bits(in.type, [](auto tag) -> ptx::Handler { return bit_field_insert<typename decltype(tag)::type>; });
    case Op::lop3:
      return lop3;
    case Op::prmt:
      return in.variant == Variant::none ? permute : nullptr;
    case Op::activemask:
      return active_mask;
    default:
      return nullptr;
  }
}

}  // namespace vgpu::sim::exec
