// Forwarded calls whose success the guest takes note of (noted=yes in the table).
#pragma once

#include "shim/client/current_pools.hpp"

namespace vgpu::shim::noted {

inline void cuDeviceSetMemPool(CUdevice device, CUmemoryPool pool) { choose_pool(device, pool); }
inline void cuMemPoolDestroy(CUmemoryPool pool) { forget_pool(pool); }

}  // namespace vgpu::shim::noted
