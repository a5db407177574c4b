// Flow control: the driver's queues hold 1,021 commands a stream and eight times that in all, and a full one blocks the
// worker. So the shim asks for a credit every few hundred posted commands, and waits where the GPU is that far behind,
// as the driver would make it wait.
#pragma once

#include "common/api/cuda_types.hpp"

namespace vgpu::shim {

using namespace vgpu::cuda;

/// Counts one command posted to a stream (as it travels), and waits for a credit when it is time.
CUresult take_credit(uint64_t context, uint64_t stream);

}  // namespace vgpu::shim
