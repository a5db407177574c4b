#include "shim/staging/heap_range.hpp"

#include <mutex>
#include <utility>
#include <vector>

#include "common/abi/window_layout.h"
#include "common/base/range_allocator.hpp"
#include "shim/staging/extents.hpp"
#include "shim/staging/heap.hpp"

namespace vgpu::shim {
namespace {

using base::RangeAllocator;

// Small ranges share blocks of this size; larger ones get heap memory of their own.
constexpr uint64_t kBlock = 8u << 20;
constexpr uint64_t kSmall = 1u << 20;
constexpr uint64_t kGranule = 4096;

struct Block {
  uint64_t offset;
  RangeAllocator space;
};

constinit std::mutex g_blocks_mutex;
std::vector<Block*>& blocks() {
  static auto* const all = new std::vector<Block*>;
  return *all;
}

uint64_t take_small(size_t bytes) {
  const std::lock_guard lock(g_blocks_mutex);
  for (Block* block : blocks())
    if (const uint64_t at = block->space.allocate(bytes, kGranule); at != RangeAllocator::kNone) return at;
  const uint64_t offset = take_heap(kBlock);
  if (offset == RangeAllocator::kNone) return offset;
  blocks().push_back(new Block{offset, RangeAllocator(offset, kBlock, kGranule)});
  return blocks().back()->space.allocate(bytes, kGranule);
}

void give_back(uint64_t offset) {
  {
    const std::lock_guard lock(g_blocks_mutex);
    for (Block* block : blocks())
      if (offset - block->offset < kBlock) {
        block->space.release(offset);
        return;
      }
  }
  give_back_heap(offset);
}

}  // namespace

HeapRange HeapRange::take(size_t bytes) {
  HeapRange range;
  const uint64_t size = bytes == 0 ? 1 : bytes;
  const uint64_t offset = size <= kSmall ? take_small(size) : take_heap(size);
  if (offset == RangeAllocator::kNone) return range;
  range.offset_ = offset;
  range.data_ = heap_address(offset);
  range.size_ = bytes;
  return range;
}

HeapRange::HeapRange(HeapRange&& other) noexcept
    : offset_(std::exchange(other.offset_, 0)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

HeapRange& HeapRange::operator=(HeapRange&& other) noexcept {
  std::swap(offset_, other.offset_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

HeapRange::~HeapRange() {
  if (data_ != nullptr) give_back(offset_);
}

}  // namespace vgpu::shim
