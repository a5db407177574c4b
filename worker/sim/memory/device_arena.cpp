#include "worker/sim/memory/device_arena.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

namespace vgpu::sim::memory {
namespace {

/// Alignment of allocations; CUDA promises 256, drivers give 512.
constexpr std::uint64_t alignment = 512;
/// What a fresh allocation holds. Only its first part is filled, so that large ones stay cheap.
constexpr int fresh_pattern = 0xa5;
constexpr std::uint64_t filled_bytes = 4u << 20;
constexpr std::uint64_t page = 4096;

std::uint64_t rounded(std::uint64_t size) { return (size + alignment - 1) / alignment * alignment; }

}  // namespace

Mapping::Mapping(std::size_t size, bool accessible) {
  void* at = ::mmap(nullptr, size, accessible ? PROT_READ | PROT_WRITE : PROT_NONE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (at == MAP_FAILED) return;
  data_ = static_cast<std::byte*>(at);
  size_ = size;
}

Mapping::Mapping(Mapping&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

Mapping& Mapping::operator=(Mapping&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

Mapping::~Mapping() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

DeviceArena::DeviceArena(std::uint64_t size)
    : size_(size / page * page),
      window_(size_, false),
      bytes_(size_, true),
      valid_(size_ / granule * sizeof(std::uint16_t), true) {
  if (is_open()) free_[base()] = size_;
}

std::uint64_t DeviceArena::used() const {
  const std::lock_guard lock(mutex_);
  return used_;
}

std::optional<Allocation> DeviceArena::allocate(std::uint64_t size, std::uint64_t owner, bool stream_ordered) {
  if (size == 0 || size > size_) return std::nullopt;
  const std::uint64_t length = rounded(size);
  const std::lock_guard lock(mutex_);
  const auto room = std::find_if(free_.begin(), free_.end(), [&](const auto& range) { return range.second >= length; });
  if (room == free_.end()) return std::nullopt;
  const Allocation allocation{room->first, size, next_id_++, owner, stream_ordered};
  const std::uint64_t rest = room->second - length;
  free_.erase(room);
  if (rest > 0) free_[allocation.address + length] = rest;
  allocations_[allocation.address] = allocation;
  used_ += length;
  std::memset(bytes_.data() + (allocation.address - base()), fresh_pattern, std::min(size, filled_bytes));
  return allocation;
}

bool DeviceArena::release(std::uint64_t address) {
  const std::lock_guard lock(mutex_);
  const auto found = allocations_.find(address);
  if (found == allocations_.end()) return false;
  std::uint64_t begin = address;
  std::uint64_t length = rounded(found->second.size);
  allocations_.erase(found);
  used_ -= length;
  const std::uint64_t first_page = (begin - base() + page - 1) / page * page;
  const std::uint64_t end_page = (begin - base() + length) / page * page;
  if (end_page > first_page) ::madvise(bytes_.data() + first_page, end_page - first_page, MADV_DONTNEED);
  auto after = free_.lower_bound(begin);
  if (after != free_.end() && after->first == begin + length) {
    length += after->second;
    after = free_.erase(after);
  }
  if (after != free_.begin()) {
    const auto before = std::prev(after);
    if (before->first + before->second == begin) {
      before->second += length;
      return true;
    }
  }
  free_[begin] = length;
  return true;
}

void DeviceArena::release_owned(std::uint64_t owner) {
  std::vector<Allocation> owned;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [address, allocation] : allocations_)
      if (allocation.owner == owner) owned.push_back(allocation);
  }
  for (const Allocation& allocation : owned) {
    set_live(allocation, false);
    release(allocation.address);
  }
}

bool DeviceArena::claim(std::uint64_t address) {
  const std::lock_guard lock(mutex_);
  const auto found = allocations_.find(address);
  if (found == allocations_.end() || found->second.going) return false;
  found->second.going = true;
  return true;
}

void DeviceArena::set_live(const Allocation& allocation, bool live) {
  auto* valid = reinterpret_cast<std::uint16_t*>(valid_.data()) + (allocation.address - base()) / granule;
  for (std::uint64_t left = allocation.size; left > 0; ++valid) {
    const std::uint64_t here = std::min(left, granule);
    __atomic_store_n(valid, live ? static_cast<std::uint16_t>(here) : std::uint16_t{0}, __ATOMIC_RELAXED);
    left -= here;
  }
}

std::optional<Allocation> DeviceArena::find(std::uint64_t address) const {
  const std::lock_guard lock(mutex_);
  auto after = allocations_.upper_bound(address);
  if (after == allocations_.begin()) return std::nullopt;
  const Allocation& allocation = std::prev(after)->second;
  if (address - allocation.address >= allocation.size) return std::nullopt;
  return allocation;
}

std::byte* DeviceArena::resolve_range(std::uint64_t address, std::uint64_t size) const {
  if (size == 0) return contains(address) ? bytes_.data() + (address - base()) : nullptr;
  const auto allocation = find(address);
  if (!allocation || size > allocation->size - (address - allocation->address)) return nullptr;
  if (resolve(address, 1) == nullptr) return nullptr;
  return bytes_.data() + (address - base());
}

}  // namespace vgpu::sim::memory
