#include "worker/sim/memory/host_ranges.hpp"

#include <sys/mman.h>

#include <mutex>

namespace vgpu::sim::memory {

void* allocate_host(std::size_t size) {
  void* at = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return at == MAP_FAILED ? nullptr : at;
}

void free_host(const HostRange& range) { ::munmap(reinterpret_cast<void*>(range.address), range.size); }

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

std::vector<HostRange> HostRanges::remove_owned(std::uint64_t context) {
  std::vector<HostRange> out;
  const std::unique_lock lock(mutex_);
  for (auto entry = ranges_.begin(); entry != ranges_.end();) {
    if (entry->second.context == context) {
      out.push_back(entry->second);
      entry = ranges_.erase(entry);
    } else {
      ++entry;
    }
  }
  return out;
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
