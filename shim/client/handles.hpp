// Makes the numbers that programs see as handles.
#pragma once

#include <cstdint>
#include <mutex>
#include <vector>

#include "common/wire/handle.hpp"

namespace vgpu::shim {

/// Free indices and generations of one kind of handle. Thread-safe.
class HandleAllocator {
 public:
  explicit HandleAllocator(wire::Kind kind) : kind_(kind) {}

  /// 0 if all 2^20 indices are in use.
  uint64_t make();
  /// The index may come back, with another generation. Ignores handles that are not the index's newest.
  void discard(uint64_t handle);

 private:
  const wire::Kind kind_;
  std::mutex mutex_;
  std::vector<uint32_t> generations_;  // of every index ever used: the newest
  std::vector<uint32_t> free_;
};

/// A handle as it travels.
inline uint64_t number(const void* handle) { return reinterpret_cast<uint64_t>(handle); }

/// The process's allocator of a kind.
HandleAllocator& handles(wire::Kind kind);

}  // namespace vgpu::shim
