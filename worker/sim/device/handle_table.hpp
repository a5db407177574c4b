// Handles of one kind of object: numbers that are never used twice and never followed, so that a stale one is only not
// found. Thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <unordered_map>
#include <vector>

namespace vgpu::sim::device {

/// A number that looks like a pointer and is none.
inline std::uint64_t next_handle() {
  static std::atomic<std::uint64_t> next{0x5600'0000'1000};
  return next.fetch_add(16, std::memory_order_relaxed);
}

template <typename Object>
class HandleTable {
 public:
  void add(std::uint64_t handle, std::shared_ptr<Object> object) {
    const std::unique_lock lock(mutex_);
    objects_[handle] = std::move(object);
  }
  std::shared_ptr<Object> find(const void* handle) const {
    const std::shared_lock lock(mutex_);
    const auto found = objects_.find(reinterpret_cast<std::uint64_t>(handle));
    return found == objects_.end() ? nullptr : found->second;
  }
  std::shared_ptr<Object> take(const void* handle) {
    const std::unique_lock lock(mutex_);
    const auto found = objects_.find(reinterpret_cast<std::uint64_t>(handle));
    if (found == objects_.end()) return nullptr;
    std::shared_ptr<Object> object = std::move(found->second);
    objects_.erase(found);
    return object;
  }
  template <typename Visit>
  void for_each(Visit visit) {
    const std::shared_lock lock(mutex_);
    for (const auto& [handle, object] : objects_) visit(*object);
  }
  /// Removes what `matches`.
  template <typename Matches>
  void remove_if(Matches matches) {
    std::vector<std::shared_ptr<Object>> removed;  // destroyed after the lock is given back
    const std::unique_lock lock(mutex_);
    for (auto entry = objects_.begin(); entry != objects_.end();) {
      if (matches(*entry->second)) {
        removed.push_back(std::move(entry->second));
        entry = objects_.erase(entry);
      } else {
        ++entry;
      }
    }
  }

 private:
  mutable std::shared_mutex mutex_;
  std::unordered_map<std::uint64_t, std::shared_ptr<Object>> objects_;
};

}  // namespace vgpu::sim::device
