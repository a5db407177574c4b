// What is launched: the tasks of a graph and of the graphs inside of its nodes, flat, with their order; and one launch.
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "worker/sim/device/graph.hpp"

namespace vgpu::sim::device {

/// Does not change after its making.
class GraphPlan {
 public:
  /// A step that does nothing, for a disabled node or the begin or end of a graph within, has no task.
  struct Step {
    TaskPtr task;
    std::vector<std::size_t> next;
    std::size_t waits_for = 0;
  };

  explicit GraphPlan(const Graph& graph);
  /// False if some steps wait for one another in a ring.
  bool is_acyclic() const;
  const std::vector<Step>& steps() const { return steps_; }

 private:
  static constexpr std::size_t nowhere = ~std::size_t{0};
  std::size_t add(TaskPtr task);
  void link(std::size_t before, std::size_t after);
  /// All of `graph` comes after the step `begin` and before the step `end`.
  void add_all(const Graph& graph, std::size_t begin, std::size_t end);

  std::vector<Step> steps_;
};

/// One launch of a plan, with what the events in it stand for.
class GraphLaunch {
 public:
  /// Nodes that wait for an event wait for its last record before this; from here on, the events that the graph records
  /// stand for this launch.
  GraphLaunch(std::shared_ptr<const GraphPlan> plan, std::uint64_t seed);

  /// Runs all steps, independent ones in any order.
  void run(Context& context);
  /// Those that stand for the records: they must be set when the launch has ended, whatever came of it.
  std::vector<MarkPtr> marks() const;

 private:
  struct EventUse {
    std::shared_ptr<Event> event;
    MarkPtr mark;                ///< of a record
    std::vector<MarkPtr> marks;  ///< of a wait
    std::uint64_t number = 0;    ///< of an event that other processes see
  };
  void run(Context& context, std::size_t index);
  void record(Context& context, const EventUse& use) const;

  const std::shared_ptr<const GraphPlan> plan_;
  const std::uint64_t seed_;                          ///< 0: in the order of the nodes
  std::unordered_map<std::size_t, EventUse> events_;  ///< by step
};

}  // namespace vgpu::sim::device
