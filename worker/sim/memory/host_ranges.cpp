#include "worker/sim/memory/host_ranges.hpp"

#include <mutex>

namespace vgpu::sim::memory {

bool HostRanges::add(HostRange range) {
  const std::unique_lock lock(mutex_);
  const auto after = ranges_.lower_bound(range.address);
  if (after != ranges_.end() && after->first - range.address < range.size) return false;
  if (after != ranges_.begin() && std::prev(after)->second.contains(range.address, 1)) return false;
  range.id = next_id_++;
  ranges_[range.address] = range;
  return true;
}

std::optional<HostRange> HostRanges::remove(std::uint64_t address) {
  const std::unique_lock lock(mutex_);
  const auto found = ranges_.find(address);
  if (found == ranges_.end()) return std::nullopt;
  const HostRange range = found->second;
  ranges_.erase(found);
  return range;
}

std::optional<HostRange> HostRanges::find(std::uint64_t address) const {
  const std::shared_lock lock(mutex_);
  const auto after = ranges_.upper_bound(address);
  if (after == ranges_.begin()) return std::nullopt;
  const HostRange& range = std::prev(after)->second;
  if (!range.contains(address, 1)) return std::nullopt;
  return range;
}

bool HostRanges::straddles(std::uint64_t address, std::uint64_t size) const {
  if (size == 0) return false;
  const std::shared_lock lock(mutex_);
  const auto after = ranges_.upper_bound(address);
  if (after != ranges_.begin()) {
    const HostRange& range = std::prev(after)->second;
    if (range.contains(address, 1)) return !range.contains(address, size);
  }
  return after != ranges_.end() && after->first - address < size;
}

}  // namespace vgpu::sim::memory
