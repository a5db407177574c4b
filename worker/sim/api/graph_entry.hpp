// What the functions about graphs begin with: the objects behind the handles, and the mutex that guards them.
#pragma once

#include <vector>

#include "worker/sim/api/tasks.hpp"

namespace vgpu::sim::api {

using device::GraphNode;
using device::NodePtr;
using device::TaskPtr;
using GraphPtr = std::shared_ptr<device::Graph>;
using ExecPtr = std::shared_ptr<device::GraphExec>;

/// Of the calls about graphs, null is an invalid value and not an invalid handle.
inline CUresult bad_handle(const void* handle) {
  return handle == nullptr ? CUDA_ERROR_INVALID_VALUE : CUDA_ERROR_INVALID_HANDLE;
}

template <typename Body>
CUresult with_stream(CUstream handle, Body body) {
  return with_context([&](const ContextPtr& context) {
    StreamPtr stream;
    if (const CUresult result = find_stream(context, handle, stream); result != CUDA_SUCCESS) return result;
    return static_cast<CUresult>(body(stream));
  });
}

/// `body` runs under the mutex that guards graphs.
template <typename Body>
CUresult with_graph(CUgraph handle, Body body) {
  return without_context([&] {
    const GraphPtr graph = Simulator::get().graphs.find(handle);
    if (graph == nullptr) return bad_handle(handle);
    const std::lock_guard lock(Simulator::get().capture_mutex);
    return static_cast<CUresult>(body(graph));
  });
}
/// The same, for a node.
template <typename Body>
CUresult with_node(CUgraphNode handle, Body body) {
  return without_context([&] {
    const NodePtr node = Simulator::get().graph_nodes.find(handle);
    if (node == nullptr) return bad_handle(handle);
    const std::lock_guard lock(Simulator::get().capture_mutex);
    return static_cast<CUresult>(body(node));
  });
}
/// The same, for an executable graph and its copy of a node.
template <typename Body>
CUresult with_exec_node(CUgraphExec exec_handle, CUgraphNode handle, Body body) {
  return with_node(handle, [&](const NodePtr& original) {
    const ExecPtr exec = Simulator::get().graph_execs.find(exec_handle);
    if (exec == nullptr) return bad_handle(exec_handle);
    const NodePtr node = exec->find(*original);
    return node == nullptr ? CUDA_ERROR_INVALID_VALUE : static_cast<CUresult>(body(exec, node));
  });
}

/// Fills an array of at most *count handles, or says how many there are.
CUresult list_nodes(const std::vector<NodePtr>& nodes, CUgraphNode* out, std::size_t* count);
/// The nodes of `graph` that another is to come after; refused if one is twice in the list or no node of the graph.
/// `edges` may be null. The mutex is held.
CUresult find_before(const device::Graph& graph, const CUgraphNode* nodes, const CUgraphEdgeData* edges,
                     std::size_t count, std::vector<NodePtr>& out);
/// Only plain edges exist here.
CUresult check_edges(const CUgraphEdgeData* edges, std::size_t count);

}  // namespace vgpu::sim::api
