// NVML of the software GPU: functions with the ABI of the real ones, which answer what the simulated driver says.
#pragma once

#include "worker/nvml/library.hpp"

namespace vgpu::worker::nvml {

/// For the whole process: the ABI has no place for whom a function belongs to.
void use_software(Functions& functions, const cuda::DriverTable& driver);

}  // namespace vgpu::worker::nvml
