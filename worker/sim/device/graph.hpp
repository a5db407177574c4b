// Graphs, their executable form, and the capture of a stream into a graph. All of it is guarded by
// Simulator::capture_mutex, except GraphExec, which does not change after its making.
#pragma once

#include <cstdint>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "common/api/cuda_types.hpp"
#include "worker/sim/device/stream.hpp"

namespace vgpu::sim::device {

/// The numbers are CUDA's node types.
enum class NodeType : unsigned {
  kernel = 0,
  copy = 1,
  set = 2,
  host = 3,
  empty = 5,
  wait_event = 6,
  record_event = 7,
  memory_operation = 11
};

struct GraphNode {
  std::uint64_t handle = 0;
  std::uint64_t graph = 0;
  NodeType type = NodeType::empty;
  Work work;
  std::vector<std::shared_ptr<GraphNode>> after;
};

struct Graph {
  Graph() = default;
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;
  /// Nodes hold those before them: unchained first, or a long row of them would be destroyed by recursion.
  ~Graph() {
    for (const auto& node : nodes) node->after.clear();
  }

  std::uint64_t handle = 0;
  std::vector<std::shared_ptr<GraphNode>> nodes;

  std::shared_ptr<GraphNode> add(NodeType type, Work work, std::vector<std::shared_ptr<GraphNode>> after);
  std::vector<std::shared_ptr<GraphNode>> roots() const;
};

/// What is launched: the work of the nodes and their order.
class GraphExec {
 public:
  GraphExec(std::uint64_t exec_handle, const Graph& graph);

  /// Runs all nodes, independent ones in any order.
  void run(Context& context, std::uint64_t seed) const;
  const std::uint64_t handle;

 private:
  struct Step {
    Work work;
    std::vector<std::size_t> next;
    std::size_t waits_for = 0;
  };
  std::vector<Step> steps_;
};

/// A capture in progress. It lives on in streams and events until the origin stream ends it.
class Capture {
 public:
  Capture(std::uint64_t capture_id, unsigned capture_mode, std::shared_ptr<Stream> origin_stream);

  bool is_on_blocking_stream() const;
  const std::uint64_t id;
  const unsigned mode;
  const std::thread::id owner;
  const std::weak_ptr<Stream> origin;
  const std::uint64_t context_id;
  std::shared_ptr<Graph> graph;
  bool invalidated = false;
  std::vector<std::weak_ptr<Stream>> members;
};

}  // namespace vgpu::sim::device
