// Reserved addresses, and files mapped behind them: a mapping replaces the arena's own bytes at its place.
#include <sys/mman.h>

#include "worker/sim/memory/device_arena.hpp"

namespace vgpu::sim::memory {

std::optional<std::uint64_t> DeviceArena::reserve(std::uint64_t size, std::uint64_t alignment, std::uint64_t wanted) {
  const std::lock_guard lock(mutex_);
  const std::uint64_t step = alignment < physical_granule ? physical_granule : alignment;
  const std::uint64_t address = size > size_ ? 0 : take(size, step, wanted % physical_granule == 0 ? wanted : 0);
  if (address == 0) return std::nullopt;
  reserved_[address] = size;
  return address;
}

bool DeviceArena::unreserve(std::uint64_t address, std::uint64_t size) {
  const std::lock_guard lock(mutex_);
  const auto found = reserved_.find(address);
  if (found == reserved_.end() || found->second != size) return false;
  const auto mapped = allocations_.lower_bound(address);
  if (mapped != allocations_.end() && mapped->first < address + size) return false;
  reserved_.erase(found);
  give_back(address, size);
  return true;
}

bool DeviceArena::map(std::uint64_t address, std::uint64_t size, int file, unsigned device) {
  const std::lock_guard lock(mutex_);
  auto reservation = reserved_.upper_bound(address);
  if (reservation == reserved_.begin()) return false;
  --reservation;
  const std::uint64_t offset = address - reservation->first;
  if (offset >= reservation->second || size > reservation->second - offset) return false;
  auto next = allocations_.lower_bound(address);
  if (next != allocations_.end() && next->first < address + size) return false;
  if (next != allocations_.begin() && address - std::prev(next)->first < std::prev(next)->second.size) return false;
  void* at = bytes_.data() + (address - base());
  if (::mmap(at, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file, 0) == MAP_FAILED) return false;
  Allocation mapping{address, size, next_id_++, reservation->first};
  mapping.mapped = true;
  mapping.device = device;
  allocations_[address] = mapping;
  return true;
}

std::optional<std::vector<Allocation>> DeviceArena::mappings_in(std::uint64_t address, std::uint64_t size) const {
  const auto reservation = reservation_of(address);
  if (!reservation || size > reservation->second - (address - reservation->first)) return std::nullopt;
  const std::lock_guard lock(mutex_);
  std::vector<Allocation> mappings;
  auto next = allocations_.lower_bound(address);
  if (next != allocations_.begin() && address - std::prev(next)->first < std::prev(next)->second.size)
    return std::nullopt;
  for (; next != allocations_.end() && next->first - address < size; ++next) {
    if (next->second.size > size - (next->first - address)) return std::nullopt;
    mappings.push_back(next->second);
  }
  return mappings;
}

std::optional<std::pair<std::uint64_t, std::uint64_t>> DeviceArena::reservation_of(std::uint64_t address) const {
  const std::lock_guard lock(mutex_);
  auto next = reserved_.upper_bound(address);
  if (next == reserved_.begin()) return std::nullopt;
  --next;
  if (address - next->first >= next->second) return std::nullopt;
  return *next;
}

void DeviceArena::unmap(std::uint64_t address, std::uint64_t size) {
  const auto mappings = mappings_in(address, size);
  const std::lock_guard lock(mutex_);
  for (const Allocation& mapping : mappings.value_or(std::vector<Allocation>())) {
    allocations_.erase(mapping.address);
    restore(mapping.address, mapping.size);
  }
}

void DeviceArena::restore(std::uint64_t address, std::uint64_t size) {
  const auto offset = static_cast<off_t>(address - base());
  // Cannot fail: what it replaces was mapped.
  (void)::mmap(bytes_.data() + offset, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE | MAP_FIXED, file_,
               offset);
}

std::optional<std::uint64_t> DeviceArena::import(int file, std::uint64_t offset, std::uint64_t size,
                                                 std::uint64_t owner, unsigned device) {
  constexpr std::uint64_t page = 4096;
  const std::uint64_t skipped = offset % page;
  const std::uint64_t length = (skipped + size + page - 1) / page * page;
  if (size == 0 || size > size_) return std::nullopt;
  Allocation allocation;
  {
    const std::lock_guard lock(mutex_);
    const std::uint64_t begin = take(length, page, 0);
    if (begin == 0) return std::nullopt;
    void* at = bytes_.data() + (begin - base());
    if (::mmap(at, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file,
               static_cast<off_t>(offset - skipped)) == MAP_FAILED) {
      give_back(begin, length);
      return std::nullopt;
    }
    allocation = {begin + skipped, size, next_id_++, owner};
    allocation.imported = true;
    allocation.device = device;
    allocations_[allocation.address] = allocation;
  }
  set_live(allocation, true);
  return allocation.address;
}

bool DeviceArena::covers(std::uint64_t address, std::uint64_t size) const {
  const std::lock_guard lock(mutex_);
  auto next = allocations_.upper_bound(address);
  if (next == allocations_.begin()) return false;
  const Allocation* holder = &(--next)->second;
  if (address - holder->address >= holder->size) return false;
  std::uint64_t covered = holder->size - (address - holder->address);
  while (covered < size && holder->mapped) {
    const std::uint64_t end = holder->address + holder->size;
    if (++next == allocations_.end() || next->first != end || next->second.owner != holder->owner) break;
    holder = &next->second;
    covered += holder->size;
  }
  return covered >= size;
}

bool DeviceArena::charge(std::uint64_t size, unsigned device) {
  const std::lock_guard lock(mutex_);
  if (size > capacity_ - used_[device]) return false;
  used_[device] += size;
  return true;
}

void DeviceArena::discharge(std::uint64_t size, unsigned device) {
  const std::lock_guard lock(mutex_);
  used_[device] -= size;
}

}  // namespace vgpu::sim::memory
