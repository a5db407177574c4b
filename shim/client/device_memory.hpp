// The guest's map of its device memory.
#pragma once

#include <cstddef>
#include <cstdint>

#include "shim/client/context.hpp"

namespace vgpu::shim {

enum class DeviceMemoryKind { allocation, pool, global, mapped, imported, graph };

struct DeviceAllocation {
  CUdeviceptr base = 0;
  size_t size = 0;
  Context* context = nullptr;
  DeviceMemoryKind kind = DeviceMemoryKind::allocation;
  uint64_t buffer_id = 0;
  CUmemoryPool pool = nullptr;  // of kind pool: null for the device's own
  uint64_t memory = 0;          // of kind mapped: the handle of what is mapped
  CUdevice device = -1;         // of kind mapped, which belongs to no context
};

/// Notes memory that the worker gave out, in the current context unless an owner is named.
void remember_device_memory(CUdeviceptr base, size_t size, DeviceMemoryKind kind, CUmemoryPool pool = nullptr,
                            Context* owner = nullptr);
/// Notes physical memory that the program mapped at an address it reserved.
void remember_mapped_memory(CUdeviceptr base, size_t size, uint64_t memory, CUdevice device);
/// Notes an address at which graphs allocate. It stays the program's until its context ends: the graph may be launched
/// again. Other memory of graphs may lie at the same addresses, at other times.
void remember_graph_memory(CUdeviceptr base, size_t size);
/// Takes one mapping that begins in this range off the map; false if there is none.
bool take_mapped_memory(CUdeviceptr base, size_t size, DeviceAllocation& taken);
/// Takes other memory off the map, to be given back or, should the free fail, put back. Memory of graphs stays on it.
bool take_device_memory(CUdeviceptr base, DeviceAllocation& taken);
void put_back_device_memory(const DeviceAllocation& allocation);
/// The allocation that contains the address, as far as the guest knows. Asks nobody.
bool find_device_memory(CUdeviceptr address, DeviceAllocation& found);
/// The same, but asks the worker about addresses of the arena that the guest has not seen (globals of modules).
CUresult look_up_device_memory(CUdeviceptr address, DeviceAllocation& found);

/// True if all of it lies in one allocation of the program, pinned memory included, or in mappings side by side.
bool is_program_memory(CUdeviceptr address, size_t size);

/// What an address means.
enum class Place { pageable, pinned, device };
struct Where {
  Place place;
  uint64_t offset;  // in the window, if pinned
};
Where locate(uint64_t address);

}  // namespace vgpu::shim
