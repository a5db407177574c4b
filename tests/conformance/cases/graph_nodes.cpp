// SPDX-License-Identifier: Apache-2.0
// Nodes of graphs: what they are.
#include "tests/conformance/fixtures/objects.hpp"
#include "tests/conformance/harness/registry.hpp"

namespace conformance {
namespace {

/// Captures what the body puts into the stream.
CUgraph capture(CUstream stream, const std::function<void()>& body) {
  expect_ok(CU(cuStreamBeginCapture_v2, stream, CU_STREAM_CAPTURE_MODE_RELAXED));
  body();
  CUgraph graph = nullptr;
  expect_ok(CU(cuStreamEndCapture, stream, &graph));
  return graph;
}

size_t nodes_of(const Graph& graph) {
  size_t count = 0;
  expect_ok(CU(cuGraphGetNodes, graph.get(), nullptr, &count));
  return count;
}

CASE(graph_node, types) {
  const Context context;
  const Module module;
  const Stream stream;
  const DeviceMemory a(4096), b(4096);
  const Graph graph(capture(stream, [&] {
    launch(module.function("noop"), {}, {}, stream);
    expect_ok(CU(cuMemcpyDtoDAsync_v2, b.at(), a.at(), 4096, stream));
    expect_ok(CU(cuMemsetD32Async, a.at(), 1, 16, stream));
    expect_ok(CU(
        cuLaunchHostFunc, stream, [](void*) {}, nullptr));
  }));
  CUgraphNode nodes[4] = {};
  size_t count = 4;
  expect_ok(CU(cuGraphGetNodes, graph.get(), nodes, &count));
  expect_equal(count, size_t{4}, "the number of nodes");
  unsigned seen[4] = {};
  for (CUgraphNode node : nodes) {
    CUgraphNodeType type = 99;
    expect_ok(CU(cuGraphNodeGetType, node, &type));
    require(type < 4, "the type is one of kernel, copy, memset, host function");
    ++seen[type];
  }
  for (const unsigned times : seen) expect_equal(times, 1U, "the number of nodes of a type");
  expect_equal(nodes_of(graph), size_t{4}, "the number of nodes afterwards");
}
CASE(graph_node, of_a_capture_is_one_of_its_graph) {
  const Context context;
  const Module module;
  const Stream stream;
  CUgraphNode node = nullptr;
  const Graph graph(capture(stream, [&] {
    launch(module.function("noop"), {}, {}, stream);
    unsigned status = 0;
    const CUgraphNode* dependencies = nullptr;
    size_t count = 0;
    expect_ok(CU(cuStreamGetCaptureInfo_v2, stream, &status, nullptr, nullptr, &dependencies, &count));
    expect_equal(count, size_t{1}, "the dependencies of the next node");
    node = dependencies[0];
  }));
  CUgraphNode listed = nullptr;
  size_t count = 1;
  expect_ok(CU(cuGraphGetNodes, graph.get(), &listed, &count));
  require(listed == node, "the node has the handle that it had in the capture");
  CUgraphNodeType type = 99;
  expect_ok(CU(cuGraphNodeGetType, node, &type));
  expect_equal(type, 0U + CU_GRAPH_NODE_TYPE_KERNEL, "the type");
}
CASE(graph_node, type_of_null) {
  const Context context;
  CUgraphNodeType type = 99;
  expect(CU(cuGraphNodeGetType, nullptr, &type), CUDA_ERROR_INVALID_VALUE);
}
CASE(graph_node, type_nowhere) {
  const Context context;
  const Module module;
  const Stream stream;
  const Graph graph(capture(stream, [&] { launch(module.function("noop"), {}, {}, stream); }));
  CUgraphNode node = nullptr;
  size_t count = 1;
  expect_ok(CU(cuGraphGetNodes, graph.get(), &node, &count));
  expect(CU(cuGraphNodeGetType, node, nullptr), CUDA_ERROR_INVALID_VALUE);
}

}  // namespace
}  // namespace conformance
