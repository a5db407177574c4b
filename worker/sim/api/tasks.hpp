// What graph nodes do, made from the parameters that describe them. What the same call on a stream would refuse is
// refused here.
#pragma once

#include "worker/sim/api/enqueue.hpp"
#include "worker/sim/api/functions.hpp"
#include "worker/sim/device/copy.hpp"

namespace vgpu::sim::api {

using device::KernelAttributes;
using device::KernelParameters;

/// A kernel that runs with the parameters in `given`, which are copied.
CUresult kernel_task(const FunctionPtr& function, const CUDA_KERNEL_NODE_PARAMS& given, KernelAttributes attributes,
                     Task& out);
/// Finds the function first: by `func`, else by `kern` in the context `ctx` or the current one.
CUresult kernel_task(const CUDA_KERNEL_NODE_PARAMS& given, KernelAttributes attributes, Task& out);
/// The same kernel with other attributes.
Task with_attributes(const KernelParameters& kernel, KernelAttributes attributes);

/// One end of a copy in up to three dimensions.
struct Box {
  device::Area rows;
  std::uint64_t slice = 0;  ///< bytes from one slice to the next

  device::Area at(std::uint64_t z) const { return {rows.address + z * slice, rows.pitch}; }
};
struct BoxSize {
  std::uint64_t width = 0, height = 0, depth = 0;
  bool is_empty() const { return width == 0 || height == 0 || depth == 0; }
};
struct BoxCopy {
  Box to, from;
  BoxSize size;
};
/// Memory and arrays that a copy reaches; refuses what the driver refuses.
CUresult read_box_copy(const CUDA_MEMCPY3D& given, BoxCopy& out);
Work box_work(Box to, Box from, BoxSize size);

CUresult copy_task(const CUDA_MEMCPY3D& given, Task& out);
CUresult fill_task(const CUDA_MEMSET_NODE_PARAMS& given, Task& out);
CUresult host_task(const CUDA_HOST_NODE_PARAMS& given, Task& out);
CUresult event_task(NodeType type, CUevent event, Task& out);
/// A node with the graph inside: a copy of it, or the graph itself.
CUresult child_task(CUgraph graph, bool moves, Task& out);
/// Tells the address in `given`.
CUresult allocation_task(CUDA_MEM_ALLOC_NODE_PARAMS& given, Task& out);
CUresult free_task(CUdeviceptr address, Task& out);
CUresult batch_task(const CUDA_BATCH_MEM_OP_NODE_PARAMS& given, Task& out);
/// Any of them. What they share with stream calls needs a current context only where that is said above.
CUresult task_of(CUgraphNodeParams& given, Task& out);

/// How a copy of rows that a stream does looks as parameters of a node.
CUDA_MEMCPY3D describe_copy(device::Area to, device::Area from, std::uint64_t width, std::uint64_t height);

}  // namespace vgpu::sim::api
