// SPDX-License-Identifier: Apache-2.0
// What graphs consist of: edges, copies of graphs, and nodes that are taken out.
#include "tests/conformance/fixtures/graph_build.hpp"
#include "tests/conformance/harness/registry.hpp"

namespace conformance {
namespace {

/// Three empty nodes, each after the one before.
struct Chain {
  const Graph graph{new_graph()};
  CUgraphNode a = add_empty(graph.get()), b = add_empty(graph.get(), {a}), c = add_empty(graph.get(), {b});
};

size_t edges_of(CUgraph graph) {
  size_t count = 0;
  expect_ok(CU(cuGraphGetEdges_v2, graph, nullptr, nullptr, nullptr, &count));
  return count;
}
size_t roots_of(CUgraph graph) {
  size_t count = 0;
  expect_ok(CU(cuGraphGetRootNodes, graph, nullptr, &count));
  return count;
}
bool is_edge(CUgraph graph, CUgraphNode from, CUgraphNode to) {
  size_t count = edges_of(graph);
  Nodes froms(count), tos(count);
  if (count != 0) expect_ok(CU(cuGraphGetEdges_v2, graph, froms.data(), tos.data(), nullptr, &count));
  for (size_t i = 0; i < count; ++i)
    if (froms[i] == from && tos[i] == to) return true;
  return false;
}

CASE(graph_structure, edges) {
  const Context context;
  const Chain chain;
  expect_equal(edges_of(chain.graph.get()), size_t{2}, "the number of edges");
  require(is_edge(chain.graph.get(), chain.a, chain.b), "the first edge is listed");
  require(is_edge(chain.graph.get(), chain.b, chain.c), "the second edge is listed");
  require(!is_edge(chain.graph.get(), chain.a, chain.c), "no other is");
}
CASE(graph_structure, edges_into_longer_arrays) {
  const Context context;
  const Chain chain;
  CUgraphNode from[4] = {chain.a, chain.a, chain.a, chain.a}, to[4] = {chain.a, chain.a, chain.a, chain.a};
  size_t count = 4;
  expect_ok(CU(cuGraphGetEdges_v2, chain.graph.get(), from, to, nullptr, &count));
  expect_equal(count, size_t{2}, "the number of edges");
  require(from[2] == nullptr && to[2] == nullptr && from[3] == nullptr && to[3] == nullptr, "the rest is null");
}
CASE(graph_structure, edges_into_shorter_arrays) {
  const Context context;
  const Chain chain;
  CUgraphNode from[2] = {}, to[2] = {};
  size_t count = 1;
  expect_ok(CU(cuGraphGetEdges_v2, chain.graph.get(), from, to, nullptr, &count));
  expect_equal(count, size_t{1}, "the number of edges");
  require(from[0] != nullptr && to[0] != nullptr && from[1] == nullptr && to[1] == nullptr, "one edge is written");
}
CASE(graph_structure, edges_with_data) {
  const Context context;
  const Chain chain;
  CUgraphNode from[2] = {}, to[2] = {};
  CUgraphEdgeData data[2] = {{1, 1, 1, {}}, {1, 1, 1, {}}};
  size_t count = 2;
  expect_ok(CU(cuGraphGetEdges_v2, chain.graph.get(), from, to, data, &count));
  for (const CUgraphEdgeData& edge : data)
    require(edge.from_port == 0 && edge.to_port == 0 && edge.type == 0, "the edge is a plain one");
}
CASE(graph_structure, edges_by_the_older_symbol) {
  const Context context;
  const Chain chain;
  CUgraphNode from[2] = {}, to[2] = {};
  size_t count = 2;
  expect_ok(CU(cuGraphGetEdges, chain.graph.get(), from, to, &count));
  expect_equal(count, size_t{2}, "the number of edges");
}
CASE(graph_structure, dependencies_and_dependents) {
  const Context context;
  const Chain chain;
  CUgraphNode found[2] = {chain.c, chain.c};
  size_t count = 2;
  expect_ok(CU(cuGraphNodeGetDependencies_v2, chain.b, found, nullptr, &count));
  expect_equal(count, size_t{1}, "the number of dependencies");
  require(found[0] == chain.a && found[1] == nullptr, "the dependency");
  count = 2;
  expect_ok(CU(cuGraphNodeGetDependentNodes_v2, chain.b, found, nullptr, &count));
  expect_equal(count, size_t{1}, "the number of dependents");
  require(found[0] == chain.c && found[1] == nullptr, "the dependent");
  expect_ok(CU(cuGraphNodeGetDependencies, chain.a, nullptr, &count));
  expect_equal(count, size_t{0}, "the number of dependencies of the first");
  expect_ok(CU(cuGraphNodeGetDependentNodes, chain.c, nullptr, &count));
  expect_equal(count, size_t{0}, "the number of dependents of the last");
}

CASE(graph_structure, dependencies_added) {
  const Context context;
  const Module module;
  const Stream stream;
  const DeviceMemory memory(4);
  const Graph graph(new_graph());
  const CUgraphNode kernel = add_kernel(graph.get(), {}, module.function("increment"), memory.at());
  const CUgraphNode fill = add_fill(graph.get(), {}, fill_words(memory.at(), 8), context);
  expect_ok(CU(cuGraphAddDependencies_v2, graph.get(), &fill, &kernel, nullptr, 1));
  require(is_edge(graph.get(), fill, kernel), "the edge is listed");
  expect_equal(roots_of(graph.get()), size_t{1}, "the number of roots");
  const GraphExec exec(graph);
  for (int i = 0; i < 10; ++i) {
    run(exec, stream);
    expect_equal(memory.word(), 9U, "the word");
  }
}
CASE(graph_structure, dependencies_removed) {
  const Context context;
  const Chain chain;
  expect_ok(CU(cuGraphRemoveDependencies_v2, chain.graph.get(), &chain.a, &chain.b, nullptr, 1));
  require(!is_edge(chain.graph.get(), chain.a, chain.b), "the edge is gone");
  require(is_edge(chain.graph.get(), chain.b, chain.c), "the other is there");
  expect_equal(roots_of(chain.graph.get()), size_t{2}, "the number of roots");
}
CASE(graph_structure, dependencies_by_the_older_symbols) {
  const Context context;
  const Chain chain;
  expect_ok(CU(cuGraphAddDependencies, chain.graph.get(), &chain.a, &chain.c, 1));
  expect_equal(edges_of(chain.graph.get()), size_t{3}, "the number of edges with the new one");
  expect_ok(CU(cuGraphRemoveDependencies, chain.graph.get(), &chain.a, &chain.c, 1));
  expect_equal(edges_of(chain.graph.get()), size_t{2}, "the number of edges without it");
}
CASE(graph_structure, no_dependencies_in_no_arrays) {
  const Context context;
  const Chain chain;
  expect_ok(CU(cuGraphAddDependencies_v2, chain.graph.get(), nullptr, nullptr, nullptr, 0));
  expect_ok(CU(cuGraphRemoveDependencies_v2, chain.graph.get(), nullptr, nullptr, nullptr, 0));
}
CASE(graph_structure, dependency_that_exists) {
  const Context context;
  const Chain chain;
  expect(CU(cuGraphAddDependencies_v2, chain.graph.get(), &chain.a, &chain.b, nullptr, 1), CUDA_ERROR_INVALID_VALUE);
  expect_equal(edges_of(chain.graph.get()), size_t{2}, "the number of edges");
}
CASE(graph_structure, dependency_that_does_not_exist) {
  const Context context;
  const Chain chain;
  expect(CU(cuGraphRemoveDependencies_v2, chain.graph.get(), &chain.a, &chain.c, nullptr, 1), CUDA_ERROR_INVALID_VALUE);
  expect_equal(edges_of(chain.graph.get()), size_t{2}, "the number of edges");
}
CASE(graph_structure, dependency_of_another_graph) {
  const Context context;
  const Chain chain, other;
  expect(CU(cuGraphAddDependencies_v2, chain.graph.get(), &other.a, &chain.c, nullptr, 1), CUDA_ERROR_INVALID_VALUE);
}
CASE(graph_structure, dependency_on_itself) {
  const Context context;
  const Chain chain;
  expect(CU(cuGraphAddDependencies_v2, chain.graph.get(), &chain.a, &chain.a, nullptr, 1), CUDA_ERROR_INVALID_VALUE);
}
CASE(graph_structure, ring_is_not_instantiated) {
  const Context context;
  const Chain chain;
  expect_ok(CU(cuGraphAddDependencies_v2, chain.graph.get(), &chain.c, &chain.a, nullptr, 1));
  CUgraphExec exec = nullptr;
  expect(CU(cuGraphInstantiateWithFlags, &exec, chain.graph.get(), 0), CUDA_ERROR_INVALID_VALUE);
}
CASE(graph_structure, ring_is_an_invalid_structure) {
  const Context context;
  const Chain chain;
  expect_ok(CU(cuGraphAddDependencies_v2, chain.graph.get(), &chain.c, &chain.a, nullptr, 1));
  CUDA_GRAPH_INSTANTIATE_PARAMS parameters = {};
  CUgraphExec exec = nullptr;
  expect(CU(cuGraphInstantiateWithParams, &exec, chain.graph.get(), &parameters), CUDA_ERROR_INVALID_VALUE);
  constexpr unsigned invalid_structure = 2;
  expect_equal(parameters.result_out, invalid_structure, "the result of the instantiation");
}

CASE(graph_structure, node_destroyed) {
  const Context context;
  const Chain chain;
  expect_ok(CU(cuGraphDestroyNode, chain.b));
  expect_equal(nodes_of(chain.graph.get()).size(), size_t{2}, "the number of nodes");
  expect_equal(edges_of(chain.graph.get()), size_t{0}, "the number of edges");
  expect_equal(roots_of(chain.graph.get()), size_t{2}, "the number of roots");
}
CASE(graph_structure, destroyed_node_does_not_run) {
  const Context context;
  const Module module;
  const Stream stream;
  const DeviceMemory memory(4);
  memory.write_word(0);
  const Graph graph(new_graph());
  const CUgraphNode first = add_kernel(graph.get(), {}, module.function("increment"), memory.at());
  const CUgraphNode second = add_kernel(graph.get(), {first}, module.function("increment"), memory.at());
  const GraphExec before(graph);
  expect_ok(CU(cuGraphDestroyNode, second));
  const GraphExec after(graph);
  run(after, stream);
  expect_equal(memory.word(), 1U, "the word after the graph without the node");
  run(before, stream);
  expect_equal(memory.word(), 3U, "the word after what was made with the node");
}

CASE(graph_structure, clone) {
  const Context context;
  const Chain chain;
  CUgraph made = nullptr;
  expect_ok(CU(cuGraphClone, &made, chain.graph.get()));
  const Graph clone(made);
  require(clone.get() != chain.graph.get(), "the clone is another graph");
  CUgraphNode a = nullptr, b = nullptr;
  expect_ok(CU(cuGraphNodeFindInClone, &a, chain.a, clone.get()));
  expect_ok(CU(cuGraphNodeFindInClone, &b, chain.b, clone.get()));
  require(a != chain.a && b != chain.b && a != b, "the clone has nodes of its own");
  require(is_edge(clone.get(), a, b), "the edge is there, too");
  expect_equal(edges_of(clone.get()), size_t{2}, "the number of edges");
  expect_ok(CU(cuGraphDestroyNode, b));
  expect_equal(nodes_of(chain.graph.get()).size(), size_t{3}, "the number of nodes of the original");
  expect_equal(nodes_of(clone.get()).size(), size_t{2}, "the number of nodes of the clone");
}
CASE(graph_structure, clone_outlives_the_original) {
  const Context context;
  const Module module;
  const Stream stream;
  const DeviceMemory memory(4);
  memory.write_word(0);
  CUgraph made = nullptr;
  {
    const Graph graph(new_graph());
    add_kernel(graph.get(), {}, module.function("increment"), memory.at());
    expect_ok(CU(cuGraphClone, &made, graph.get()));
  }
  const Graph clone(made);
  const GraphExec exec(clone);
  run(exec, stream);
  expect_equal(memory.word(), 1U, "the word");
}
CASE(graph_structure, clone_has_parameters_of_its_own) {
  const Context context;
  const Module module;
  const Stream stream;
  const DeviceMemory memory(4);
  const Graph graph(new_graph());
  const CUgraphNode node = add_fill(graph.get(), {}, fill_words(memory.at(), 1), context);
  CUgraph made = nullptr;
  expect_ok(CU(cuGraphClone, &made, graph.get()));
  const Graph clone(made);
  const CUDA_MEMSET_NODE_PARAMS changed = fill_words(memory.at(), 2);
  expect_ok(CU(cuGraphMemsetNodeSetParams, node, &changed));
  const GraphExec exec(clone), changed_exec(graph);
  run(exec, stream);
  expect_equal(memory.word(), 1U, "the word of the clone");
  run(changed_exec, stream);
  expect_equal(memory.word(), 2U, "the word of the original");
}
CASE(graph_structure, node_added_later_is_not_in_the_clone) {
  const Context context;
  const Chain chain;
  CUgraph made = nullptr;
  expect_ok(CU(cuGraphClone, &made, chain.graph.get()));
  const Graph clone(made);
  const CUgraphNode later = add_empty(chain.graph.get());
  CUgraphNode found = nullptr;
  expect(CU(cuGraphNodeFindInClone, &found, later, clone.get()), CUDA_ERROR_INVALID_VALUE);
}

CASE(graph_structure, graph_inside_of_a_node) {
  const Context context;
  const Chain chain;
  const Graph graph(new_graph());
  const CUgraphNode node = add_child(graph.get(), {}, chain.graph.get());
  CUgraph inside = nullptr;
  expect_ok(CU(cuGraphChildGraphNodeGetGraph, node, &inside));
  require(inside != nullptr && inside != chain.graph.get(), "the node has a graph of its own");
  expect_equal(nodes_of(inside).size(), size_t{3}, "the number of nodes inside");
  CUgraph again = nullptr;
  expect_ok(CU(cuGraphChildGraphNodeGetGraph, node, &again));
  require(again == inside, "it is the same graph every time");
}
CASE(graph_structure, graph_inside_of_a_node_is_changed) {
  const Context context;
  const Module module;
  const Stream stream;
  const DeviceMemory memory(4);
  memory.write_word(0);
  const Graph child(new_graph()), graph(new_graph());
  add_kernel(child.get(), {}, module.function("increment"), memory.at());
  const CUgraphNode node = add_child(graph.get(), {}, child.get());
  CUgraph inside = nullptr;
  expect_ok(CU(cuGraphChildGraphNodeGetGraph, node, &inside));
  add_kernel(inside, nodes_of(inside), module.function("increment"), memory.at());
  const GraphExec exec(graph);
  run(exec, stream);
  expect_equal(memory.word(), 2U, "the word");
}

}  // namespace
}  // namespace conformance
