// Copies of pageable memory that become part of a graph: they read and write the program's pages when the graph runs.
#pragma once

#include "shim/staging/transfer.hpp"

namespace vgpu::shim {

/// A guest step does the program's side of the copy, the copy engine the rest. Asynchronous copies only.
CUresult capture_copy(const Transfer& copy);

}  // namespace vgpu::shim
