// Copies and fills: which memory the two ends are in, and the work itself, done when the stream gets there.
#pragma once

#include <cstddef>
#include <cstdint>

#include "worker/sim/device/stream.hpp"

namespace vgpu::sim::device {

/// Kinds of memory that an address can be in.
enum class Place { device, pinned, pageable };

Place place_of(std::uint64_t address);
/// True if the driver refuses to copy this range: it leaves an allocation, or a registration, half way.
bool is_refused(std::uint64_t address, std::uint64_t size);

/// A rectangle of rows; a plain copy has one row.
struct Area {
  std::uint64_t address = 0;
  std::uint64_t pitch = 0;
};

Work copy_work(Area to, Area from, std::uint64_t width, std::uint64_t height);
/// `element` bytes (1, 2 or 4) of `value`, `width` times in each row.
Work fill_work(Area to, std::uint32_t value, std::uint32_t element, std::uint64_t width, std::uint64_t height);

}  // namespace vgpu::sim::device
