// A piece of the window's heap that no extent covers (not registered with the driver): for images and logs on their way
// to the worker.
#pragma once

#include <cstddef>
#include <cstdint>

namespace vgpu::shim {

/// Owns the range: given back to the heap with the object.
class HeapRange {
 public:
  HeapRange() = default;
  /// Empty (false) if the heap is full or no channel is open.
  static HeapRange take(size_t bytes);
  HeapRange(HeapRange&& other) noexcept;
  HeapRange& operator=(HeapRange&& other) noexcept;
  ~HeapRange();

  explicit operator bool() const { return data_ != nullptr; }
  /// Offset in the window, as operations name it.
  uint64_t offset() const { return offset_; }
  uint8_t* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  uint64_t offset_ = 0;
  uint8_t* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace vgpu::shim
