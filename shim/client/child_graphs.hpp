// Graphs inside of other graphs' nodes, as the program knows them. They are not its own to destroy.
#pragma once

#include <vector>

#include "common/api/cuda_types.hpp"

namespace vgpu::shim {

using namespace vgpu::cuda;

/// The handle under which the program knows a node's graph.
void note_child_graph(CUgraphNode node, CUgraph graph);
/// Null if the program has none of this node.
CUgraph find_child_graph(CUgraphNode node);

/// `child` ends with `parent`. `node`: the node that took it over; null for one of several.
void note_inside(CUgraph child, CUgraph parent, CUgraphNode node = nullptr);
bool is_inside(CUgraph graph);
/// Forgets what was noted to be inside of a graph, or inside of that, and says what it was.
std::vector<CUgraph> take_inside(CUgraph parent);

}  // namespace vgpu::shim
