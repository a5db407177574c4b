// cuMemHostRegister is bookkeeping: the pages stay the program's own, and copies from and to them go through staging.
#pragma once

#include <cstddef>
#include <cstdint>

#include "shim/client/context.hpp"

namespace vgpu::shim {

struct RegisteredMemory {
  uintptr_t base = 0;
  size_t size = 0;
  unsigned flags = 0;
  Context* context = nullptr;
  uint64_t buffer_id = 0;
};

/// CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED if any byte is registered.
CUresult register_memory(void* pointer, size_t size, unsigned flags);
/// CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED if `pointer` is not registered, CUDA_ERROR_INVALID_VALUE if a registration
/// began before it.
CUresult unregister_memory(void* pointer);
/// True if [address, address + size) begins in one registration and ends in another: the driver refuses such copies.
bool crosses_registrations(uint64_t address, size_t size);
bool find_registered(uint64_t address, RegisteredMemory& found);

}  // namespace vgpu::shim
