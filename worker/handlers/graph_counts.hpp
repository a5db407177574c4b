// Graphs that hold graphs, and graphs that are still being captured: how they are counted and forgotten.
#pragma once

#include <vector>

#include "worker/session.hpp"

namespace vgpu::worker::handlers {

/// Nodes of a graph, those of the graphs that its conditional nodes hold included.
inline uint64_t count_all(Objects& objects, uint64_t handle, const Graph& graph) {
  uint64_t count = graph.count;
  objects.graphs.for_each([&](uint64_t other, const Graph& inner) {
    if (inner.owner == handle) count += count_all(objects, other, inner);
  });
  return count;
}

/// A graph is gone, and with it the graphs that its nodes hold.
inline void forget_graph(Objects& objects, uint64_t handle) {
  std::vector<uint64_t> gone{handle};
  for (size_t next = 0; next < gone.size(); ++next) {
    objects.graphs.for_each([&](uint64_t other, const Graph& graph) {
      if (graph.owner == gone[next]) gone.push_back(other);
    });
  }
  for (const uint64_t one : gone) {
    const Graph* graph = objects.graphs.find(one);
    if (graph == nullptr) continue;
    objects.node_count -= graph->count;
    objects.graphs.drop(one);
    objects.nodes.forget(one);
  }
}

/// The driver's graph that the stream is captured into; null if it is not.
CUresult graph_of_capture(Session& session, CUstream stream, CUgraph& graph);
/// Forgets the graphs of captures that have come to nothing: the driver has destroyed them. `kept`: a graph whose
/// capture has just ended well.
void forget_lost_captures(Session& session, uint64_t kept = 0);
/// The client's handle of it; 0 if it has none.
inline uint64_t handle_of_graph(Objects& objects, CUgraph real) {
  uint64_t found = 0;
  objects.graphs.for_each([&](uint64_t handle, const Graph& graph) {
    if (graph.real == real) found = handle;
  });
  return found;
}

}  // namespace vgpu::worker::handlers
