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
  explicit HandleTable(wire::Kind kind) : kind_(kind) {}

  /// The object behind a handle; null if there is none. Valid until the next bind or drop.
  T* find(uint64_t handle) {
    const uint32_t index = wire::index_of(handle);
    if (index >= slots_.size() || slots_[index].handle != handle || handle == 0) return nullptr;
    return &slots_[index].object;
  }
  /// True if bind() would accept it: the kind fits and the index is free.
  bool can_bind(uint64_t handle) const {
    const uint32_t index = wire::index_of(handle);
    return wire::kind_of(handle) == kind_ && (handle >> 48) == 0 &&
           (index >= slots_.size() || slots_[index].handle == 0);
  }
  /// Binds a handle; false if can_bind is. The table grows with the largest index in use, at most 2^20.
  bool bind(uint64_t handle, T object) {
    if (!can_bind(handle)) return false;
    const uint32_t index = wire::index_of(handle);
    if (index >= slots_.size()) slots_.resize(std::max<size_t>(index + 1, slots_.size() * 2));
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
  wire::Kind kind_;
  std::vector<Slot> slots_;
  size_t count_ = 0;
};

}  // namespace vgpu::worker
