// Physical memory that the program made with cuMemCreate, and how often it refers to each piece: a handle is the
// program's as long as it holds a reference or the memory is mapped somewhere.
#pragma once

#include <cstdint>
#include <mutex>

#include "common/api/cuda_types.hpp"

namespace vgpu::shim {

using namespace vgpu::cuda;

/// Held over a whole call, the worker's answer included: handles must be counted in the order in which it counts them.
[[nodiscard]] std::unique_lock<std::mutex> lock_virtual_memory();

// What follows needs that lock.

/// Addresses that the program reserved, and gave back.
void note_reserved(CUdeviceptr base, size_t size);
void note_unreserved(CUdeviceptr base);
/// The reservation that holds the address; false if none does.
bool find_reservation(CUdeviceptr address, CUdeviceptr& base, size_t& size);

/// Memory that the worker made under this handle, on this device; the program holds one reference.
void note_created(uint64_t handle, CUdevice device);
/// Whether the program holds a reference.
bool holds(uint64_t handle);
/// The program took or let go of a reference; the handle may be used anew when neither references nor mappings are
/// left.
void note_retained(uint64_t handle);
void note_released(uint64_t handle);
void note_mapped(uint64_t handle, CUdeviceptr address, size_t size);
/// All mappings in this range are gone.
void note_unmapped(CUdeviceptr address, size_t size);

}  // namespace vgpu::shim
