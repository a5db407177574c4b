// SPDX-License-Identifier: Apache-2.0
// Nodes switched off and on in executable graphs, and the flags of these.
#include "tests/conformance/fixtures/graph_build.hpp"
#include "tests/conformance/harness/registry.hpp"

namespace conformance {
namespace {

CASE(graph_enabled, disabled) {
  const Context context;
  const Module module;
  const Stream stream;
  const DeviceMemory memory(4);
  memory.write_word(0);
  const Graph graph(new_graph());
  const CUgraphNode first = add_kernel(graph.get(), {}, module.function("increment"), memory.at());
  const CUgraphNode second = add_kernel(graph.get(), {first}, module.function("increment"), memory.at());
  const GraphExec exec(graph), other(graph);
  unsigned enabled = 99;
  expect_ok(CU(cuGraphNodeGetEnabled, exec.get(), first, &enabled));
  expect_equal(enabled, 1U, "whether the node is enabled at first");
  expect_ok(CU(cuGraphNodeSetEnabled, exec.get(), first, 0));
  expect_ok(CU(cuGraphNodeGetEnabled, exec.get(), first, &enabled));
  expect_equal(enabled, 0U, "whether the node is enabled");
  expect_ok(CU(cuGraphNodeGetEnabled, exec.get(), second, &enabled));
  expect_equal(enabled, 1U, "whether the other is enabled");
  run(exec, stream);
  expect_equal(memory.word(), 1U, "the word with one node");
  run(other, stream);
  expect_equal(memory.word(), 3U, "the word after what has both");
  expect_ok(CU(cuGraphNodeSetEnabled, exec.get(), first, 1));
  run(exec, stream);
  expect_equal(memory.word(), 5U, "the word with both again");
}
CASE(graph_enabled, disabled_fill_and_copy) {
  const Context context;
  const Stream stream;
  const DeviceMemory memory(4);
  const PinnedMemory out(4);
  const Graph graph(new_graph());
  const CUgraphNode fill = add_fill(graph.get(), {}, fill_words(memory.at(), 1), context);
  const CUgraphNode copy = add_copy(graph.get(), {fill}, copy_to_host(out.get(), memory.at(), 4), context);
  memory.write_word(9);
  const GraphExec exec(graph);
  expect_ok(CU(cuGraphNodeSetEnabled, exec.get(), fill, 0));
  run(exec, stream);
  expect_equal(out.word(), 9U, "the word without the fill");
  expect_ok(CU(cuGraphNodeSetEnabled, exec.get(), fill, 1));
  expect_ok(CU(cuGraphNodeSetEnabled, exec.get(), copy, 0));
  run(exec, stream);
  expect_equal(out.word(), 9U, "the word without the copy");
  expect_equal(memory.word(), 1U, "the word that was set");
}
CASE(graph_enabled, host_functions_are_not_disabled) {
  const Context context;
  const Graph graph(new_graph());
  const CUgraphNode node = add_host(
      graph.get(), {}, [](void*) {}, nullptr);
  const GraphExec exec(graph);
  expect(CU(cuGraphNodeSetEnabled, exec.get(), node, 0), CUDA_ERROR_INVALID_VALUE);
}

CASE(graph_exec, flags) {
  const Context context;
  const Graph graph(new_graph());
  add_empty(graph.get());
  for (const unsigned long long flags : {0ULL, 8ULL}) {
    CUgraphExec exec = nullptr;
    expect_ok(CU(cuGraphInstantiateWithFlags, &exec, graph.get(), flags));
    cuuint64_t found = 99;
    expect_ok(CU(cuGraphExecGetFlags, exec, &found));
    expect_ok(CU(cuGraphExecDestroy, exec));
    expect_equal(found, cuuint64_t{0}, "the flags: the use of priorities is not told");
  }
}
CASE(graph_exec, upload_is_no_lasting_flag) {
  const Context context;
  const Stream stream;
  const Graph graph(new_graph());
  add_empty(graph.get());
  CUDA_GRAPH_INSTANTIATE_PARAMS parameters = {};
  parameters.flags = 2;
  parameters.hUploadStream = stream;
  CUgraphExec exec = nullptr;
  expect_ok(CU(cuGraphInstantiateWithParams, &exec, graph.get(), &parameters));
  cuuint64_t found = 99;
  expect_ok(CU(cuGraphExecGetFlags, exec, &found));
  stream.synchronize();
  expect_ok(CU(cuGraphExecDestroy, exec));
  expect_equal(found, cuuint64_t{0}, "the flags");
}

}  // namespace
}  // namespace conformance
