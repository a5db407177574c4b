// Whether code can print: what decides if waits pay for flushing device printf.
#pragma once

#include <cstdint>
#include <span>

namespace vgpu::worker {

/// True if a module image (fatbin, cubin, PTX) names the device's printf or assert, or holds compressed machine code
/// that cannot be looked into cheaply. Sound for what compilers emit: printing code refers to vprintf or __assertfail
/// by name.
bool can_print(std::span<const uint8_t> image);

}  // namespace vgpu::worker
