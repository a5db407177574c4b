#include "shim/client/child_graphs.hpp"

#include <map>
#include <mutex>

namespace vgpu::shim {
namespace {

struct Inside {
  CUgraph parent;
  CUgraphNode node;
};
struct Known {
  std::map<CUgraphNode, CUgraph> of_node;  // a node's number is never used twice
  std::map<CUgraph, Inside> inside;
};

constinit std::mutex g_mutex;
Known& known() {
  static auto* const all = new Known;  // never destroyed
  return *all;
}

}  // namespace

void note_child_graph(CUgraphNode node, CUgraph graph) {
  const std::lock_guard lock(g_mutex);
  known().of_node[node] = graph;
}

CUgraph find_child_graph(CUgraphNode node) {
  const std::lock_guard lock(g_mutex);
  const auto found = known().of_node.find(node);
  return found == known().of_node.end() ? nullptr : found->second;
}

void note_inside(CUgraph child, CUgraph parent, CUgraphNode node) {
  const std::lock_guard lock(g_mutex);
  known().inside[child] = {parent, node};
  if (node != nullptr) known().of_node[node] = child;
}

bool is_inside(CUgraph graph) {
  const std::lock_guard lock(g_mutex);
  return known().inside.count(graph) != 0;
}

std::vector<CUgraph> take_inside(CUgraph parent) {
  const std::lock_guard lock(g_mutex);
  std::vector<CUgraph> taken{parent};
  for (size_t next = 0; next < taken.size(); ++next) {
    const CUgraph holder = taken[next];
    std::erase_if(known().inside, [&](const auto& item) {
      const auto& [child, where] = item;
      if (where.parent != holder) return false;
      taken.push_back(child);
      known().of_node.erase(where.node);
      return true;
    });
  }
  taken.erase(taken.begin());
  return taken;
}

}  // namespace vgpu::shim
