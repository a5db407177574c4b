// Comparisons and selections.
#include "worker/sim/exec/half.hpp"
#include "worker/sim/exec/lanes.hpp"
#include "worker/sim/exec/select.hpp"

namespace vgpu::sim::exec {
namespace {

using ptx::Compare;
using ptx::Instruction;
using ptx::LaneMask;
using ptx::Op;
using ptx::Type;
using ptx::Variant;

constexpr std::uint32_t less = 1, equal = 2, greater = 4, unordered = 8;

/// The relations of two values for which a comparison holds.
std::uint32_t accepted(Compare compare) {
  switch (compare) {
    case Compare::eq:
      return equal;
    case Compare::ne:
      return less | greater;
    case Compare::lt:
    case Compare::lo:
      return less;
    case Compare::le:
    case Compare::ls:
      return less | equal;
    case Compare::gt:
    case Compare::hi:
      return greater;
    case Compare::ge:
    case Compare::hs:
      return greater | equal;
    case Compare::equ:
      return equal | unordered;
    case Compare::neu:
      return less | greater | unordered;
    case Compare::ltu:
      return less | unordered;
    case Compare::leu:
      return less | equal | unordered;
    case Compare::gtu:
      return greater | unordered;
    case Compare::geu:
      return greater | equal | unordered;
    case Compare::num:
      return less | equal | greater;
    case Compare::nan:
      return unordered;
    default:
      return 0;
  }
}

template <typename T>
std::uint32_t relation(T a, T b) {
  return std::uint32_t{a < b} * less | std::uint32_t{a == b} * equal | std::uint32_t{a > b} * greater |
         (std::is_floating_point_v<T> ? std::uint32_t{!(a < b) && !(a == b) && !(a > b)} * unordered : 0);
}

struct Half {};
struct Bfloat {};

template <typename T>
std::uint32_t compare_bits(std::uint64_t a, std::uint64_t b) {
  if constexpr (std::is_same_v<T, Half>)
    return relation(widen(static_cast<std::uint16_t>(a), half_format),
                    widen(static_cast<std::uint16_t>(b), half_format));
  else if constexpr (std::is_same_v<T, Bfloat>)
    return relation(widen(static_cast<std::uint16_t>(a), bfloat_format),
                    widen(static_cast<std::uint16_t>(b), bfloat_format));
  else
    return relation(get<T>(a), get<T>(b));
}

std::uint64_t combined(Variant how, std::uint64_t a, std::uint64_t b) {
  if (how == Variant::and_) return a & b;
  if (how == Variant::or_) return a | b;
  return a ^ b;
}

template <typename T>
void set_predicate(Warp& warp, const Instruction& in, LaneMask mask) {
  const std::uint64_t *a = warp.read(in.src[0]), *b = warp.read(in.src[1]), *c = warp.read(in.src[2]);
  std::uint64_t* p = warp.write(in.dst[0]);
  std::uint64_t* q = in.dst[1] ? warp.write(in.dst[1]) : nullptr;
  const std::uint32_t accept = accepted(in.compare);
  if (q == nullptr && in.combine == Variant::none) {
    for_lanes(mask, [=](std::uint32_t i) { p[i] = (compare_bits<T>(a[i], b[i]) & accept) != 0; });
    return;
  }
  for_lanes(mask, [&](std::uint32_t i) {
    const std::uint64_t holds = (compare_bits<T>(a[i], b[i]) & accept) != 0;
    const std::uint64_t other = (c[i] & 1) ^ (in.wide ? 1u : 0u);
    p[i] = in.combine == Variant::none ? holds : combined(in.combine, holds, other);
    if (q != nullptr) q[i] = in.combine == Variant::none ? holds ^ 1 : combined(in.combine, holds ^ 1, other);
  });
}

template <typename T>
void set_value(Warp& warp, const Instruction& in, LaneMask mask) {
  const std::uint64_t *a = warp.read(in.src[0]), *b = warp.read(in.src[1]), *c = warp.read(in.src[2]);
  std::uint64_t* d = warp.write(in.dst[0]);
  const std::uint32_t accept = accepted(in.compare);
  const std::uint64_t yes = in.type == Type::f32 ? put(1.0f) : in.type == Type::s32 ? ~0ull : 0xffff'ffffu;
  for_lanes(mask, [&](std::uint32_t i) {
    std::uint64_t holds = (compare_bits<T>(a[i], b[i]) & accept) != 0;
    if (in.combine != Variant::none) holds = combined(in.combine, holds, (c[i] & 1) ^ (in.wide ? 1u : 0u));
    d[i] = holds != 0 ? yes : 0;
  });
}

void select_by_predicate(Warp& warp, const Instruction& in, LaneMask mask) {
  const std::uint64_t *a = warp.read(in.src[0]), *b = warp.read(in.src[1]), *c = warp.read(in.src[2]);
  std::uint64_t* d = warp.write(in.dst[0]);
  for_lanes(mask, [=](std::uint32_t i) { d[i] = (c[i] & 1) != 0 ? a[i] : b[i]; });
}

template <typename T>
void select_by_sign(Warp& warp, const Instruction& in, LaneMask mask) {
  const std::uint64_t *a = warp.read(in.src[0]), *b = warp.read(in.src[1]), *c = warp.read(in.src[2]);
  std::uint64_t* d = warp.write(in.dst[0]);
  for_lanes(mask, [=](std::uint32_t i) { d[i] = get<T>(c[i]) >= 0 ? a[i] : b[i]; });
}

template <typename Choose>
ptx::Handler by_comparable(Type type, Choose choose) {
  switch (type) {
    case Type::f32:
      return choose(Tag<float>{});
    case Type::f64:
      return choose(Tag<double>{});
    case Type::f16:
      return choose(Tag<Half>{});
    case Type::bf16:
      return choose(Tag<Bfloat>{});
    default:
      return by_integer(type, choose);
  }
}

}  // namespace

ptx::Handler select_compare(const Instruction& in) {
  switch (in.op) {
    case Op::setp:
      if (in.compare == Compare::none || in.flush)
        return in.compare != Compare::none && in.type == Type::f32 ? set_predicate<float> : nullptr;
      return by_comparable(in.type,
                           [](auto tag) -> ptx::Handler { return set_predicate<typename decltype(tag)::type>; });
    case Op::set:
      if (in.compare == Compare::none || (in.type != Type::u32 && in.type != Type::s32 && in.type != Type::f32))
        return nullptr;
      return by_comparable(in.from, [](auto tag) -> ptx::Handler { return set_value<typename decltype(tag)::type>; });
    case Op::selp:
      return ptx::size_of(in.type) >= 2 && in.combine == Variant::none ? select_by_predicate : nullptr;
    case Op::slct:
      if (in.from == Type::s32) return select_by_sign<std::int32_t>;
      return in.from == Type::f32 ? select_by_sign<float> : nullptr;
    default:
      return nullptr;
  }
}

}  // namespace vgpu::sim::exec
