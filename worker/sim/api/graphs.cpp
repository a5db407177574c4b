// Graphs: making and destroying them, what they consist of, and their edges.
#include <algorithm>

#include "worker/sim/api/graph_entry.hpp"

using namespace vgpu::sim::api;
using vgpu::sim::device::Graph;

VGPU_SIM_EXPORT(cuGraphCreate);
VGPU_SIM_EXPORT(cuGraphDestroy);
VGPU_SIM_EXPORT(cuGraphClone);
VGPU_SIM_EXPORT(cuGraphNodeFindInClone);
VGPU_SIM_EXPORT(cuGraphGetNodes);
VGPU_SIM_EXPORT(cuGraphGetRootNodes);
VGPU_SIM_EXPORT(cuGraphGetEdges);
VGPU_SIM_EXPORT(cuGraphGetEdges_v2);
VGPU_SIM_EXPORT(cuGraphNodeGetDependencies);
VGPU_SIM_EXPORT(cuGraphNodeGetDependencies_v2);
VGPU_SIM_EXPORT(cuGraphNodeGetDependentNodes);
VGPU_SIM_EXPORT(cuGraphNodeGetDependentNodes_v2);
VGPU_SIM_EXPORT(cuGraphAddDependencies);
VGPU_SIM_EXPORT(cuGraphAddDependencies_v2);
VGPU_SIM_EXPORT(cuGraphRemoveDependencies);
VGPU_SIM_EXPORT(cuGraphRemoveDependencies_v2);
VGPU_SIM_EXPORT(cuGraphDestroyNode);
VGPU_SIM_EXPORT(cuGraphChildGraphNodeGetGraph);

namespace {

/// Gives a graph and its nodes handles that are found.
void publish(const GraphPtr& graph) {
  Simulator& sim = Simulator::get();
  sim.graphs.add(graph->handle, graph);
  for (const NodePtr& node : graph->nodes) sim.graph_nodes.add(node->handle, node);
}

void forget(const Graph& graph);

/// The handles of a node and of a graph inside are found no more.
void forget(const NodePtr& node) {
  Simulator& sim = Simulator::get();
  sim.graph_nodes.take(as_handle<CUgraphNode>(node->handle));
  const GraphPtr child = node->child();
  if (child != nullptr && sim.graphs.take(as_handle<CUgraph>(child->handle)) != nullptr) forget(*child);
}
void forget(const Graph& graph) {
  for (const NodePtr& node : graph.nodes) forget(node);
}

void clear_edges(CUgraphEdgeData* edges, std::size_t count) {
  for (std::size_t i = 0; edges != nullptr && i < count; ++i) edges[i] = {};
}

CUresult list_with_edges(const std::vector<NodePtr>& nodes, CUgraphNode* out, CUgraphEdgeData* edges,
                         std::size_t* count) {
  if (edges != nullptr && out == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const CUresult result = list_nodes(nodes, out, count);
  if (result == CUDA_SUCCESS) clear_edges(edges, *count);
  return result;
}

CUresult list_edges(const Graph& graph, CUgraphNode* from, CUgraphNode* to, CUgraphEdgeData* edges,
                    std::size_t* count) {
  if (count == nullptr || (from == nullptr) != (to == nullptr) || (edges != nullptr && from == nullptr))
    return CUDA_ERROR_INVALID_VALUE;
  std::size_t found = 0;
  for (const NodePtr& node : graph.nodes) {
    for (const NodePtr& before : node->after) {
      if (from != nullptr && found < *count) {
        from[found] = as_handle<CUgraphNode>(before->handle);
        to[found] = as_handle<CUgraphNode>(node->handle);
      }
      ++found;
    }
  }
  if (from == nullptr) {
    *count = found;
    return CUDA_SUCCESS;
  }
  for (std::size_t i = found; i < *count; ++i) from[i] = to[i] = nullptr;
  *count = std::min(*count, found);
  clear_edges(edges, *count);
  return CUDA_SUCCESS;
}

/// Both ends of every edge that a call names.
CUresult find_ends(const Graph& graph, const CUgraphNode* from, const CUgraphNode* to, std::size_t count,
                   std::vector<std::pair<NodePtr, NodePtr>>& out) {
  if (count != 0 && (from == nullptr || to == nullptr)) return CUDA_ERROR_INVALID_VALUE;
  for (std::size_t i = 0; i < count; ++i) {
    NodePtr before = Simulator::get().graph_nodes.find(from[i]), after = Simulator::get().graph_nodes.find(to[i]);
    if (before == nullptr || after == nullptr || before->graph != graph.handle || after->graph != graph.handle)
      return CUDA_ERROR_INVALID_VALUE;
    out.emplace_back(std::move(before), std::move(after));
  }
  return CUDA_SUCCESS;
}

bool is_edge(const NodePtr& from, const NodePtr& to) {
  return std::find(to->after.begin(), to->after.end(), from) != to->after.end();
}

/// All of them or none.
CUresult add_edges(CUgraph handle, const CUgraphNode* from, const CUgraphNode* to, const CUgraphEdgeData* edges,
                   std::size_t count) {
  return with_graph(handle, [&](const GraphPtr& graph) {
    std::vector<std::pair<NodePtr, NodePtr>> ends;
    if (const CUresult result = check_edges(edges, count); result != CUDA_SUCCESS) return result;
    if (const CUresult result = find_ends(*graph, from, to, count, ends); result != CUDA_SUCCESS) return result;
    for (std::size_t i = 0; i < ends.size(); ++i) {
      const auto& [before, after] = ends[i];
      if (before == after || is_edge(before, after) ||
          std::find(ends.begin(), ends.begin() + static_cast<std::ptrdiff_t>(i), ends[i]) !=
              ends.begin() + static_cast<std::ptrdiff_t>(i))
        return CUDA_ERROR_INVALID_VALUE;
    }
    for (const auto& [before, after] : ends) after->after.push_back(before);
    return CUDA_SUCCESS;
  });
}
CUresult remove_edges(CUgraph handle, const CUgraphNode* from, const CUgraphNode* to, const CUgraphEdgeData* edges,
                      std::size_t count) {
  return with_graph(handle, [&](const GraphPtr& graph) {
    std::vector<std::pair<NodePtr, NodePtr>> ends;
    if (graph->uses_memory()) return CUDA_ERROR_NOT_SUPPORTED;
    if (const CUresult result = check_edges(edges, count); result != CUDA_SUCCESS) return result;
    if (const CUresult result = find_ends(*graph, from, to, count, ends); result != CUDA_SUCCESS) return result;
    for (const auto& [before, after] : ends)
      if (!is_edge(before, after)) return CUDA_ERROR_INVALID_VALUE;
    for (const auto& [before, after] : ends) std::erase(after->after, before);
    return CUDA_SUCCESS;
  });
}

}  // namespace

namespace vgpu::sim::api {

CUresult list_nodes(const std::vector<NodePtr>& nodes, CUgraphNode* out, std::size_t* count) {
  if (count == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (out == nullptr) {
    *count = nodes.size();
    return CUDA_SUCCESS;
  }
  for (std::size_t i = 0; i < *count; ++i)
    out[i] = i < nodes.size() ? as_handle<CUgraphNode>(nodes[i]->handle) : nullptr;
  *count = std::min(*count, nodes.size());
  return CUDA_SUCCESS;
}

CUresult check_edges(const CUgraphEdgeData* edges, std::size_t count) {
  for (std::size_t i = 0; edges != nullptr && i < count; ++i) {
    const CUgraphEdgeData plain{};
    if (__builtin_memcmp(&edges[i], &plain, sizeof plain) != 0) return CUDA_ERROR_NOT_SUPPORTED;
  }
  return CUDA_SUCCESS;
}

CUresult find_before(const Graph& graph, const CUgraphNode* nodes, const CUgraphEdgeData* edges, std::size_t count,
                     std::vector<NodePtr>& out) {
  if (nodes == nullptr && count != 0) return CUDA_ERROR_INVALID_VALUE;
  if (const CUresult result = check_edges(edges, count); result != CUDA_SUCCESS) return result;
  for (std::size_t i = 0; i < count; ++i) {
    auto node = Simulator::get().graph_nodes.find(nodes[i]);
    if (node == nullptr || node->graph != graph.handle) return CUDA_ERROR_INVALID_VALUE;
    if (std::find(nodes, nodes + i, nodes[i]) != nodes + i) return CUDA_ERROR_INVALID_VALUE;
    out.push_back(std::move(node));
  }
  return CUDA_SUCCESS;
}

}  // namespace vgpu::sim::api

CUresult cuGraphCreate(CUgraph* out, unsigned flags) {
  return without_context([&] {
    if (out == nullptr || flags != 0) return CUDA_ERROR_INVALID_VALUE;
    const auto graph = std::make_shared<Graph>();
    Simulator::get().graphs.add(graph->handle, graph);
    *out = as_handle<CUgraph>(graph->handle);
    return CUDA_SUCCESS;
  });
}

CUresult cuGraphDestroy(CUgraph handle) {
  return with_graph(handle, [&](const GraphPtr& graph) {
    if (graph->owned) return CUDA_ERROR_INVALID_VALUE;
    Simulator::get().graphs.take(handle);
    forget(*graph);
    return CUDA_SUCCESS;
  });
}

CUresult cuGraphClone(CUgraph* out, CUgraph handle) {
  return with_graph(handle, [&](const GraphPtr& graph) {
    if (out == nullptr) return CUDA_ERROR_INVALID_VALUE;
    if (graph->uses_memory()) return CUDA_ERROR_NOT_SUPPORTED;
    const GraphPtr copy = graph->clone();
    publish(copy);
    *out = as_handle<CUgraph>(copy->handle);
    return CUDA_SUCCESS;
  });
}
CUresult cuGraphNodeFindInClone(CUgraphNode* out, CUgraphNode original_handle, CUgraph handle) {
  return with_graph(handle, [&](const GraphPtr& graph) {
    const NodePtr original = Simulator::get().graph_nodes.find(original_handle);
    if (out == nullptr || original == nullptr) return CUDA_ERROR_INVALID_VALUE;
    const auto found = std::find_if(graph->nodes.begin(), graph->nodes.end(),
                                    [&](const NodePtr& node) { return node->origin == original->handle; });
    if (found == graph->nodes.end()) return CUDA_ERROR_INVALID_VALUE;
    *out = as_handle<CUgraphNode>((*found)->handle);
    return CUDA_SUCCESS;
  });
}

CUresult cuGraphGetNodes(CUgraph handle, CUgraphNode* out, std::size_t* count) {
  return with_graph(handle, [&](const GraphPtr& graph) { return list_nodes(graph->nodes, out, count); });
}
CUresult cuGraphGetRootNodes(CUgraph handle, CUgraphNode* out, std::size_t* count) {
  return with_graph(handle, [&](const GraphPtr& graph) { return list_nodes(graph->roots(), out, count); });
}

CUresult cuGraphGetEdges_v2(CUgraph handle, CUgraphNode* from, CUgraphNode* to, CUgraphEdgeData* edges,
                            std::size_t* count) {
  return with_graph(handle, [&](const GraphPtr& graph) { return list_edges(*graph, from, to, edges, count); });
}
CUresult cuGraphGetEdges(CUgraph handle, CUgraphNode* from, CUgraphNode* to, std::size_t* count) {
  return cuGraphGetEdges_v2(handle, from, to, nullptr, count);
}

CUresult cuGraphNodeGetDependencies_v2(CUgraphNode handle, CUgraphNode* out, CUgraphEdgeData* edges,
                                       std::size_t* count) {
  return with_node(handle, [&](const NodePtr& node) { return list_with_edges(node->after, out, edges, count); });
}
CUresult cuGraphNodeGetDependencies(CUgraphNode handle, CUgraphNode* out, std::size_t* count) {
  return cuGraphNodeGetDependencies_v2(handle, out, nullptr, count);
}
CUresult cuGraphNodeGetDependentNodes_v2(CUgraphNode handle, CUgraphNode* out, CUgraphEdgeData* edges,
                                         std::size_t* count) {
  return with_node(handle, [&](const NodePtr& node) {
    const GraphPtr graph = Simulator::get().graphs.find(as_handle<CUgraph>(node->graph));
    if (graph == nullptr) return CUDA_ERROR_INVALID_HANDLE;
    return list_with_edges(graph->dependents(*node), out, edges, count);
  });
}
CUresult cuGraphNodeGetDependentNodes(CUgraphNode handle, CUgraphNode* out, std::size_t* count) {
  return cuGraphNodeGetDependentNodes_v2(handle, out, nullptr, count);
}

CUresult cuGraphAddDependencies_v2(CUgraph graph, const CUgraphNode* from, const CUgraphNode* to,
                                   const CUgraphEdgeData* edges, std::size_t count) {
  return add_edges(graph, from, to, edges, count);
}
CUresult cuGraphAddDependencies(CUgraph graph, const CUgraphNode* from, const CUgraphNode* to, std::size_t count) {
  return add_edges(graph, from, to, nullptr, count);
}
CUresult cuGraphRemoveDependencies_v2(CUgraph graph, const CUgraphNode* from, const CUgraphNode* to,
                                      const CUgraphEdgeData* edges, std::size_t count) {
  return remove_edges(graph, from, to, edges, count);
}
CUresult cuGraphRemoveDependencies(CUgraph graph, const CUgraphNode* from, const CUgraphNode* to, std::size_t count) {
  return remove_edges(graph, from, to, nullptr, count);
}

CUresult cuGraphDestroyNode(CUgraphNode handle) {
  return with_node(handle, [&](const NodePtr& node) {
    const GraphPtr graph = Simulator::get().graphs.find(as_handle<CUgraph>(node->graph));
    if (graph == nullptr) return CUDA_ERROR_INVALID_HANDLE;
    if (graph->uses_memory()) return CUDA_ERROR_NOT_SUPPORTED;
    graph->remove(node);
    forget(node);
    return CUDA_SUCCESS;
  });
}

CUresult cuGraphChildGraphNodeGetGraph(CUgraphNode handle, CUgraph* out) {
  return with_node(handle, [&](const NodePtr& node) {
    const GraphPtr child = node->child();
    if (out == nullptr || child == nullptr) return CUDA_ERROR_INVALID_VALUE;
    publish(child);
    *out = as_handle<CUgraph>(child->handle);
    return CUDA_SUCCESS;
  });
}
