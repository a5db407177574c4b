#include "shim/client/device_memory.hpp"

#include <algorithm>
#include <map>
#include <mutex>
#include <shared_mutex>

#include "shim/client/channel.hpp"
#include "shim/client/checked_launches.hpp"
#include "shim/client/contexts.hpp"
#include "shim/client/request.hpp"
#include "shim/staging/pinned_memory.hpp"

namespace vgpu::shim {
namespace {

std::shared_mutex& lock_of_map() {
  static auto* const mutex = new std::shared_mutex;
  return *mutex;
}
std::map<CUdeviceptr, DeviceAllocation>& allocations() {
  static auto* const all = new std::map<CUdeviceptr, DeviceAllocation>;
  return *all;
}

/// What the driver gives out anew was given back before, if only with the module whose global it was.
void forget_overlapped(CUdeviceptr base, size_t size) {
  auto& all = allocations();
  auto next = all.lower_bound(base);
  if (next != all.begin() && base - std::prev(next)->first < std::prev(next)->second.size) --next;
  while (next != all.end() && next->first < base + size) next = all.erase(next);
}

void forget_memory_of(Context& context) {
  const std::unique_lock lock(lock_of_map());
  std::erase_if(allocations(), [&](const auto& item) { return item.second.context == &context; });
}

}  // namespace

void remember_device_memory(CUdeviceptr base, size_t size, DeviceMemoryKind kind, CUmemoryPool pool) {
  after_context_end(&forget_memory_of);
  const DeviceAllocation allocation{base, size, memory_owner(), kind, next_object_id(), pool};
  const std::unique_lock lock(lock_of_map());
  forget_overlapped(base, size);
  allocations()[base] = allocation;
}

void remember_mapped_memory(CUdeviceptr base, size_t size, uint64_t memory, CUdevice device) {
  DeviceAllocation mapping{base, size, nullptr, DeviceMemoryKind::mapped, next_object_id()};
  mapping.memory = memory;
  mapping.device = device;
  const std::unique_lock lock(lock_of_map());
  forget_overlapped(base, size);
  allocations()[base] = mapping;
}

void remember_graph_memory(CUdeviceptr base, size_t size) {
  note_allocating_graphs();
  after_context_end(&forget_memory_of);
  const std::unique_lock lock(lock_of_map());
  const auto found = allocations().find(base);
  if (found != allocations().end() && found->second.kind == DeviceMemoryKind::graph) {
    found->second.size = std::max(found->second.size, size);
    return;
  }
  allocations()[base] = {base, size, current_context(), DeviceMemoryKind::graph, next_object_id()};
}

bool take_mapped_memory(CUdeviceptr base, size_t size, DeviceAllocation& taken) {
  const std::unique_lock lock(lock_of_map());
  const auto found = allocations().lower_bound(base);
  if (found == allocations().end() || found->first - base >= size) return false;
  if (found->second.kind != DeviceMemoryKind::mapped) return false;
  taken = found->second;
  allocations().erase(found);
  return true;
}

bool take_device_memory(CUdeviceptr base, DeviceAllocation& taken) {
  const std::unique_lock lock(lock_of_map());
  const auto found = allocations().find(base);
  if (found == allocations().end()) return false;
  const DeviceMemoryKind kind = found->second.kind;
  taken = found->second;
  if (kind == DeviceMemoryKind::graph) return true;
  if (kind != DeviceMemoryKind::allocation && kind != DeviceMemoryKind::pool) return false;
  allocations().erase(found);
  return true;
}

void put_back_device_memory(const DeviceAllocation& allocation) {
  const std::unique_lock lock(lock_of_map());
  allocations().try_emplace(allocation.base, allocation);
}

bool find_device_memory(CUdeviceptr address, DeviceAllocation& found) {
  const std::shared_lock lock(lock_of_map());
  auto next = allocations().upper_bound(address);
  while (next != allocations().begin()) {
    const DeviceAllocation& candidate = (--next)->second;
    if (address - candidate.base < candidate.size) {
      found = candidate;
      return true;
    }
    if (candidate.kind != DeviceMemoryKind::graph) return false;
  }
  return false;
}

CUresult look_up_device_memory(CUdeviceptr address, DeviceAllocation& found) {
  if (find_device_memory(address, found)) return CUDA_SUCCESS;
  const Channel* channel = open_channel();
  if (channel == nullptr || !channel->arena().contains(address)) return CUDA_ERROR_NOT_FOUND;
  Request request(api::ops::MemoryRange::kOp, api::ops::MemoryRange::kNeedsContext);
  api::ops::MemoryRangeReply reply;
  if (const CUresult result = call(request, api::ops::MemoryRange{address}, reply); result != CUDA_SUCCESS)
    return result;
  remember_device_memory(reply.base, reply.size, DeviceMemoryKind::global);
  return find_device_memory(address, found) ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
}

bool is_program_memory(CUdeviceptr address, size_t size) {
  uint64_t base = 0;
  size_t whole = 0;
  PinnedAllocation pinned;
  DeviceAllocation device;
  if (find_pinned(address, pinned)) {
    base = pinned.base;
    whole = pinned.size;
  } else if (look_up_device_memory(address, device) == CUDA_SUCCESS) {
    base = device.base;
    whole = device.size;
    while (device.kind == DeviceMemoryKind::mapped && address - base + size > whole &&
           find_device_memory(base + whole, device) && device.kind == DeviceMemoryKind::mapped)
      whole += device.size;
  }
  const uint64_t offset = address - base;
  return offset < whole && size <= whole - offset;
}

Where locate(uint64_t address) {
  const Channel* channel = open_channel();
  if (channel == nullptr) return {Place::pageable, 0};
  uint64_t offset = 0;
  if (channel->window().offset_of(reinterpret_cast<const void*>(address), offset)) return {Place::pinned, offset};
  if (channel->arena().contains(address)) return {Place::device, 0};
  DeviceAllocation allocation;
  return {find_device_memory(address, allocation) ? Place::device : Place::pageable, 0};
}

}  // namespace vgpu::shim
