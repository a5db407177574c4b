// The guest's map of its device memory.
#pragma once

#include <cstddef>
#include <cstdint>

#include "shim/client/context.hpp"

namespace vgpu::shim {

enum class DeviceMemoryKind { allocation, pool, global };

struct DeviceAllocation {
  CUdeviceptr base = 0;
  size_t size = 0;
  Context* context = nullptr;
  DeviceMemoryKind kind = DeviceMemoryKind::allocation;
  uint64_t buffer_id = 0;
  CUmemoryPool pool = nullptr;  // of memory from a pool; null: the device's own
};

/// Notes memory that the worker gave out in the current context.
void remember_device_memory(CUdeviceptr base, size_t size, DeviceMemoryKind kind, CUmemoryPool pool = nullptr);
/// Takes it off the map, to be given back or, should the free fail, put back.
bool take_device_memory(CUdeviceptr base, DeviceAllocation& taken);
void put_back_device_memory(const DeviceAllocation& allocation);
/// The allocation that contains the address, as far as the guest knows. Asks nobody.
bool find_device_memory(CUdeviceptr address, DeviceAllocation& found);
/// The same, but asks the worker about addresses of the arena that the guest has not seen (globals of modules).
CUresult look_up_device_memory(CUdeviceptr address, DeviceAllocation& found);

/// True if all of it lies in one allocation that the guest knows: the driver will not refuse it for its address. What is
/// not known goes as a call that waits, so that the driver's refusal is the call's answer.
bool is_known_device_memory(CUdeviceptr address, size_t size);

/// What an address means.
enum class Place { pageable, pinned, device };
struct Where {
  Place place;
  uint64_t offset;  // in the window, if pinned
};
Where locate(uint64_t address);

}  // namespace vgpu::shim
