// Which memory pool is a device's current one.
#pragma once

#include "common/api/cuda_types.hpp"

namespace vgpu::shim {

using namespace vgpu::cuda;

/// The pool that the program made the current one of a device; null: the device's own.
CUmemoryPool current_pool(CUdevice device);
/// False if there is no such device.
bool set_current_pool(CUdevice device, CUmemoryPool pool);
/// The pool is gone: devices that used it go back to their own.
void forget_pool(CUmemoryPool pool);

}  // namespace vgpu::shim
