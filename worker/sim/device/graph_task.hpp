// What a node of a graph does, and the parameters that describe it to who asks.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <variant>
#include <vector>

#include "common/api/cuda_graph_types.hpp"
#include "worker/sim/device/stream.hpp"
#include "worker/sim/exec/launch.hpp"

namespace vgpu::sim::device {

struct Event;
struct Graph;
class GraphAddress;

/// The numbers are CUDA's node types.
enum class NodeType : unsigned {
  kernel = 0,
  copy = 1,
  set = 2,
  host = 3,
  graph = 4,
  empty = 5,
  wait_event = 6,
  record_event = 7,
  allocation = 10,
  free = 11,
  memory_operation = 12
};

using KernelAttributes = std::map<cuda::CUlaunchAttributeID, cuda::CUlaunchAttributeValue>;

/// The pointers in `given` lead to what this object owns: not copied, not moved.
struct KernelParameters {
  KernelParameters() = default;
  KernelParameters(const KernelParameters&) = delete;
  KernelParameters& operator=(const KernelParameters&) = delete;

  cuda::CUDA_KERNEL_NODE_PARAMS given{};
  exec::Launch launch;  ///< its `parameters` are those that `given` leads to
  std::uint64_t context_id = 0;
  KernelAttributes attributes;
  std::vector<void*> pointers;   ///< one for each parameter
  std::size_t packed_bytes = 0;  ///< where they were given in one block
  std::array<void*, 5> extra{};
};

struct EventParameters {
  std::shared_ptr<Event> event;
};
/// The node owns the graph; that alone of a task can change.
struct ChildParameters {
  std::shared_ptr<Graph> graph;
};

/// `given.accessDescs` leads to `access`: not copied, not moved.
struct AllocationParameters {
  AllocationParameters() = default;
  AllocationParameters(const AllocationParameters&) = delete;
  AllocationParameters& operator=(const AllocationParameters&) = delete;

  cuda::CUDA_MEM_ALLOC_NODE_PARAMS given{};
  std::vector<cuda::CUmemAccessDesc> access;
  std::shared_ptr<GraphAddress> address;
};
struct FreeParameters {
  std::uint64_t address;
};

/// `given.paramArray` leads to `operations`: not copied, not moved.
struct BatchParameters {
  BatchParameters() = default;
  BatchParameters(const BatchParameters&) = delete;
  BatchParameters& operator=(const BatchParameters&) = delete;

  cuda::CUDA_BATCH_MEM_OP_NODE_PARAMS given{};
  std::vector<cuda::CUstreamBatchMemOpParams> operations;
};

using NodeParameters =
    std::variant<std::monostate, std::shared_ptr<const KernelParameters>, cuda::CUDA_MEMCPY3D,
                 cuda::CUDA_MEMSET_NODE_PARAMS, cuda::CUDA_HOST_NODE_PARAMS, EventParameters, ChildParameters,
                 std::shared_ptr<const AllocationParameters>, FreeParameters, std::shared_ptr<const BatchParameters>>;

/// Never changed once a node has it, but replaced: whoever else holds it, such as a launch in flight, keeps the old
/// one.
struct Task {
  NodeType type = NodeType::empty;
  Work work;  ///< empty if there is nothing to do, and for events and child graphs, which the launch sees to
  NodeParameters parameters;
};
using TaskPtr = std::shared_ptr<const Task>;

}  // namespace vgpu::sim::device
