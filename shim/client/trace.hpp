// VGPU_TRACE: a line per record that this program sends. CLIENT:NUMBER names the same call in the worker's log at level
// "trace", for both sides count the records of the ring in its order.
//
// VGPU_TRACE=1 writes to standard error, VGPU_TRACE=/PATH appends to that file.
#pragma once

#include <cstdint>

#include "common/api/cuda_types.hpp"

namespace vgpu::shim::trace {

/// Asked once, when the channel opens.
bool is_wanted();
/// A sentence that is no call.
void tell(const char* format, ...) __attribute__((format(printf, 1, 2)));
/// The record was posted: nobody waits for it.
void posted(uint64_t client, uint64_t number, uint16_t op);
/// It was answered, `nanoseconds` after it was sent.
void answered(uint64_t client, uint64_t number, uint16_t op, cuda::CUresult result, uint64_t nanoseconds);

}  // namespace vgpu::shim::trace
