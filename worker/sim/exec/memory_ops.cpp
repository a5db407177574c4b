// Moves, loads, stores and addresses.
#include "worker/sim/exec/block.hpp"
#include "worker/sim/exec/lanes.hpp"
#include "worker/sim/exec/select.hpp"

namespace vgpu::sim::exec {
namespace {

using ptx::Instruction;
using ptx::LaneMask;
using ptx::Op;
using ptx::Space;
using ptx::Type;

void move(Warp& warp, const Instruction& in, LaneMask mask) {
  const std::uint64_t* a = warp.read(in.src[0]);
  std::uint64_t* d = warp.write(in.dst[0]);
  for_lanes(mask, [=](std::uint32_t i) { d[i] = a[i]; });
}

std::uint64_t low_bits(std::uint32_t count) { return count >= 64 ? ~0ull : (1ull << count) - 1; }

void unpack(Warp& warp, const Instruction& in, LaneMask mask) {
  const std::uint32_t width = 8 * ptx::size_of(in.type) / in.vector;
  const std::uint64_t* a = warp.read(in.src[0]);
  // The source may be one of the destinations.
  LaneValues from;
  for_lanes(mask, [&](std::uint32_t i) { from.lane[i] = a[i]; });
  for (std::uint32_t k = 0; k < in.vector; ++k) {
    std::uint64_t* d = warp.write(in.dst[k]);
    for_lanes(mask, [&](std::uint32_t i) { d[i] = from.lane[i] >> (width * k) & low_bits(width); });
  }
}

void pack(Warp& warp, const Instruction& in, LaneMask mask) {
  const std::uint32_t width = 8 * ptx::size_of(in.type) / in.vector;
  LaneValues out{};
  for (std::uint32_t k = 0; k < in.vector; ++k) {
    const std::uint64_t* a = warp.read(in.src[k]);
    for_lanes(mask, [&](std::uint32_t i) { out.lane[i] |= (a[i] & low_bits(width)) << (width * k); });
  }
  std::uint64_t* d = warp.write(in.dst[0]);
  for_lanes(mask, [&](std::uint32_t i) { d[i] = out.lane[i]; });
}

// Memory is shared with other kernels, copies and the host program, so each access is a relaxed atomic.
template <typename T>
void load(Warp& warp, const Instruction& in, LaneMask mask) {
  const std::uint64_t* base = warp.read(in.src[0]);
  // A destination may be the address register.
  LaneValues address;
  for_lanes(mask, [&](std::uint32_t i) { address.lane[i] = base[i] + static_cast<std::uint64_t>(in.offset); });
  std::uint64_t* d[4];
  for (std::uint32_t k = 0; k < in.vector; ++k) d[k] = warp.write(in.dst[k]);
  for_lanes(mask, [&](std::uint32_t i) {
    const std::byte* at = warp.resolve(i, address.lane[i], sizeof(T) * in.vector, in.space);
    if (at == nullptr) return;
    for (std::uint32_t k = 0; k < in.vector; ++k)
      d[k][i] = put(__atomic_load_n(reinterpret_cast<const T*>(at) + k, __ATOMIC_RELAXED));
  });
}

template <typename T>
void store(Warp& warp, const Instruction& in, LaneMask mask) {
  const std::uint64_t* base = warp.read(in.src[0]);
  const std::uint64_t* values[4];
  for (std::uint32_t k = 0; k < in.vector; ++k) values[k] = warp.read(in.src[k + 1]);
  for_lanes(mask, [&](std::uint32_t i) {
    std::byte* at = warp.resolve(i, base[i] + static_cast<std::uint64_t>(in.offset), sizeof(T) * in.vector, in.space);
    if (at == nullptr) return;
    for (std::uint32_t k = 0; k < in.vector; ++k)
      __atomic_store_n(reinterpret_cast<T*>(at) + k, static_cast<T>(values[k][i]), __ATOMIC_RELAXED);
  });
}

std::uint64_t window_of(Space space) {
  switch (space) {
    case Space::shared:
      return shared_window;
    case Space::local:
      return local_window;
    case Space::kernel_param:
    case Space::param:
      return param_window;
    default:
      return 0;
  }
}

void convert_address(Warp& warp, const Instruction& in, LaneMask mask) {
  const std::uint64_t* a = warp.read(in.src[0]);
  std::uint64_t* d = warp.write(in.dst[0]);
  const std::uint64_t window = in.to_space ? 0 - window_of(in.space) : window_of(in.space);
  for_lanes(mask, [=](std::uint32_t i) { d[i] = a[i] + window; });
}

void is_in_space(Warp& warp, const Instruction& in, LaneMask mask) {
  const std::uint64_t* a = warp.read(in.src[0]);
  std::uint64_t* d = warp.write(in.dst[0]);
  const std::uint64_t window = window_of(in.space);
  for_lanes(mask, [=](std::uint32_t i) { d[i] = window != 0 ? a[i] - window < window_span : a[i] < function_window; });
}

ptx::Handler select_load(Type type) {
  switch (type) {
    case Type::b8:
    case Type::u8:
      return load<std::uint8_t>;
    case Type::s8:
      return load<std::int8_t>;
    case Type::s16:
      return load<std::int16_t>;
    case Type::s32:
      return load<std::int32_t>;
    default:
      switch (ptx::size_of(type)) {
        case 2:
          return load<std::uint16_t>;
        case 4:
          return load<std::uint32_t>;
        case 8:
          return load<std::uint64_t>;
        default:
          return nullptr;
      }
  }
}

ptx::Handler select_store(Type type) {
  switch (ptx::size_of(type)) {
    case 1:
      return store<std::uint8_t>;
    case 2:
      return store<std::uint16_t>;
    case 4:
      return store<std::uint32_t>;
    case 8:
      return store<std::uint64_t>;
    default:
      return nullptr;
  }
}

}  // namespace

ptx::Handler select_move(const Instruction& in) {
  switch (in.op) {
    case Op::mov: {
      if (in.vector == 1)
        return in.type == Type::pred || (ptx::size_of(in.type) != 0 && ptx::size_of(in.type) <= 8) ? move : nullptr;
      const std::uint32_t size = ptx::size_of(in.type);
      if (size == 0 || size > 8 || size < in.vector) return nullptr;
      return in.variant == ptx::Variant::left ? unpack : pack;
    }
    case Op::cvta:
      return convert_address;
    case Op::isspacep:
      return in.space == Space::generic ? nullptr : is_in_space;
    default:
      return nullptr;
  }
}

ptx::Handler select_memory(const Instruction& in) {
  if (in.op == Op::ld) return select_load(in.type);
  if (in.op == Op::st) return in.space == Space::constant ? nullptr : select_store(in.type);
  return nullptr;
}

}  // namespace vgpu::sim::exec
