// A capture that the worker has just begun, however the program asked for it.
#pragma once

#include <cstdint>

#include "common/api/cuda_types.hpp"

namespace vgpu::shim::calls {

using namespace vgpu::cuda;

/// Asks the worker for the number of the capture on `stream`, and takes note of it for the rules about threads and
/// modes. `graph`: the one that it goes into, 0 if it makes one.
CUresult note_capture(uint64_t stream, CUstreamCaptureMode mode, uint64_t graph);

}  // namespace vgpu::shim::calls
