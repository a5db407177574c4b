// Access to BAR0: aligned 32-bit loads and stores. An interface, so that tests put a device of their own behind it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "common/base/result.hpp"

namespace vgpu::guestd {

class Registers {
 public:
  virtual ~Registers() = default;

  virtual uint32_t load(uint32_t offset) const = 0;
  virtual void store(uint32_t offset, uint32_t value) = 0;

  uint64_t load64(uint32_t offset) const {
    const uint64_t low = load(offset);
    return low | static_cast<uint64_t>(load(offset + 4)) << 32;
  }
  /// Buffers, word by word; sizes are multiples of four.
  void copy_in(uint32_t offset, std::span<const std::byte> from);
  void copy_out(uint32_t offset, std::span<std::byte> to) const;
};

/// Maps the first `size` bytes of a BAR; the descriptor may be closed afterwards.
base::Result<std::unique_ptr<Registers>> map_registers(int fd, size_t size);

}  // namespace vgpu::guestd
