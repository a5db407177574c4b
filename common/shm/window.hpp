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

/// The mapping of a window: unmapped with this object.
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
  /// Maps at the first candidate that is free.
  static base::Result<Window> map(int fd, size_t size);

  uintptr_t base() const { return reinterpret_cast<uintptr_t>(base_); }
  size_t size() const { return size_; }
  explicit operator bool() const { return base_ != nullptr; }

  /// True if [offset, offset + length) lies inside the window.
  bool contains(uint64_t offset, uint64_t length) const { return offset <= size_ && length <= size_ - offset; }
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
  Window(uint8_t* base, size_t size) : base_(base), size_(size) {}
  uint8_t* base_ = nullptr;
  size_t size_ = 0;
};

/// Offset of a reply slot.
constexpr uint64_t slot_offset(uint32_t slot) {
  return VGPU_SLOTS_OFFSET + static_cast<uint64_t>(slot) * VGPU_SLOT_SIZE;
}

}  // namespace vgpu::shm
