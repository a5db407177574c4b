// An executable graph: a copy of the graph that it was made from, which can be changed apart from it. Guarded by
// Simulator::capture_mutex.
#pragma once

#include <unordered_map>

#include "worker/sim/device/graph_plan.hpp"

namespace vgpu::sim::device {

/// Why an executable graph cannot take over the nodes of a graph. The numbers are CUDA's.
enum class UpdateProblem : unsigned {
  none = 0,
  topology_changed = 2,
  node_type_changed = 3,
  parameters_changed = 5,
  function_changed = 7,
  attributes_changed = 8
};
struct UpdateResult {
  UpdateProblem problem = UpdateProblem::none;
  NodePtr node;  ///< of the new graph
  NodePtr from;  ///< the other end of the edge, where one does not match
};

class GraphExec {
 public:
  GraphExec(const Graph& graph, std::uint64_t instantiation_flags);

  /// Our copy of a node of the graph that we were made from, or of a graph inside of its nodes; null if there is none.
  NodePtr find(const GraphNode& original) const;
  /// Null if the nodes wait for one another in a ring.
  std::shared_ptr<const GraphPlan> plan();
  std::shared_ptr<Graph> copy() const { return image_->clone(); }

  /// To be called with nodes that find() gave.
  UpdateProblem set_task(const NodePtr& node, TaskPtr task);
  void set_enabled(const NodePtr& node, bool enabled);
  /// All of it or nothing. `into`: a node with a graph inside that is to be updated, or null for all.
  UpdateResult update(const Graph& from, const NodePtr& into = nullptr);

  bool uses_memory() const { return image_->uses_memory(); }

  const std::uint64_t handle;
  const std::uint64_t flags;
  const std::uint64_t made_from;  ///< the graph's handle

 private:
  using Pairs = std::vector<std::pair<NodePtr, NodePtr>>;  ///< our node and the one it is to become
  void index(const Graph& graph);
  UpdateProblem check(const Task& old, const Task& now) const;
  UpdateResult compare(const Graph& ours, const Graph& from, Pairs& changes) const;

  const std::shared_ptr<Graph> image_;
  std::unordered_map<std::uint64_t, NodePtr> by_origin_;
  std::shared_ptr<const GraphPlan> plan_;  ///< of what we are now; null if that is not made yet
};

}  // namespace vgpu::sim::device
