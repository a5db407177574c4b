// Copies of boxes (rows of slices) between memory of any kind and arrays. Device memory, the window and arrays go to
// the copy engine as they are; pageable memory is packed into staging.
#pragma once

#include <cstddef>
#include <cstdint>

#include "shim/client/device_memory.hpp"

namespace vgpu::shim {

/// One side: memory, which begins where the box does, or an array with the place of the box in it.
struct BoxSide {
  uint64_t array = 0;  ///< handle; 0: memory
  uint64_t address = 0;
  Where where{Place::pageable, 0};
  uint64_t pitch = 0, rows = 0;
  uint64_t x = 0, y = 0, z = 0;  ///< of arrays; x in bytes

  bool is_pageable() const { return array == 0 && where.place == Place::pageable; }
  /// The same side, further on.
  BoxSide at(uint64_t bytes, uint64_t row, uint64_t slice) const;
};

struct BoxCopy {
  BoxSide to;
  BoxSide from;
  size_t width = 0;  ///< bytes
  size_t height = 1;
  size_t depth = 1;
  CUstream stream = nullptr;
  bool posted = false;  ///< the caller does not wait: an asynchronous call
};

CUresult copy_box(const BoxCopy& copy);

/// Both sides of a program's description. CUDA_ERROR_INVALID_VALUE for what makes no sense.
CUresult describe(const CUDA_MEMCPY3D& description, BoxCopy& copy);
/// A side that is an array of the program, at this place.
CUresult describe_array(CUarray array, uint64_t x, uint64_t y, uint64_t z, const BoxCopy& copy, BoxSide& side);

}  // namespace vgpu::shim
