#include "worker/objects/virtual_memory.hpp"

namespace vgpu::worker {

bool VirtualMemory::is_free(uint64_t base, uint64_t size) const {
  const auto found = reservations_.find(base);
  if (found == reservations_.end() || found->second != size) return false;
  const auto next = mappings_.lower_bound(base);
  return next == mappings_.end() || next->first - base >= size;
}

uint64_t VirtualMemory::reservation_of(uint64_t address, uint64_t size) const {
  auto next = reservations_.upper_bound(address);
  if (next == reservations_.begin()) return 0;
  const auto& [base, whole] = *--next;
  const uint64_t offset = address - base;
  return offset < whole && size <= whole - offset ? base : 0;
}

void VirtualMemory::make(uint64_t handle, CUmemGenericAllocationHandle real, uint64_t size, unsigned device) {
  if (memories_.bind(handle, {real, size, 1, 0, device})) charged_.add(device, size);
}

void VirtualMemory::let_go(uint64_t handle) {
  Physical* physical = memories_.find(handle);
  if (physical == nullptr || physical->references == 0) return;
  --physical->references;
  forget_if_unused(handle, *physical);
}

void VirtualMemory::map(uint64_t address, Mapping mapping) {
  if (Physical* physical = memories_.find(mapping.memory)) ++physical->mappings;
  mappings_[address] = mapping;
}

const VirtualMemory::Mapping* VirtualMemory::mapping_of(uint64_t address) const {
  auto next = mappings_.upper_bound(address);
  if (next == mappings_.begin()) return nullptr;
  const auto& [base, mapping] = *--next;
  return address - base < mapping.size ? &mapping : nullptr;
}

std::optional<std::vector<uint64_t>> VirtualMemory::mappings_in(uint64_t address, uint64_t size) const {
  std::vector<uint64_t> starts;
  const Mapping* before = mapping_of(address);
  if (before != nullptr && mappings_.find(address) == mappings_.end()) return std::nullopt;
  for (auto next = mappings_.lower_bound(address); next != mappings_.end(); ++next) {
    const uint64_t offset = next->first - address;
    if (offset >= size) break;
    if (next->second.size > size - offset) return std::nullopt;
    starts.push_back(next->first);
  }
  return starts;
}

void VirtualMemory::unmap(uint64_t address) {
  const auto found = mappings_.find(address);
  if (found == mappings_.end()) return;
  const uint64_t handle = found->second.memory;
  mappings_.erase(found);
  Physical* physical = memories_.find(handle);
  if (physical == nullptr) return;
  --physical->mappings;
  forget_if_unused(handle, *physical);
}

void VirtualMemory::forget_if_unused(uint64_t handle, const Physical& physical) {
  if (physical.references != 0 || physical.mappings != 0) return;
  charged_.remove(physical.device, physical.size);
  memories_.drop(handle);
}

}  // namespace vgpu::worker
