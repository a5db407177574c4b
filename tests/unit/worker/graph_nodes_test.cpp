#include "worker/objects/graph_nodes.hpp"

#include <catch2/catch.hpp>

using vgpu::cuda::CUgraphNode;

namespace {

constexpr uint64_t kGraph = vgpu::wire::make_handle(vgpu::wire::Kind::graph, 1, 1);
constexpr uint64_t kOther = vgpu::wire::make_handle(vgpu::wire::Kind::graph, 1, 2);

/// Addresses as the driver would give them.
struct Places {
  int places[2] = {};
  CUgraphNode first = reinterpret_cast<CUgraphNode>(&places[0]);
  CUgraphNode second = reinterpret_cast<CUgraphNode>(&places[1]);
};

}  // namespace

TEST_CASE("a node keeps its number, and no two share one") {
  vgpu::worker::GraphNodes nodes;
  const Places at;
  const uint64_t number = nodes.number_of(at.first, kGraph);
  CHECK(vgpu::wire::kind_of(number) == vgpu::wire::Kind::node);
  CHECK(nodes.number_of(at.second, kGraph) != number);
  CHECK(nodes.number_of(at.first, kGraph) == number);
  CHECK(number != reinterpret_cast<uint64_t>(at.first));
}

TEST_CASE("a node is found by its number as long as its graph is there") {
  vgpu::worker::GraphNodes nodes;
  const Places at;
  const uint64_t first = nodes.number_of(at.first, kGraph);
  const uint64_t second = nodes.number_of(at.second, kOther);
  CHECK(nodes.find(first) == at.first);
  CHECK(nodes.find(first + 100) == nullptr);
  CHECK(nodes.find(0) == nullptr);
  nodes.forget(kGraph);
  CHECK(nodes.find(first) == nullptr);
  CHECK(nodes.find(second) == at.second);
  // The driver gives the address again: another node.
  CHECK(nodes.number_of(at.first, kOther) != first);
}

TEST_CASE("a node of an open capture is found once its graph lists it, by the same number") {
  vgpu::worker::GraphNodes nodes;
  const Places at;
  const uint64_t number = nodes.number_of(at.first, 0);
  CHECK(nodes.find(number) == nullptr);
  CHECK(nodes.number_of(at.first, kGraph) == number);
  CHECK(nodes.find(number) == at.first);
}
