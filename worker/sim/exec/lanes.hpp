// What handlers are made of: a value of type T in a lane's 64-bit register, and functions mapped over the lanes.
#pragma once

#include <bit>
#include <cstdint>
#include <type_traits>

#include "worker/sim/exec/warp.hpp"

namespace vgpu::sim::exec {

template <typename T>
inline T get(std::uint64_t bits) {
  if constexpr (std::is_same_v<T, float>)
    return std::bit_cast<float>(static_cast<std::uint32_t>(bits));
  else if constexpr (std::is_same_v<T, double>)
    return std::bit_cast<double>(bits);
  else
    return static_cast<T>(bits);
}

// Signed values are stored sign-extended, so that a wider register reads them as PTX says.
template <typename T>
inline std::uint64_t put(T value) {
  if constexpr (std::is_same_v<T, float>)
    return std::bit_cast<std::uint32_t>(value);
  else if constexpr (std::is_same_v<T, double>)
    return std::bit_cast<std::uint64_t>(value);
  else if constexpr (std::is_signed_v<T>)
    return static_cast<std::uint64_t>(static_cast<std::int64_t>(value));
  else
    return value;
}

template <typename T, typename Function>
void map1(Warp& warp, const ptx::Instruction& in, ptx::LaneMask mask) {
  const std::uint64_t* a = warp.read(in.src[0]);
  std::uint64_t* d = warp.write(in.dst[0]);
  for_lanes(mask, [=](std::uint32_t i) { d[i] = put(Function::apply(get<T>(a[i]))); });
}

template <typename T, typename Function>
void map2(Warp& warp, const ptx::Instruction& in, ptx::LaneMask mask) {
  const std::uint64_t* a = warp.read(in.src[0]);
  const std::uint64_t* b = warp.read(in.src[1]);
  std::uint64_t* d = warp.write(in.dst[0]);
  for_lanes(mask, [=](std::uint32_t i) { d[i] = put(Function::apply(get<T>(a[i]), get<T>(b[i]))); });
}

template <typename T, typename Function>
void map3(Warp& warp, const ptx::Instruction& in, ptx::LaneMask mask) {
  const std::uint64_t* a = warp.read(in.src[0]);
  const std::uint64_t* b = warp.read(in.src[1]);
  const std::uint64_t* c = warp.read(in.src[2]);
  std::uint64_t* d = warp.write(in.dst[0]);
  for_lanes(mask, [=](std::uint32_t i) { d[i] = put(Function::apply(get<T>(a[i]), get<T>(b[i]), get<T>(c[i]))); });
}

/// A C++ type as a value, for choosing template instances at run time.
template <typename T>
struct Tag {
  using type = T;
};

using NoHandler = std::nullptr_t;

/// choose(Tag<T>) for the integer type that stands for `type`; bit types count as unsigned. Null for others.
template <typename Choose>
ptx::Handler by_integer(ptx::Type type, Choose choose) {
  using ptx::Type;
  switch (type) {
    case Type::b16:
    case Type::u16:
      return choose(Tag<std::uint16_t>{});
    case Type::b32:
    case Type::u32:
      return choose(Tag<std::uint32_t>{});
    case Type::b64:
    case Type::u64:
      return choose(Tag<std::uint64_t>{});
    case Type::s16:
      return choose(Tag<std::int16_t>{});
    case Type::s32:
      return choose(Tag<std::int32_t>{});
    case Type::s64:
      return choose(Tag<std::int64_t>{});
    default:
      return nullptr;
  }
}

/// The same with unsigned types only.
template <typename Choose>
ptx::Handler by_bits(ptx::Type type, Choose choose) {
  switch (ptx::size_of(type)) {
    case 2:
      return choose(Tag<std::uint16_t>{});
    case 4:
      return choose(Tag<std::uint32_t>{});
    case 8:
      return choose(Tag<std::uint64_t>{});
    default:
      return nullptr;
  }
}

}  // namespace vgpu::sim::exec
