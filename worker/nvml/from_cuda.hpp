// NVML as far as CUDA knows the answers: functions with the ABI of the real ones, over the driver's. For the software
// GPU, and for hosts that have the driver without its NVML, as containers for computing do.
#pragma once

#include "worker/nvml/library.hpp"

namespace vgpu::worker::nvml {

// For the whole process: the ABI has no place for whom a function belongs to.

/// What is as true as the real library's: which GPUs there are, how they are called, their memory.
void use_cuda(Functions& functions, const cuda::DriverTable& driver);
/// What a simulated device says besides.
void add_simulated(Functions& functions);

}  // namespace vgpu::worker::nvml
