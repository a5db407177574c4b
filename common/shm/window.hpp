// A channel's memory as mapped by one process. Only this folder and common/ring turn its offsets into pointers.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "common/abi/window_layout.h"
#include "common/base/result.hpp"

namespace vgpu::shm {

/// Addresses tried in turn for the window; free in ordinary processes, and clear of the ranges sanitizers use.
inline constexpr uintptr_t kWindowCandidates[] = {0x100000000000, 0x180000000000, 0x7e8000000000, 0x7ea000000000,
                                                  0x480000000000};

/// Below lies what null pointers reach, and small programs: a guest must not have the window there.
inline constexpr uintptr_t kLowestWindow = uintptr_t{1} << 32;

/// Where a channel lies behind its descriptor, and how far it may grow. Bytes.
struct Place {
  uint64_t offset = 0;
  size_t size = 0;
  size_t capacity = 0;  // less than size: it cannot grow
};

/// The mapping of a window: unmapped with this object. A window that can grow has the addresses of its whole capacity,
/// but only the first size() bytes are there.
class Window {
 public:
  Window() = default;
  Window(Window&& other) noexcept;
  Window& operator=(Window&& other) noexcept;
  Window(const Window&) = delete;
  Window& operator=(const Window&) = delete;
  ~Window();

  /// Maps `size` bytes of `fd` at exactly `address`, which must be free and not below kLowestWindow.
  static base::Result<Window> map_at(int fd, size_t size, uintptr_t address);
  static base::Result<Window> map_at(int fd, const Place& place, uintptr_t address);
  /// Maps at the first candidate that is free.
  static base::Result<Window> map(int fd, size_t size) { return map(fd, Place{0, size, 0}); }
  static base::Result<Window> map(int fd, const Place& place);

  /// Puts `size` more bytes, from `offset` of `fd`, behind what is there. One thread at a time; others may use the
  /// window meanwhile.
  base::Result<void> grow(int fd, uint64_t offset, size_t size);
  /// Takes the last `size` bytes away, which nobody may use any more. Never the part that was there from the start.
  base::Result<void> shrink(size_t size);

  uintptr_t base() const { return reinterpret_cast<uintptr_t>(base_); }
  /// acquire: partner of grow(), which publishes a mapping that is complete.
  size_t size() const { return size_.load(std::memory_order_acquire); }
  size_t capacity() const { return capacity_; }
  explicit operator bool() const { return base_ != nullptr; }

  /// True if [offset, offset + length) lies inside the window.
  bool contains(uint64_t offset, uint64_t length) const {
    const size_t size = this->size();
    return offset <= size && length <= size - offset;
  }
  /// True if it lies inside the heap, the part that a guest may name in a copy.
  bool heap_contains(uint64_t offset, uint64_t length) const {
    return offset >= VGPU_HEAP_OFFSET && contains(offset, length);
  }

  /// A word that the other side may write at any time. `offset` is a constant of window_layout.h, or checked by the
  /// caller.
  std::atomic_ref<uint32_t> word32(uint64_t offset) const {
    return std::atomic_ref<uint32_t>(*reinterpret_cast<uint32_t*>(base_ + offset));
  }
  std::atomic_ref<uint64_t> word64(uint64_t offset) const {
    return std::atomic_ref<uint64_t>(*reinterpret_cast<uint64_t*>(base_ + offset));
  }
  /// Copies out of the window into private memory: false outside it. The other side may change the bytes meanwhile,
  /// never their number.
  bool copy_out(uint64_t offset, std::span<uint8_t> to) const;
  bool copy_in(uint64_t offset, std::span<const uint8_t> from) const;
  /// The address of opaque bytes, for the driver's copy engine and for the guest's own memory; null outside the window.
  void* bytes(uint64_t offset, uint64_t length) const { return contains(offset, length) ? base_ + offset : nullptr; }
  /// Offset of an address inside the window; false if it is not one.
  bool offset_of(const void* address, uint64_t& offset) const;

 private:
  Window(uint8_t* base, size_t size, size_t capacity) : base_(base), size_(size), first_(size), capacity_(capacity) {}
  uint8_t* base_ = nullptr;
  std::atomic<size_t> size_{0};
  size_t first_ = 0;     // size at the start
  size_t capacity_ = 0;  // at least size_
};

/// Offset of a reply slot.
constexpr uint64_t slot_offset(uint32_t slot) {
  return VGPU_SLOTS_OFFSET + static_cast<uint64_t>(slot) * VGPU_SLOT_SIZE;
}

}  // namespace vgpu::shm
