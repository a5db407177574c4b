#include "worker/objects/allocations.hpp"

#include <algorithm>

namespace vgpu::worker {
namespace {

/// How many addresses of graphs may lie inside one another before the outer ones are not found.
constexpr unsigned kMostNested = 64;

bool is_charged(Memory kind) { return kind == Memory::device || kind == Memory::pool || kind == Memory::graph; }

}  // namespace

void Allocations::add(uint64_t base, Range range) {
  const Range* known = at(base);
  if (known != nullptr && known->kind == Memory::graph && range.kind == Memory::graph)
    range.size = std::max(range.size, known->size);
  remove(base);  // the driver gave the address again: what stood here is gone
  ranges_.emplace(base, range);
  if (is_charged(range.kind)) charged_.add(range.device, range.size);
  if (range.kind == Memory::window) pinned_ += range.size;
  if (range.kind == Memory::graph) ++graph_ranges_;
}

const Allocations::Range* Allocations::at(uint64_t base) const {
  const auto found = ranges_.find(base);
  return found == ranges_.end() ? nullptr : &found->second;
}

bool Allocations::remove(uint64_t base) {
  const auto found = ranges_.find(base);
  if (found == ranges_.end()) return false;
  if (is_charged(found->second.kind)) charged_.remove(found->second.device, found->second.size);
  if (found->second.kind == Memory::window) pinned_ -= found->second.size;
  if (found->second.kind == Memory::graph) --graph_ranges_;
  ranges_.erase(found);
  return true;
}

const Allocations::Range* Allocations::holding(uint64_t address, uint64_t size) const {
  auto next = ranges_.upper_bound(address);
  for (unsigned looked = 0; next != ranges_.begin() && looked < kMostNested; ++looked) {
    const auto& [base, range] = *--next;
    if (holds(base, range, address, size)) return &range;
    if (range.kind != Memory::graph) break;
  }
  return nullptr;
}

bool Allocations::holds(uint64_t base, const Range& range, uint64_t address, uint64_t size) const {
  const uint64_t offset = address - base;
  if (offset > range.size) return false;
  if (size <= range.size - offset) return true;
  return range.kind == Memory::mapped && continues(base, range, size - (range.size - offset));
}

bool Allocations::continues(uint64_t base, const Range& range, uint64_t size) const {
  uint64_t end = base + range.size;
  for (auto next = ranges_.find(end); next != ranges_.end(); next = ranges_.find(end)) {
    const Range& here = next->second;
    if (here.kind != Memory::mapped || here.owner != range.owner) return false;
    if (size <= here.size) return true;
    size -= here.size;
    end += here.size;
  }
  return false;
}

bool Allocations::overlaps(uint64_t address, uint64_t size) const {
  if (size != 0 && covers(address, 1)) return true;
  const auto next = ranges_.lower_bound(address);
  return next != ranges_.end() && next->first - address < size;
}

}  // namespace vgpu::worker
