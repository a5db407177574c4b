// Copies in graphs of memory that only the guest reaches. To the client such a copy is one node; to the driver it is a
// graph inside of a node, of a host function, the guest's step, and of the copy between the window and the device.
#pragma once

#include "worker/handlers/node_lists.hpp"
#include "worker/handlers/node_sheets.hpp"

namespace vgpu::worker::handlers {

/// What the guest's step is to the copy (common/api/ops.table).
struct CopyStep {
  enum Role : uint32_t { before = 1, after = 2, all = 3 };
};

/// The two nodes inside.
struct CopyNodes {
  CUgraphNode host = nullptr;
  CUgraphNode copy = nullptr;  ///< null if the guest does all of it
  const HostSteps::Step* step = nullptr;
};

CUresult add_copy_nodes(Session& session, CUgraph graph, NodeList& after, NodeSheet& sheet, CUgraphNode& node);
/// False if the node, of this type to the driver, is not such a copy.
bool find_copy_nodes(Session& session, CUgraphNode node, unsigned type, CopyNodes& nodes);
/// Changes such a copy, in an executable graph or (null) in the graph. CUDA_ERROR_NOT_SUPPORTED if that would take
/// other nodes.
CUresult set_copy_nodes(Session& session, CUgraphExec exec, const CopyNodes& nodes, NodeSheet& sheet);

}  // namespace vgpu::worker::handlers
