// Handles as they travel: numbers made by the guest, bound by the worker to what the driver gave.
//
//   bits 44..48 kind, 20..43 generation, 0..19 index
//
// A handle is never 0, 1 or 2 (the special streams), and the same number comes back only after its index was used 2^24
// times.
#pragma once

#include <cstdint>

namespace vgpu::wire {

enum class Kind : uint8_t {
  none,
  context,
  module,
  library,
  kernel,
  function,
  stream,
  event,
  graph,
  exec,
  pool,
  node,
  memory,
  array,
  mipmap,
  texref,
  surfref
};
inline constexpr unsigned kKinds = 17;
inline constexpr uint32_t kMaxIndex = (1u << 20) - 1;
inline constexpr uint32_t kMaxGeneration = (1u << 24) - 1;

/// A handle of one kind inside an operation's structure.
template <Kind K>
struct Id {
  uint64_t value = 0;
};

constexpr uint64_t make_handle(Kind kind, uint32_t generation, uint32_t index) {
  return static_cast<uint64_t>(kind) << 44 | static_cast<uint64_t>(generation & kMaxGeneration) << 20 |
         (index & kMaxIndex);
}
constexpr Kind kind_of(uint64_t handle) {
  const uint64_t kind = handle >> 44;
  return kind < kKinds ? static_cast<Kind>(kind) : Kind::none;
}
constexpr uint32_t generation_of(uint64_t handle) { return static_cast<uint32_t>(handle >> 20) & kMaxGeneration; }
constexpr uint32_t index_of(uint64_t handle) { return static_cast<uint32_t>(handle) & kMaxIndex; }

}  // namespace vgpu::wire
