#include "worker/sim/device/physical_memory.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "worker/sim/device/handle_table.hpp"

namespace vgpu::sim::device {

std::shared_ptr<PhysicalMemory> PhysicalMemory::make(memory::DeviceArena& arena, std::uint64_t size,
                                                     const cuda::CUmemAllocationProp& properties) {
  const auto device = static_cast<unsigned>(properties.location.id);
  if (!arena.charge(size, device)) return nullptr;
  const int file = ::memfd_create("vgpu-sim", MFD_CLOEXEC);
  if (file < 0 || ::ftruncate(file, static_cast<off_t>(size)) != 0) {
    if (file >= 0) ::close(file);
    arena.discharge(size, device);
    return nullptr;
  }
  return std::shared_ptr<PhysicalMemory>(new PhysicalMemory(arena, file, size, size, properties));
}

std::shared_ptr<PhysicalMemory> PhysicalMemory::import(memory::DeviceArena& arena, int file) {
  struct stat facts {};
  if (::fstat(file, &facts) != 0 || facts.st_size <= 0) return nullptr;
  const int ours = ::fcntl(file, F_DUPFD_CLOEXEC, 0);
  if (ours < 0) return nullptr;
  cuda::CUmemAllocationProp properties = {};
  properties.type = cuda::CU_MEM_ALLOCATION_TYPE_PINNED;
  properties.requestedHandleTypes = cuda::CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR;
  properties.location = {cuda::CU_MEM_LOCATION_TYPE_DEVICE, 0};
  const auto size = static_cast<std::uint64_t>(facts.st_size);
  return std::shared_ptr<PhysicalMemory>(new PhysicalMemory(arena, ours, size, 0, properties));
}

PhysicalMemory::PhysicalMemory(memory::DeviceArena& arena, int file, std::uint64_t size, std::uint64_t charged,
                               const cuda::CUmemAllocationProp& properties)
    : arena_(arena), file_(file), size_(size), charged_(charged), handle_(next_handle()), properties_(properties) {}

PhysicalMemory::~PhysicalMemory() {
  ::close(file_);
  arena_.discharge(charged_, static_cast<unsigned>(properties_.location.id));
}

void PhysicalMemories::retain(const Pointer& memory) {
  const std::lock_guard lock(mutex_);
  Held& held = held_[memory->handle()];
  held.memory = memory;
  ++held.references;
}

bool PhysicalMemories::release(std::uint64_t handle) {
  Pointer last;  // destroyed after the lock is given back
  const std::lock_guard lock(mutex_);
  const auto found = held_.find(handle);
  if (found == held_.end()) return false;
  if (--found->second.references == 0) {
    last = std::move(found->second.memory);
    held_.erase(found);
  }
  return true;
}

PhysicalMemories::Pointer PhysicalMemories::find(std::uint64_t handle) const {
  const std::lock_guard lock(mutex_);
  const auto found = held_.find(handle);
  return found == held_.end() ? nullptr : found->second.memory;
}

void PhysicalMemories::note_mapping(std::uint64_t address, const Pointer& memory) {
  const std::lock_guard lock(mutex_);
  mappings_[address] = memory;
}

void PhysicalMemories::forget_mapping(std::uint64_t address) {
  Pointer last;
  const std::lock_guard lock(mutex_);
  const auto found = mappings_.find(address);
  if (found == mappings_.end()) return;
  last = std::move(found->second);
  mappings_.erase(found);
}

PhysicalMemories::Pointer PhysicalMemories::mapped_at(std::uint64_t address) const {
  const std::lock_guard lock(mutex_);
  const auto found = mappings_.find(address);
  return found == mappings_.end() ? nullptr : found->second;
}

}  // namespace vgpu::sim::device
