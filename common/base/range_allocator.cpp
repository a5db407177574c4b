#include "common/base/range_allocator.hpp"

#include <iterator>

namespace vgpu::base {

uint64_t RangeAllocator::allocate(uint64_t size, uint64_t alignment) {
  if (size == 0 || size > ~uint64_t{0} - granule_) return kNone;
  size = (size + granule_ - 1) & ~(granule_ - 1);
  if (alignment < granule_) alignment = granule_;
  for (auto range = free_.begin(); range != free_.end(); ++range) {
    const auto [begin, length] = *range;
    const uint64_t at = (begin + alignment - 1) & ~(alignment - 1);
    const uint64_t skipped = at - begin;
    if (skipped > length || length - skipped < size) continue;
    free_.erase(range);
    if (skipped != 0) free_[begin] = skipped;
    if (const uint64_t rest = length - skipped - size; rest != 0) free_[at + size] = rest;
    used_[at] = size;
    return at;
  }
  return kNone;
}

uint64_t RangeAllocator::release(uint64_t at) {
  const auto found = used_.find(at);
  if (found == used_.end()) return 0;
  const uint64_t size = found->second;
  used_.erase(found);
  extend(at, size);
  return size;
}

void RangeAllocator::extend(uint64_t at, uint64_t size) {
  auto range = free_.emplace(at, size).first;
  if (const auto next = std::next(range); next != free_.end() && at + size == next->first) {
    range->second += next->second;
    free_.erase(next);
  }
  if (range != free_.begin()) {
    const auto before = std::prev(range);
    if (before->first + before->second == at) {
      before->second += range->second;
      free_.erase(range);
    }
  }
}

bool RangeAllocator::claim(uint64_t at, uint64_t size) {
  if (!shrink(at, at + size)) return false;
  used_[at] = size;
  return true;
}

bool RangeAllocator::shrink(uint64_t begin, uint64_t end) {
  if (end <= begin || begin % granule_ != 0 || end % granule_ != 0) return false;
  auto range = free_.upper_bound(begin);
  if (range == free_.begin()) return false;
  --range;
  const auto [first, length] = *range;
  if (end - first > length) return false;
  free_.erase(range);
  if (begin != first) free_[first] = begin - first;
  if (first + length != end) free_[end] = first + length - end;
  return true;
}

uint64_t RangeAllocator::size_at(uint64_t at) const {
  const auto found = used_.find(at);
  return found == used_.end() ? 0 : found->second;
}

}  // namespace vgpu::base
