// Which memory pool of a device is the current one: the program may choose another than the device's own.
#pragma once

#include "common/api/cuda_types.hpp"

namespace vgpu::shim {

using namespace vgpu::cuda;

/// The pool that the program made the current one; null while it is the device's own.
CUmemoryPool chosen_pool(CUdevice device);
void choose_pool(CUdevice device, CUmemoryPool pool);
/// A destroyed pool is current nowhere.
void forget_pool(CUmemoryPool pool);

}  // namespace vgpu::shim
