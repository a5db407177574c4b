#include "worker/sim/memory/device_arena.hpp"

#include <sys/mman.h>
#include <unistd.h>

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

int make_file(std::uint64_t size) {
  const int file = ::memfd_create("vgpu-sim-device", MFD_CLOEXEC);
  if (file >= 0 && ::ftruncate(file, static_cast<off_t>(size)) == 0) return file;
  if (file >= 0) ::close(file);
  return -1;
}

std::uint64_t rounded(std::uint64_t size) { return (size + alignment - 1) / alignment * alignment; }

}  // namespace

Mapping::Mapping(std::size_t size, bool accessible, int file) {
  const int kind = file < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
  void* at = ::mmap(nullptr, size, accessible ? PROT_READ | PROT_WRITE : PROT_NONE, kind | MAP_NORESERVE, file, 0);
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

DeviceArena::DeviceArena(std::uint64_t size, unsigned devices)
    : capacity_(size / page * page),
      size_(capacity_ * devices),
      file_(make_file(size_)),
      window_(size_, false),
      bytes_(size_, true, file_),
      valid_(size_ / granule * sizeof(std::uint16_t), true) {
  if (is_open()) free_[base()] = size_;
}

DeviceArena::~DeviceArena() {
  if (file_ >= 0) ::close(file_);
}

std::uint64_t DeviceArena::used(unsigned device) const {
  const std::lock_guard lock(mutex_);
  return used_[device];
}

std::optional<Allocation> DeviceArena::allocate(std::uint64_t size, std::uint64_t owner, bool stream_ordered,
                                                unsigned device) {
  if (size == 0 || size > capacity_) return std::nullopt;
  const std::uint64_t length = rounded(size);
  const std::lock_guard lock(mutex_);
  if (length > capacity_ - used_[device]) return std::nullopt;
  const std::uint64_t address = take(length, alignment, 0);
  if (address == 0) return std::nullopt;
  Allocation allocation{address, size, next_id_++, owner, stream_ordered};
  allocation.device = device;
  allocations_[address] = allocation;
  used_[device] += length;
  std::memset(bytes_.data() + (address - base()), fresh_pattern, std::min(size, filled_bytes));
  return allocation;
}

bool DeviceArena::release(std::uint64_t address) {
  const std::lock_guard lock(mutex_);
  const auto found = allocations_.find(address);
  if (found == allocations_.end() || found->second.mapped) return false;
  const std::uint64_t length = rounded(found->second.size);
  const Allocation gone = found->second;
  allocations_.erase(found);
  if (gone.imported) {
    const std::uint64_t begin = address / page * page;
    const std::uint64_t pages = (address % page + gone.size + page - 1) / page * page;
    restore(begin, pages);
    give_back(begin, pages);
    return true;
  }
  used_[gone.device] -= length;
  const std::uint64_t first_page = (address - base() + page - 1) / page * page;
  const std::uint64_t end_page = (address - base() + length) / page * page;
  if (end_page > first_page) ::madvise(bytes_.data() + first_page, end_page - first_page, MADV_REMOVE);
  give_back(address, length);
  return true;
}

std::uint64_t DeviceArena::take(std::uint64_t length, std::uint64_t step, std::uint64_t wanted) {
  for (auto room = free_.begin(); wanted != 0 && room != free_.end(); ++room) {
    const std::uint64_t offset = wanted - room->first;
    if (offset >= room->second || room->second - offset < length) continue;
    take_from(room, wanted, length);
    return wanted;
  }
  for (auto room = free_.begin(); room != free_.end(); ++room) {
    const std::uint64_t begin = (room->first + step - 1) / step * step;
    const std::uint64_t skipped = begin - room->first;
    if (skipped >= room->second || room->second - skipped < length) continue;
    take_from(room, begin, length);
    return begin;
  }
  return 0;
}

void DeviceArena::take_from(std::map<std::uint64_t, std::uint64_t>::iterator room, std::uint64_t begin,
                            std::uint64_t length) {
  const std::uint64_t before = begin - room->first;
  const std::uint64_t after = room->second - before - length;
  if (after > 0) free_[begin + length] = after;
  if (before > 0)
    room->second = before;
  else
    free_.erase(room);
}

void DeviceArena::give_back(std::uint64_t begin, std::uint64_t length) {
  auto after = free_.lower_bound(begin);
  if (after != free_.end() && after->first == begin + length) {
    length += after->second;
    after = free_.erase(after);
  }
  if (after != free_.begin()) {
    const auto before = std::prev(after);
    if (before->first + before->second == begin) {
      before->second += length;
      return;
    }
  }
  free_[begin] = length;
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
  // What another process gave is for all: whoever opened it may have any device.
  const unsigned devices = allocation.imported ? device_mask : 1u << allocation.device;
  mark(allocation, live ? devices << device_shift : 0);
}

void DeviceArena::set_access(const Allocation& mapping, unsigned devices) {
  mark(mapping, devices == 0 ? 0 : (devices & device_mask) << device_shift | by_mapping);
}

unsigned DeviceArena::access(const Allocation& mapping) const {
  return __atomic_load_n(valid_at(mapping.address), __ATOMIC_RELAXED) >> device_shift & device_mask;
}

void DeviceArena::mark(const Allocation& allocation, unsigned who) {
  auto* valid = const_cast<std::uint16_t*>(valid_at(allocation.address));
  for (std::uint64_t left = allocation.size; left > 0; ++valid) {
    const std::uint64_t here = std::min(left, granule);
    __atomic_store_n(valid, who == 0 ? std::uint16_t{0} : static_cast<std::uint16_t>(here | who), __ATOMIC_RELAXED);
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

std::byte* DeviceArena::resolve_range(std::uint64_t address, std::uint64_t size, Reach reach) const {
  if (size == 0) return contains(address) ? bytes_.data() + (address - base()) : nullptr;
  if (!covers(address, size)) return nullptr;
  if (resolve(address, 1, reach) == nullptr || resolve(address + size - 1, 1, reach) == nullptr) return nullptr;
  return bytes_.data() + (address - base());
}

}  // namespace vgpu::sim::memory
