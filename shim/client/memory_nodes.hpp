// Nodes of graphs that allocate and free memory. The address of an allocation is known as soon as its node is made.
#pragma once

#include "shim/client/node_requests.hpp"

namespace vgpu::shim {

CUresult add_allocation(const Position& at, CUDA_MEM_ALLOC_NODE_PARAMS* params);
CUresult add_free(const Position& at, CUdeviceptr address);

}  // namespace vgpu::shim
