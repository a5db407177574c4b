#include "shim/client/virtual_memory.hpp"

#include <map>

#include "shim/client/device_memory.hpp"
#include "shim/client/handles.hpp"

namespace vgpu::shim {
namespace {

struct Physical {
  CUdevice device = 0;
  uint64_t references = 0;
  uint64_t mappings = 0;
};

constinit std::mutex g_mutex;

/// Never destroyed: destructors of the program may still call.
std::map<uint64_t, Physical>& memories() {
  static auto* const all = new std::map<uint64_t, Physical>;
  return *all;
}

std::map<CUdeviceptr, size_t>& reservations() {
  static auto* const all = new std::map<CUdeviceptr, size_t>;
  return *all;
}

void forget_if_unused(std::map<uint64_t, Physical>::iterator memory) {
  if (memory->second.references != 0 || memory->second.mappings != 0) return;
  handles(wire::Kind::memory).discard(memory->first);
  memories().erase(memory);
}

}  // namespace

std::unique_lock<std::mutex> lock_virtual_memory() { return std::unique_lock(g_mutex); }

void note_reserved(CUdeviceptr base, size_t size) { reservations()[base] = size; }
void note_unreserved(CUdeviceptr base) { reservations().erase(base); }

bool find_reservation(CUdeviceptr address, CUdeviceptr& base, size_t& size) {
  auto next = reservations().upper_bound(address);
  if (next == reservations().begin()) return false;
  --next;
  base = next->first;
  size = next->second;
  return address - base < size;
}

void note_created(uint64_t handle, CUdevice device) { memories()[handle] = {device, 1, 0}; }

bool holds(uint64_t handle) {
  const auto found = memories().find(handle);
  return found != memories().end() && found->second.references != 0;
}

void note_retained(uint64_t handle) {
  const auto found = memories().find(handle);
  if (found != memories().end()) ++found->second.references;
}

void note_released(uint64_t handle) {
  const auto found = memories().find(handle);
  if (found == memories().end()) return;
  --found->second.references;
  forget_if_unused(found);
}

void note_mapped(uint64_t handle, CUdeviceptr address, size_t size) {
  const auto found = memories().find(handle);
  if (found == memories().end()) return;
  ++found->second.mappings;
  remember_mapped_memory(address, size, handle, found->second.device);
}

void note_unmapped(CUdeviceptr address, size_t size) {
  DeviceAllocation mapping;
  while (take_mapped_memory(address, size, mapping)) {
    const auto found = memories().find(mapping.memory);
    if (found == memories().end()) continue;
    --found->second.mappings;
    forget_if_unused(found);
  }
}

}  // namespace vgpu::shim
