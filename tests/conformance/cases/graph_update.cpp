// SPDX-License-Identifier: Apache-2.0
// Executable graphs that take over the nodes of other graphs, as a whole.
#include "tests/conformance/fixtures/graph_build.hpp"
#include "tests/conformance/harness/registry.hpp"

namespace conformance {
namespace {

// Results of an update that the cases expect.
constexpr unsigned parameters_changed = 5, attributes_changed = 8;

CUgraphExecUpdateResultInfo updated(const GraphExec& exec, const Graph& graph) {
  CUgraphExecUpdateResultInfo info = {99, nullptr, nullptr};
  expect_ok(CU(cuGraphExecUpdate_v2, exec.get(), graph.get(), &info));
  expect_equal(info.result, 0U + CU_GRAPH_EXEC_UPDATE_SUCCESS, "the result of the update");
  return info;
}
CUgraphExecUpdateResultInfo refused(const GraphExec& exec, const Graph& graph, unsigned wanted,
                                    Where where = Where::current()) {
  CUgraphExecUpdateResultInfo info = {99, nullptr, nullptr};
  expect(CU(cuGraphExecUpdate_v2, exec.get(), graph.get(), &info), CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE, where);
  expect_equal(info.result, wanted, "the result of the update", where);
  return info;
}

CASE(graph_update, captured_anew) {
  const Context context;
  const Module module;
  const Stream stream;
  const DeviceMemory memory(4);
  const PinnedMemory out(4);
  const auto graph_for = [&](uint32_t value) {
    return capture(stream, [&] {
      expect_ok(CU(cuMemsetD32Async, memory.at(), value, 1, stream));
      launch(module.function("increment"), {}, {}, stream, memory.at());
      expect_ok(CU(cuMemcpyDtoHAsync_v2, out.get(), memory.at(), 4, stream));
    });
  };
  const Graph first(graph_for(1));
  const GraphExec exec(first);
  run(exec, stream);
  expect_equal(out.word(), 2U, "the word before the update");
  for (uint32_t i = 10; i < 15; ++i) {
    const Graph next(graph_for(i));
    updated(exec, next);
    run(exec, stream);
    expect_equal(out.word(), i + 1, "the word after the update");
  }
}
CASE(graph_update, kernel_parameters_and_shape) {
  const Context context;
  const Module module;
  const Stream stream;
  const DeviceMemory memory(8);
  memory.write_word(0, 0), memory.write_word(0, 1);
  const Graph first(new_graph()), second(new_graph());
  add_kernel(first.get(), {}, module.function("count_threads"), memory.at(0));
  KernelNode larger(module.function("count_threads"), memory.at(4));
  larger.get()->blockDimX = 64;
  add_kernel(second.get(), {}, larger);
  const GraphExec exec(first);
  updated(exec, second);
  run(exec, stream);
  expect_equal(memory.word(0), 0U, "the word of the old parameters");
  expect_equal(memory.word(1), 64U, "the word of the new parameters");
}
CASE(graph_update, another_function) {
  const Context context;
  const Module module;
  const Stream stream;
  const DeviceMemory memory(4);
  memory.write_word(1);
  const Graph first(new_graph()), second(new_graph());
  add_kernel(first.get(), {}, module.function("increment"), memory.at());
  add_kernel(second.get(), {}, module.function("store"), memory.at(), uint32_t{50});
  const GraphExec exec(first);
  updated(exec, second);
  run(exec, stream);
  expect_equal(memory.word(), 50U, "the word");
}
CASE(graph_update, inside_of_children) {
  const Context context;
  const Module module;
  const Stream stream;
  const DeviceMemory memory(4);
  const auto graph_for = [&](uint32_t value) {
    const Graph child(new_graph());
    add_kernel(child.get(), {}, module.function("store"), memory.at(), value);
    CUgraph graph = new_graph();
    add_child(graph, {}, child.get());
    return graph;
  };
  const Graph first(graph_for(1)), second(graph_for(2));
  const GraphExec exec(first);
  updated(exec, second);
  run(exec, stream);
  expect_equal(memory.word(), 2U, "the word");
}
CASE(graph_update, launches_in_flight_keep_what_they_had) {
  const Context context;
  const Module module;
  const Stream stream;
  const DeviceMemory memory(8);
  const Graph first(new_graph()), second(new_graph());
  add_kernel(first.get(), {}, module.function("store"), memory.at(0), uint32_t{1});
  add_kernel(second.get(), {}, module.function("store"), memory.at(4), uint32_t{2});
  memory.write_word(0, 0), memory.write_word(0, 1);
  const GraphExec exec(first);
  Spinner spinner(module);
  spinner.start(stream);
  expect_ok(CU(cuGraphLaunch, exec.get(), stream));
  updated(exec, second);
  spinner.release();
  stream.synchronize();
  spinner.require_not_expired();
  expect_equal(memory.word(0), 1U, "the word of the launch before the update");
  expect_equal(memory.word(1), 0U, "the word of the update");
}
CASE(graph_update, by_the_older_symbol) {
  const Context context;
  const Module module;
  const Stream stream;
  const DeviceMemory memory(4);
  const Graph first(new_graph()), second(new_graph());
  add_fill(first.get(), {}, fill_words(memory.at(), 1), context);
  add_fill(second.get(), {}, fill_words(memory.at(), 2), context);
  const GraphExec exec(first);
  CUgraphNode error = nullptr;
  CUgraphExecUpdateResult result = 99;
  expect_ok(CU(cuGraphExecUpdate, exec.get(), second.get(), &error, &result));
  expect_equal(result, 0U + CU_GRAPH_EXEC_UPDATE_SUCCESS, "the result");
  run(exec, stream);
  expect_equal(memory.word(), 2U, "the word");
}

CASE(graph_update, more_nodes) {
  const Context context;
  const Module module;
  const Stream stream;
  const DeviceMemory memory(4);
  memory.write_word(0);
  const Graph first(new_graph()), second(new_graph());
  add_kernel(first.get(), {}, module.function("increment"), memory.at());
  const CUgraphNode node = add_kernel(second.get(), {}, module.function("increment"), memory.at());
  add_kernel(second.get(), {node}, module.function("increment"), memory.at());
  const GraphExec exec(first);
  const auto info = refused(exec, second, CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED);
  require(info.errorNode == nullptr && info.errorFromNode == nullptr, "no node is named");
  run(exec, stream);
  expect_equal(memory.word(), 1U, "the word after the launch of what is unchanged");
}
CASE(graph_update, other_edges) {
  const Context context;
  const Graph first(new_graph()), second(new_graph());
  const CUgraphNode a = add_empty(first.get());
  add_empty(first.get(), {a});
  add_empty(second.get());
  add_empty(second.get());
  const GraphExec exec(first);
  const auto info = refused(exec, second, CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED);
  require(info.errorNode != nullptr, "a node is named");
}
CASE(graph_update, fewer_dependencies) {
  const Context context;
  const Graph first(new_graph()), second(new_graph());
  const auto fill = [](CUgraph graph, bool both) {
    const CUgraphNode a = add_empty(graph), b = add_empty(graph, {a});
    return add_empty(graph, both ? Nodes{b, a} : Nodes{b});
  };
  fill(first.get(), true);
  const CUgraphNode last = fill(second.get(), false);
  const GraphExec exec(first);
  const auto info = refused(exec, second, CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED);
  require(info.errorNode == last, "the node with fewer dependencies is named");
}
CASE(graph_update, another_type) {
  const Context context;
  const Module module;
  const DeviceMemory memory(4);
  const Graph first(new_graph()), second(new_graph());
  add_kernel(first.get(), {}, module.function("noop"));
  const CUgraphNode node = add_fill(second.get(), {}, fill_words(memory.at(), 1), context);
  const GraphExec exec(first);
  const auto info = refused(exec, second, CU_GRAPH_EXEC_UPDATE_ERROR_NODE_TYPE_CHANGED);
  require(info.errorNode == node, "the node is named");
}
CASE(graph_update, copy_in_another_direction) {
  const Context context;
  const DeviceMemory memory(4);
  const PinnedMemory host(4);
  const Graph first(new_graph()), second(new_graph());
  add_copy(first.get(), {}, copy_to_host(host.get(), memory.at(), 4), context);
  const CUgraphNode node = add_copy(second.get(), {}, copy_to_device(memory.at(), host.get(), 4), context);
  const GraphExec exec(first);
  const auto info = refused(exec, second, parameters_changed);
  require(info.errorNode == node, "the node is named");
}
CASE(graph_update, rectangle_of_another_size) {
  const Context context;
  const DeviceMemory memory(64);
  const Graph first(new_graph()), second(new_graph());
  add_fill(first.get(), {}, {memory.at(), 16, 1, 4, 2, 4}, context);
  const CUgraphNode node = add_fill(second.get(), {}, {memory.at(), 16, 1, 4, 3, 4}, context);
  const GraphExec exec(first);
  const auto info = refused(exec, second, parameters_changed);
  require(info.errorNode == node, "the node is named");
}
CASE(graph_update, cooperative_or_not) {
  const Context context;
  const Module module;
  const Graph first(new_graph()), second(new_graph());
  add_kernel(first.get(), {}, module.function("noop"));
  const CUgraphNode node = add_kernel(second.get(), {}, module.function("noop"));
  CUlaunchAttributeValue yes = {};
  yes.bytes[0] = 1;
  expect_ok(CU(cuGraphKernelNodeSetAttribute, node, CU_LAUNCH_ATTRIBUTE_COOPERATIVE, &yes));
  const GraphExec exec(first);
  const auto info = refused(exec, second, attributes_changed);
  require(info.errorNode == node, "the node is named");
}
CASE(graph_update, all_or_nothing) {
  const Context context;
  const DeviceMemory memory(4);
  const PinnedMemory host(4);
  const Stream stream;
  const Graph first(new_graph()), second(new_graph());
  const CUgraphNode a = add_fill(first.get(), {}, fill_words(memory.at(), 1), context);
  add_copy(first.get(), {a}, copy_to_host(host.get(), memory.at(), 4), context);
  const CUgraphNode b = add_fill(second.get(), {}, fill_words(memory.at(), 2), context);
  add_copy(second.get(), {b}, copy_to_device(memory.at(), host.get(), 4), context);
  const GraphExec exec(first);
  refused(exec, second, parameters_changed);
  run(exec, stream);
  expect_equal(host.word(), 1U, "the word");
}
CASE(graph_update, from_nothing) {
  const Context context;
  const Graph graph(new_graph());
  add_empty(graph.get());
  const GraphExec exec(graph);
  CUgraphExecUpdateResultInfo info = {};
  expect(CU(cuGraphExecUpdate_v2, exec.get(), nullptr, &info), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuGraphExecUpdate_v2, nullptr, graph.get(), &info), CUDA_ERROR_INVALID_VALUE);
}

}  // namespace
}  // namespace conformance
