// What the guest knows of objects behind handles of one kind. Lookups take no lock: they are on the path of every
// launch.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>

#include "common/wire/handle.hpp"

namespace vgpu::shim {

/// Entries are never moved or freed, so that a handle used beside its destruction reads old data instead of freed
/// memory. `T` is copied in before the handle becomes visible; members that change later are atomics of T's own.
template <typename T>
class ObjectTable {
 public:
  constexpr ObjectTable() = default;
  ObjectTable(const ObjectTable&) = delete;
  ObjectTable& operator=(const ObjectTable&) = delete;

  void insert(uint64_t handle, const T& value) {
    Entry& entry = entry_for(wire::index_of(handle));
    entry.value = value;
    // release: pairs with find(); the value is complete before the handle can be found.
    entry.handle.store(handle, std::memory_order_release);
  }
  /// Null if the handle is none of ours, or not any more.
  T* find(uint64_t handle) {
    const uint32_t index = wire::index_of(handle);
    Chunk* chunk = chunks_[index / kChunk].load(std::memory_order_acquire);
    if (chunk == nullptr || handle == 0) return nullptr;
    Entry& entry = chunk->entries[index % kChunk];
    return entry.handle.load(std::memory_order_acquire) == handle ? &entry.value : nullptr;
  }
  /// True for the one caller that ended the handle's life.
  bool remove(uint64_t handle) {
    const uint32_t index = wire::index_of(handle);
    Chunk* chunk = chunks_[index / kChunk].load(std::memory_order_acquire);
    if (chunk == nullptr || handle == 0) return false;
    return chunk->entries[index % kChunk].handle.compare_exchange_strong(handle, 0, std::memory_order_acq_rel);
  }
  /// Calls visit(handle, value) for every live entry.
  template <typename Visit>
  void each(Visit visit) {
    for (auto& slot : chunks_) {
      Chunk* chunk = slot.load(std::memory_order_acquire);
      if (chunk == nullptr) continue;
      for (Entry& entry : chunk->entries)
        if (const uint64_t handle = entry.handle.load(std::memory_order_acquire); handle != 0)
          visit(handle, entry.value);
    }
  }

 private:
  static constexpr uint32_t kChunk = 1024;
  struct Entry {
    std::atomic<uint64_t> handle{0};
    T value{};
  };
  struct Chunk {
    Entry entries[kChunk];
  };

  Entry& entry_for(uint32_t index) {
    auto& slot = chunks_[index / kChunk];
    Chunk* chunk = slot.load(std::memory_order_acquire);
    if (chunk == nullptr) {
      const std::lock_guard lock(grow_);
      chunk = slot.load(std::memory_order_acquire);
      if (chunk == nullptr) {
        chunk = new Chunk;
        slot.store(chunk, std::memory_order_release);
      }
    }
    return chunk->entries[index % kChunk];
  }

  std::mutex grow_;
  std::atomic<Chunk*> chunks_[(wire::kMaxIndex + 1) / kChunk]{};
};

}  // namespace vgpu::shim
