// One-dimensional copies between any two places.
#pragma once

#include <cstddef>
#include <cstdint>

#include "shim/client/device_memory.hpp"

namespace vgpu::shim {

struct Transfer {
  uint64_t to;
  Where to_where;
  uint64_t from;
  Where from_where;
  size_t size;
  CUstream stream;
  bool posted;  // the caller does not wait: an asynchronous call
};

CUresult transfer(const Transfer& copy);

/// True if what is submitted to the stream becomes part of a graph.
bool is_capturing(CUstream stream);

/// Waits for the stream.
CUresult synchronize_stream(CUstream stream);

}  // namespace vgpu::shim
