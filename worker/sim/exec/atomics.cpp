// atom and red, on global, shared and mapped host memory.
#include "worker/sim/exec/lanes.hpp"
#include "worker/sim/exec/select.hpp"

namespace vgpu::sim::exec {
namespace {

using ptx::Instruction;
using ptx::LaneMask;
using ptx::Type;
using ptx::Variant;

template <typename T>
T updated(Variant operation, T old, T b, T c) {
  if constexpr (std::is_floating_point_v<T>) {
    return operation == Variant::add ? old + b : b;
  } else {
    using U = std::make_unsigned_t<T>;
    switch (operation) {
      case Variant::add:
        return static_cast<T>(static_cast<U>(old) + static_cast<U>(b));
      case Variant::min:
        return old < b ? old : b;
      case Variant::max:
        return old > b ? old : b;
      case Variant::inc:
        return old >= b ? T{0} : static_cast<T>(old + 1);
      case Variant::dec:
        return old == 0 || old > b ? b : static_cast<T>(old - 1);
      case Variant::and_:
        return old & b;
      case Variant::or_:
        return old | b;
      case Variant::xor_:
        return old ^ b;
      case Variant::cas:
        return old == b ? c : old;
      default:
        return b;
    }
  }
}

template <typename T>
void atomic(Warp& warp, const Instruction& in, LaneMask mask) {
  using Bits = std::conditional_t<sizeof(T) == 2, std::uint16_t,
                                  std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>>;
  const std::uint64_t *base = warp.read(in.src[0]), *b = warp.read(in.src[1]), *c = warp.read(in.src[2]);
  std::uint64_t* d = warp.write(in.dst[0]);
  for_lanes(mask, [&](std::uint32_t i) {
    std::byte* at = warp.resolve(i, base[i] + static_cast<std::uint64_t>(in.offset), sizeof(T), in.space);
    if (at == nullptr) return;
    auto* word = reinterpret_cast<Bits*>(at);
    Bits old = __atomic_load_n(word, __ATOMIC_SEQ_CST);
    Bits next = 0;
    do next = std::bit_cast<Bits>(updated(in.variant, std::bit_cast<T>(old), get<T>(b[i]), get<T>(c[i])));
    while (!__atomic_compare_exchange_n(word, &old, next, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
    d[i] = put(std::bit_cast<T>(old));
  });
}

}  // namespace

ptx::Handler select_atomic(const Instruction& in) {
  if (in.op != ptx::Op::atom && in.op != ptx::Op::red) return nullptr;
  const bool arithmetic = in.variant == Variant::add || in.variant == Variant::min || in.variant == Variant::max ||
                          in.variant == Variant::inc || in.variant == Variant::dec;
  const bool bitwise = in.variant == Variant::and_ || in.variant == Variant::or_ || in.variant == Variant::xor_;
  const bool exchange = in.variant == Variant::exch || in.variant == Variant::cas;
  if ((!arithmetic && !bitwise && !exchange) || in.vector != 1) return nullptr;
  if (ptx::is_float(in.type)) {
    if (in.variant != Variant::add) return nullptr;
    if (in.type == Type::f32) return atomic<float>;
    return in.type == Type::f64 ? atomic<double> : nullptr;
  }
  return by_integer(in.type, [](auto tag) -> ptx::Handler { return atomic<typename decltype(tag)::type>; });
}

}  // namespace vgpu::sim::exec
