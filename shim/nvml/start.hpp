// nvmlInit to nvmlShutdown, and the way to our libcuda.so.1.
#pragma once

#include "common/api/nvml_types.hpp"
#include "shim/nvml/bridge.hpp"

namespace vgpu::shim::nvml {

using namespace ::vgpu::nvml;

/// Counts: each success needs a shutdown() of its own.
nvmlReturn_t initialize(unsigned flags);
nvmlReturn_t shutdown();

/// After initialize() has succeeded. It stays valid until the process ends.
const Bridge& bridge();
unsigned device_count();

/// The result of NVML for a worker that could not be asked.
nvmlReturn_t result_of(int cuda_result);

}  // namespace vgpu::shim::nvml
