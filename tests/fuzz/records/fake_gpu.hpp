// A driver that answers at once with plausible values, and looks at what it is given: memory that a copy or a fill
// names must be the client's. What it answers is set by the fuzzer's input.
#pragma once

#include <cstdint>

#include "worker/driver/library.hpp"

namespace vgpu::fuzz {

/// Where the device memory of the fake lies: one allocation after the other, each at a multiple of the stride.
inline constexpr uint64_t kDeviceMemory = 0x740000000000;
inline constexpr uint64_t kDeviceStride = uint64_t{64} << 20;

/// How the driver behaves in one run.
struct Behaviour {
  uint8_t busy = 0;           ///< how often work that was just submitted is found unfinished
  uint8_t first_failure = 0;  ///< number of the call that fails; 0: none
  uint8_t failures = 0;       ///< how many calls fail from there on
  uint8_t error = 0;          ///< which error they give
  uint8_t counts = 0;         ///< how many functions, parameters, nodes there are
  uint8_t missing = 0;        ///< functions that an older driver lacks, by bit
};

/// Forgets everything and gives the table of functions. The window is where host memory of copies may lie.
worker::DriverLibrary fresh_driver(const Behaviour& behaviour, uintptr_t window, size_t window_size);

}  // namespace vgpu::fuzz
