#include "worker/objects/graph_nodes.hpp"

#include <catch2/catch.hpp>

using vgpu::cuda::CUgraphNode;

TEST_CASE("a node keeps its number, and no two share one") {
  vgpu::worker::GraphNodes nodes;
  int places[2];
  const auto first = reinterpret_cast<CUgraphNode>(&places[0]);
  const auto second = reinterpret_cast<CUgraphNode>(&places[1]);
  const uint64_t number = nodes.number_of(first);
  CHECK(vgpu::wire::kind_of(number) == vgpu::wire::Kind::node);
  CHECK(nodes.number_of(second) != number);
  CHECK(nodes.number_of(first) == number);
  CHECK(number != reinterpret_cast<uint64_t>(first));
}
