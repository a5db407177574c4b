// SPDX-License-Identifier: Apache-2.0
// Graphs that a node takes over (CU_GRAPH_CHILD_GRAPH_OWNERSHIP_MOVE): handles and nodes stay the program's to use.
// XLA builds its command buffers of them.
#include "tests/conformance/fixtures/graph_build.hpp"
#include "tests/conformance/harness/registry.hpp"

namespace conformance {
namespace {

CUgraphNode move_into(CUgraph graph, CUgraph child) {
  CUgraphNodeParams params = {};
  params.type = CU_GRAPH_NODE_TYPE_GRAPH;
  params.graph.graph = child;
  params.graph.ownership = CU_GRAPH_CHILD_GRAPH_OWNERSHIP_MOVE;
  CUgraphNode node = nullptr;
  expect_ok(CU(cuGraphAddNode_v2, &node, graph, nullptr, nullptr, 0, &params));
  return node;
}

CASE(graph_moved_child, runs) {
  const Context context;
  const Stream stream;
  const DeviceMemory memory(4);
  const Graph graph(new_graph());
  const CUgraph child = new_graph();
  add_fill(child, {}, fill_words(memory.at(), 3), context);
  move_into(graph.get(), child);
  const GraphExec exec(graph);
  run(exec, stream);
  expect_equal(memory.word(), 3U, "the word");
}
CASE(graph_moved_child, keeps_its_handle) {
  const Context context;
  const Graph graph(new_graph());
  const CUgraph child = new_graph();
  const CUgraphNode inner = add_empty(child);
  const CUgraphNode node = move_into(graph.get(), child);
  CUgraph found = nullptr;
  expect_ok(CU(cuGraphChildGraphNodeGetGraph, node, &found));
  require(found == child, "the node's graph is the one that was moved");
  const Nodes nodes = nodes_of(child);
  require(nodes.size() == 1 && nodes[0] == inner, "its node is the one that was added");
}
CASE(graph_moved_child, nodes_are_updated_in_the_executable_graph) {
  const Context context;
  const Stream stream;
  const DeviceMemory from(64), to(64);
  for (unsigned i = 0; i < 16; ++i) from.write_word(i + 1, i), to.write_word(0, i);
  const Graph graph(new_graph());
  const CUgraph child = new_graph();
  const CUgraphNode copy = add_copy(child, {}, copy_on_device(to.at(), from.at(), 4), context);
  move_into(graph.get(), child);
  const GraphExec exec(graph);
  const CUDA_MEMCPY3D other = copy_on_device(to.at(8), from.at(16), 12);
  expect_ok(CU(cuGraphExecMemcpyNodeSetParams, exec.get(), copy, &other, context.get()));
  run(exec, stream);
  expect_equal(to.word(0), 0U, "the word of the old parameters");
  expect_equal(to.word(2), 5U, "the first word of the new ones");
  expect_equal(to.word(4), 7U, "the last word of the new ones");
}
CASE(graph_moved_child, nodes_of_a_copied_child_are_not_those_of_the_executable_graph) {
  const Context context;
  const DeviceMemory from(64), to(64);
  const Graph graph(new_graph()), child(new_graph());
  const CUgraphNode copy = add_copy(child.get(), {}, copy_on_device(to.at(), from.at(), 4), context);
  add_child(graph.get(), {}, child.get());
  const GraphExec exec(graph);
  const CUDA_MEMCPY3D other = copy_on_device(to.at(8), from.at(16), 12);
  expect(CU(cuGraphExecMemcpyNodeSetParams, exec.get(), copy, &other, context.get()), CUDA_ERROR_INVALID_VALUE);
}
CASE(graph_moved_child, grows_after_the_move) {
  const Context context;
  const Stream stream;
  const DeviceMemory memory(8);
  memory.write_word(0, 0), memory.write_word(0, 1);
  const Graph graph(new_graph());
  const CUgraph child = new_graph();
  const CUgraphNode first = add_fill(child, {}, fill_words(memory.at(0), 3), context);
  move_into(graph.get(), child);
  add_fill(child, {first}, fill_words(memory.at(4), 4), context);
  const GraphExec exec(graph);
  run(exec, stream);
  expect_equal(memory.word(0), 3U, "the word of the node before the move");
  expect_equal(memory.word(1), 4U, "the word of the node after it");
}
CASE(graph_moved_child, moved_inside_one_that_moves) {
  const Context context;
  const Stream stream;
  const DeviceMemory memory(4);
  const Graph graph(new_graph());
  const CUgraph middle = new_graph(), inner = new_graph();
  const CUgraphNode fill = add_fill(inner, {}, fill_words(memory.at(), 3), context);
  move_into(middle, inner);
  move_into(graph.get(), middle);
  const GraphExec exec(graph);
  const CUDA_MEMSET_NODE_PARAMS other = fill_words(memory.at(), 7);
  expect_ok(CU(cuGraphExecMemsetNodeSetParams, exec.get(), fill, &other, context.get()));
  run(exec, stream);
  expect_equal(memory.word(), 7U, "the word");
}
CASE(graph_moved_child, moved_twice) {
  const Context context;
  const Graph graph(new_graph()), another(new_graph());
  const CUgraph child = new_graph();
  add_empty(child);
  move_into(graph.get(), child);
  CUgraphNodeParams params = {};
  params.type = CU_GRAPH_NODE_TYPE_GRAPH;
  params.graph.graph = child;
  params.graph.ownership = CU_GRAPH_CHILD_GRAPH_OWNERSHIP_MOVE;
  CUgraphNode node = nullptr;
  expect_one_of(CU(cuGraphAddNode_v2, &node, another.get(), nullptr, nullptr, 0, &params),
                {CUDA_ERROR_INVALID_VALUE, CUDA_ERROR_NOT_SUPPORTED});
}
CASE(graph_moved_child, is_not_destroyed_alone) {
  const Context context;
  const Graph graph(new_graph());
  const CUgraph child = new_graph();
  add_empty(child);
  move_into(graph.get(), child);
  expect_one_of(CU(cuGraphDestroy, child), {CUDA_ERROR_INVALID_VALUE, CUDA_ERROR_NOT_SUPPORTED});
  expect_equal(nodes_of(child).size(), size_t{1}, "nodes of the child");
}
CASE(graph_moved_child, many_one_after_the_other) {
  const Context context;
  for (int i = 0; i < 2000; ++i) {
    const Graph graph(new_graph());
    const CUgraph child = new_graph();
    add_empty(child);
    move_into(graph.get(), child);
  }
}

}  // namespace
}  // namespace conformance
