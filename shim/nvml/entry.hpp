// What every exported entry needs.
#pragma once

#include "common/api/nvml_types.hpp"
#include "shim/client/diagnostics.hpp"

#define VGPU_ENTRY extern "C" __attribute__((visibility("default")))

namespace vgpu::shim::nvml {

using namespace ::vgpu::nvml;

/// Between a successful nvmlInit and the last nvmlShutdown.
bool is_initialized();

/// NVML_ERROR_NOT_SUPPORTED, and one line on standard error the first time; before nvmlInit neither.
nvmlReturn_t not_supported(const char* symbol, Once& once);

}  // namespace vgpu::shim::nvml
