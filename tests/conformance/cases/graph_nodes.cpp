// SPDX-License-Identifier: Apache-2.0
// Nodes of graphs: what they are, and the empty ones that are added.
#include "tests/conformance/fixtures/graph_build.hpp"
#include "tests/conformance/harness/registry.hpp"

namespace conformance {
namespace {

size_t roots_of(const Graph& graph) {
  size_t count = 0;
  expect_ok(CU(cuGraphGetRootNodes, graph.get(), nullptr, &count));
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
  expect_equal(nodes_of(graph.get()).size(), size_t{4}, "the number of nodes afterwards");
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

CASE(graph_empty_node, added) {
  const Context context;
  const Graph graph(new_graph());
  expect_equal(nodes_of(graph.get()).size(), size_t{0}, "the number of nodes before");
  CUgraphNode node = add_empty(graph.get());
  CUgraphNodeType type = 99;
  expect_ok(CU(cuGraphNodeGetType, node, &type));
  expect_equal(type, 0U + CU_GRAPH_NODE_TYPE_EMPTY, "the type");
  CUgraphNode listed = nullptr;
  size_t count = 1;
  expect_ok(CU(cuGraphGetNodes, graph.get(), &listed, &count));
  expect_equal(count, size_t{1}, "the number of nodes");
  require(listed == node, "the node that is listed is the one that was made");
  expect_equal(roots_of(graph), size_t{1}, "the number of roots");
}
CASE(graph_empty_node, without_a_context) {
  const Graph graph(new_graph());
  add_empty(graph.get());
  expect_equal(nodes_of(graph.get()).size(), size_t{1}, "the number of nodes");
}
CASE(graph_empty_node, dependencies) {
  const Context context;
  const Graph graph(new_graph());
  const CUgraphNode a = add_empty(graph.get()), b = add_empty(graph.get());
  require(a != b, "two nodes have two handles");
  expect_equal(roots_of(graph), size_t{2}, "the number of roots before");
  add_empty(graph.get(), {a, b});
  expect_equal(nodes_of(graph.get()).size(), size_t{3}, "the number of nodes");
  expect_equal(roots_of(graph), size_t{2}, "the number of roots after");
}
CASE(graph_empty_node, no_dependencies_in_an_array) {
  const Context context;
  const Graph graph(new_graph());
  const CUgraphNode first = add_empty(graph.get());
  CUgraphNode second = nullptr;
  expect_ok(CU(cuGraphAddEmptyNode, &second, graph.get(), &first, 0));
  expect_equal(roots_of(graph), size_t{2}, "the number of roots");
}
CASE(graph_empty_node, many_dependencies) {
  const Context context;
  const Graph graph(new_graph());
  std::vector<CUgraphNode> before;
  for (int i = 0; i < 1000; ++i) before.push_back(add_empty(graph.get()));
  add_empty(graph.get(), before);
  expect_equal(nodes_of(graph.get()).size(), size_t{1001}, "the number of nodes");
  expect_equal(roots_of(graph), size_t{1000}, "the number of roots");
}
CASE(graph_empty_node, runs) {
  const Context context;
  const Stream stream;
  const Graph graph(new_graph());
  add_empty(graph.get(), {add_empty(graph.get()), add_empty(graph.get())});
  const GraphExec exec(graph);
  expect_ok(CU(cuGraphLaunch, exec.get(), stream));
  stream.synchronize();
}
CASE(graph_empty_node, after_a_captured_node) {
  const Context context;
  const Module module;
  const Stream stream;
  const DeviceMemory memory(4);
  memory.write_word(0);
  const Graph graph(capture(stream, [&] { launch(module.function("increment"), {}, {}, stream, memory.at()); }));
  CUgraphNode kernel = nullptr;
  size_t count = 1;
  expect_ok(CU(cuGraphGetNodes, graph.get(), &kernel, &count));
  add_empty(graph.get(), {kernel});
  expect_equal(nodes_of(graph.get()).size(), size_t{2}, "the number of nodes");
  expect_equal(roots_of(graph), size_t{1}, "the number of roots");
  const GraphExec exec(graph);
  expect_ok(CU(cuGraphLaunch, exec.get(), stream));
  stream.synchronize();
  expect_equal(memory.word(), 1U, "the word");
}
CASE(graph_empty_node, nowhere) {
  const Context context;
  const Graph graph(new_graph());
  expect(CU(cuGraphAddEmptyNode, nullptr, graph.get(), nullptr, 0), CUDA_ERROR_INVALID_VALUE);
  expect_equal(nodes_of(graph.get()).size(), size_t{0}, "the number of nodes");
}
CASE(graph_empty_node, in_no_graph) {
  const Context context;
  CUgraphNode node = nullptr;
  expect(CU(cuGraphAddEmptyNode, &node, nullptr, nullptr, 0), CUDA_ERROR_INVALID_VALUE);
}
CASE(graph_empty_node, dependencies_nowhere) {
  const Context context;
  const Graph graph(new_graph());
  CUgraphNode node = nullptr;
  expect(CU(cuGraphAddEmptyNode, &node, graph.get(), nullptr, 1), CUDA_ERROR_INVALID_VALUE);
  expect_equal(nodes_of(graph.get()).size(), size_t{0}, "the number of nodes");
}
CASE(graph_empty_node, dependency_twice) {
  const Context context;
  const Graph graph(new_graph());
  const CUgraphNode first = add_empty(graph.get());
  const CUgraphNode twice[] = {first, first};
  CUgraphNode node = nullptr;
  expect(CU(cuGraphAddEmptyNode, &node, graph.get(), twice, 2), CUDA_ERROR_INVALID_VALUE);
  expect_equal(nodes_of(graph.get()).size(), size_t{1}, "the number of nodes");
}
CASE(graph_empty_node, dependency_of_another_graph) {
  const Context context;
  const Graph graph(new_graph()), other(new_graph());
  const CUgraphNode stranger = add_empty(other.get());
  CUgraphNode node = nullptr;
  expect(CU(cuGraphAddEmptyNode, &node, graph.get(), &stranger, 1), CUDA_ERROR_INVALID_VALUE);
  expect_equal(nodes_of(graph.get()).size(), size_t{0}, "the number of nodes");
}

}  // namespace
}  // namespace conformance
