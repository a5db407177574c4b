// Handles of one kind: numbers the guest made, bound to objects of the worker. A guest can name anything; lookups check
// kind, generation and bounds.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "common/wire/handle.hpp"

namespace vgpu::worker {

template <typename T>
class HandleTable {
 public:
  /// Indices below `limit` can be bound: a limit on how many there are, and on the table's size.
  explicit HandleTable(wire::Kind kind, uint32_t limit = wire::kMaxIndex + 1) : kind_(kind), limit_(limit) {}

  /// The object behind a handle; null if there is none. Valid until the next bind or drop.
  T* find(uint64_t handle) {
    const uint32_t index = wire::index_of(handle);
    if (index >= slots_.size() || slots_[index].handle != handle || handle == 0) return nullptr;
    return &slots_[index].object;
  }
  /// True if bind() would accept it: the kind fits and the index is free.
  bool can_bind(uint64_t handle) const {
    const uint32_t index = wire::index_of(handle);
    return is_ours(handle) && index < limit_ && (index >= slots_.size() || slots_[index].handle == 0);
  }
  /// True if it could be bound were there no limit.
  bool is_beyond_limit(uint64_t handle) const { return is_ours(handle) && wire::index_of(handle) >= limit_; }
  /// Binds a handle; false if can_bind is. The table grows with the largest index in use.
  bool bind(uint64_t handle, T object) {
    if (!can_bind(handle)) return false;
    const uint32_t index = wire::index_of(handle);
    if (index >= slots_.size()) slots_.resize(std::clamp<size_t>(slots_.size() * 2, index + 1, limit_));
    slots_[index] = {handle, std::move(object)};
    ++count_;
    return true;
  }
  bool drop(uint64_t handle) {
    if (find(handle) == nullptr) return false;
    slots_[wire::index_of(handle)] = {};
    --count_;
    return true;
  }
  /// Calls visit(handle, object) for every bound handle; drops those for which it returns true.
  template <typename Visit>
  void drop_if(Visit visit) {
    for (auto& slot : slots_) {
      if (slot.handle != 0 && visit(slot.handle, slot.object)) {
        slot = {};
        --count_;
      }
    }
  }
  template <typename Visit>
  void for_each(Visit visit) {
    for (auto& slot : slots_) {
      if (slot.handle != 0) visit(slot.handle, slot.object);
    }
  }
  size_t count() const { return count_; }

 private:
  struct Slot {
    uint64_t handle = 0;
    T object{};
  };
  bool is_ours(uint64_t handle) const { return wire::kind_of(handle) == kind_; }

  wire::Kind kind_;
  uint32_t limit_;
  std::vector<Slot> slots_;
  size_t count_ = 0;
};

}  // namespace vgpu::worker
