#include "worker/sim/device/graph_memory.hpp"

namespace vgpu::sim::device {

GraphAddress::~GraphAddress() { memory_.let_go(address); }

MemoryPool& GraphMemory::account(unsigned device) {
  const std::lock_guard lock(mutex_);
  return locked_account(device);
}

MemoryPool& GraphMemory::locked_account(unsigned device) {
  auto& found = accounts_[device];
  if (found == nullptr) {
    found = std::make_unique<MemoryPool>(0, 0, device);
    found->set_release_threshold(~0ull);  // kept until it is trimmed
  }
  return *found;
}

std::shared_ptr<GraphAddress> GraphMemory::make(std::uint64_t size, unsigned device) {
  const auto block = arena_.allocate(size, 0, true, device);
  if (!block) return nullptr;
  const std::lock_guard lock(mutex_);
  entries_[block->address] = {*block, device};
  return std::make_shared<GraphAddress>(*this, block->address);
}

bool GraphMemory::is_address(std::uint64_t address) const {
  const std::lock_guard lock(mutex_);
  return entries_.count(address) != 0;
}

bool GraphMemory::is_outstanding(std::uint64_t address) const {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(address);
  return found != entries_.end() && found->second.outstanding;
}

void GraphMemory::set_outstanding(std::uint64_t address, bool outstanding) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(address);
  if (found == entries_.end()) return;
  found->second.outstanding = outstanding;
  drop_unless_used(found);
}

void GraphMemory::allocate(std::uint64_t address) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(address);
  if (found == entries_.end()) return;
  Entry& entry = found->second;
  if (entry.live) end(entry);
  entry.live = true;
  arena_.set_live(entry.block, true);
  locked_account(entry.device).charge(entry.block.size);
}

void GraphMemory::free(std::uint64_t address) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(address);
  if (found == entries_.end()) return;
  if (found->second.live) end(found->second);
  drop_unless_used(found);
}

void GraphMemory::end(Entry& entry) {
  entry.live = false;
  arena_.set_live(entry.block, false);
  locked_account(entry.device).discharge(entry.block.size);
}

void GraphMemory::drop_unless_used(Entries::iterator entry) {
  if (entry->second.held || entry->second.outstanding || entry->second.live) return;
  arena_.release(entry->first);
  entries_.erase(entry);
}

void GraphMemory::let_go(std::uint64_t address) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(address);
  if (found == entries_.end()) return;
  found->second.held = false;
  drop_unless_used(found);
}

}  // namespace vgpu::sim::device
