// First fit over a range of numbers, with all bookkeeping outside of the range: what the other side sees of it is only
// the memory.
#pragma once

#include <cstdint>
#include <map>

namespace vgpu::base {

/// Not thread-safe. Sizes and alignments are multiples of the granule, a power of two.
class RangeAllocator {
 public:
  static constexpr uint64_t kNone = ~uint64_t{0};

  RangeAllocator(uint64_t begin, uint64_t size, uint64_t granule) : granule_(granule) {
    begin = (begin + granule - 1) & ~(granule - 1);
    size &= ~(granule - 1);
    if (size != 0) free_[begin] = size;
  }

  /// The lowest place that fits, or kNone. `alignment` is a power of two.
  uint64_t allocate(uint64_t size, uint64_t alignment);
  /// Size of the allocation that begins at `at`, now free again; 0 if there is none.
  uint64_t release(uint64_t at);
  /// Takes exactly this range; false if not all of it is free.
  bool claim(uint64_t at, uint64_t size);
  /// Adds a range that was not part of it.
  void extend(uint64_t at, uint64_t size);
  /// Takes [begin, end) out of it; false if not all of it is free.
  bool shrink(uint64_t begin, uint64_t end);
  /// Size of the allocation that begins at `at`; 0 if there is none.
  uint64_t size_at(uint64_t at) const;
  bool is_empty() const { return used_.empty(); }

 private:
  const uint64_t granule_;
  std::map<uint64_t, uint64_t> free_;  // begin -> size; neighbours are always merged
  std::map<uint64_t, uint64_t> used_;
};

}  // namespace vgpu::base
