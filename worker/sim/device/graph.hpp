// Graphs and the capture of streams into them. All of it is guarded by Simulator::capture_mutex.
#pragma once

#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "common/api/cuda_types.hpp"
#include "worker/sim/device/graph_task.hpp"
#include "worker/sim/device/stream.hpp"

namespace vgpu::sim::device {

struct GraphNode {
  std::uint64_t handle = 0;
  std::uint64_t graph = 0;
  std::uint64_t origin = 0;  ///< of a clone: the node that it was made from
  TaskPtr task;
  std::vector<std::shared_ptr<GraphNode>> after;
  bool enabled = true;  ///< only those of executable graphs can be disabled

  /// The graph inside of a node that has one, else null.
  std::shared_ptr<Graph> child() const;
};
using NodePtr = std::shared_ptr<GraphNode>;

struct Graph {
  Graph();
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;
  /// Nodes hold those before them: unchained first, or a long row of them would be destroyed by recursion.
  ~Graph() {
    for (const auto& node : nodes) node->after.clear();
  }

  const std::uint64_t handle;
  std::vector<NodePtr> nodes;
  bool owned = false;      ///< by a node of another graph, and destroyed with it
  bool capturing = false;  ///< streams are being captured into it

  NodePtr add(TaskPtr task, std::vector<NodePtr> after);
  /// Takes the node out, and its edges.
  void remove(const NodePtr& node);
  std::vector<NodePtr> roots() const;
  /// True if nodes of it, or of graphs inside, allocate or free memory: such a graph can be neither copied nor cut.
  bool uses_memory() const;
  std::vector<NodePtr> dependents(const GraphNode& node) const;
  /// A copy, the graphs inside of nodes included; tasks are shared otherwise.
  std::shared_ptr<Graph> clone() const;
};

/// A capture in progress. It lives on in streams and events until the origin stream ends it.
class Capture {
 public:
  Capture(std::uint64_t capture_id, unsigned capture_mode, const std::shared_ptr<Stream>& origin_stream,
          std::shared_ptr<Graph> into);

  bool is_on_blocking_stream() const;
  const std::uint64_t id;
  const unsigned mode;
  const std::thread::id owner;
  const std::weak_ptr<Stream> origin;
  const std::uint64_t context_id;
  const std::shared_ptr<Graph> graph;
  bool invalidated = false;
  std::vector<std::weak_ptr<Stream>> members;
};

}  // namespace vgpu::sim::device
