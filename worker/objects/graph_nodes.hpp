// Names of graph nodes. Nodes come into being in the driver, so the worker numbers them when the guest first sees one;
// the driver's own addresses stay here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "common/api/cuda_types.hpp"
#include "common/wire/handle.hpp"

namespace vgpu::worker {

class GraphNodes {
 public:
  /// The node's handle: always the same, until the driver gives its address to another node. `graph` is the handle of
  /// the graph that the driver said it is in; 0 for an open capture, whose nodes are gone when it fails.
  uint64_t number_of(cuda::CUgraphNode node, uint64_t graph) {
    // What is known of nodes is given up before it takes memory without bound.
    if (numbers_.size() >= kMost) clear();
    const auto [entry, added] = numbers_.try_emplace(node, 0);
    if (added) entry->second = next();
    const uint64_t number = entry->second;
    if (graph != 0 && nodes_.try_emplace(number, Node{node, graph}).second) of_graph_[graph].push_back(node);
    return number;
  }

  /// The node behind a handle; null if there is none, or if no graph was found to hold it.
  cuda::CUgraphNode find(uint64_t number) const {
    const auto entry = nodes_.find(number);
    return entry == nodes_.end() ? nullptr : entry->second.real;
  }

  /// The graph that a node was found in; 0 if none.
  uint64_t graph_of(uint64_t number) const {
    const auto entry = nodes_.find(number);
    return entry == nodes_.end() ? 0 : entry->second.graph;
  }

  /// One node is gone: the driver must not see it again.
  void drop(uint64_t number) {
    const auto entry = nodes_.find(number);
    if (entry == nodes_.end()) return;
    std::erase(of_graph_[entry->second.graph], entry->second.real);
    numbers_.erase(entry->second.real);
    nodes_.erase(entry);
  }

  /// A graph is gone, and its nodes with it: the driver must not see them again.
  void forget(uint64_t graph) {
    const auto gone = of_graph_.find(graph);
    if (gone == of_graph_.end()) return;
    for (const cuda::CUgraphNode node : gone->second) {
      nodes_.erase(numbers_.at(node));
      numbers_.erase(node);
    }
    of_graph_.erase(gone);
  }

 private:
  static constexpr size_t kMost = size_t{1} << 20;
  struct Node {
    cuda::CUgraphNode real;
    uint64_t graph;
  };

  uint64_t next() {
    ++made_;
    return wire::make_handle(wire::Kind::node, static_cast<uint32_t>(made_ >> 20), static_cast<uint32_t>(made_));
  }

  void clear() {
    numbers_.clear();
    nodes_.clear();
    of_graph_.clear();
  }

  std::unordered_map<cuda::CUgraphNode, uint64_t> numbers_;
  std::unordered_map<uint64_t, Node> nodes_;  // by number, those of a graph
  std::unordered_map<uint64_t, std::vector<cuda::CUgraphNode>> of_graph_;
  uint64_t made_ = 0;
};

}  // namespace vgpu::worker
