// SPDX-License-Identifier: Apache-2.0
// Single nodes changed, in graphs and in what was made executable from them: the one does not change the other.
#include "tests/conformance/fixtures/graph_build.hpp"
#include "tests/conformance/harness/registry.hpp"

namespace conformance {
namespace {

CASE(graph_exec_node, kernel) {
  const Context context;
  const Module module;
  const Stream stream;
  const DeviceMemory memory(4);
  const Graph graph(new_graph());
  const CUgraphNode node = add_kernel(graph.get(), {}, module.function("store"), memory.at(), uint32_t{1});
  const GraphExec exec(graph);
  KernelNode other(module.function("store"), memory.at(), uint32_t{2});
  expect_ok(CU(cuGraphExecKernelNodeSetParams_v2, exec.get(), node, other.get()));
  run(exec, stream);
  expect_equal(memory.word(), 2U, "the word of what was changed");
  CUDA_KERNEL_NODE_PARAMS found = {};
  expect_ok(CU(cuGraphKernelNodeGetParams_v2, node, &found));
  expect_equal(*static_cast<uint32_t*>(found.kernelParams[1]), 1U, "the parameter in the graph");
  const GraphExec unchanged(graph);
  run(unchanged, stream);
  expect_equal(memory.word(), 1U, "the word of what is made afterwards");
}
CASE(graph_exec_node, another_function) {
  const Context context;
  const Module module;
  const Stream stream;
  const DeviceMemory memory(4);
  memory.write_word(6);
  const Graph graph(new_graph());
  const CUgraphNode node = add_kernel(graph.get(), {}, module.function("store"), memory.at(), uint32_t{1});
  const GraphExec exec(graph);
  KernelNode other(module.function("increment"), memory.at());
  expect_ok(CU(cuGraphExecKernelNodeSetParams_v2, exec.get(), node, other.get()));
  run(exec, stream);
  expect_equal(memory.word(), 7U, "the word");
}
CASE(graph_exec_node, launches_in_flight_keep_what_they_had) {
  const Context context;
  const Module module;
  const Stream stream;
  const DeviceMemory memory(4);
  memory.write_word(0);
  const Graph graph(new_graph());
  const CUgraphNode node = add_kernel(graph.get(), {}, module.function("store"), memory.at(), uint32_t{1});
  const GraphExec exec(graph);
  Spinner spinner(module);
  spinner.start(stream);
  expect_ok(CU(cuGraphLaunch, exec.get(), stream));
  KernelNode other(module.function("store"), memory.at(), uint32_t{2});
  expect_ok(CU(cuGraphExecKernelNodeSetParams_v2, exec.get(), node, other.get()));
  spinner.release();
  stream.synchronize();
  spinner.require_not_expired();
  expect_equal(memory.word(), 1U, "the word of the launch before the change");
  run(exec, stream);
  expect_equal(memory.word(), 2U, "the word of the launch after it");
}
CASE(graph_exec_node, fill) {
  const Context context;
  const Stream stream;
  const DeviceMemory memory(8);
  memory.write_word(0, 0), memory.write_word(0, 1);
  const Graph graph(new_graph());
  const CUgraphNode node = add_fill(graph.get(), {}, fill_words(memory.at(0), 1), context);
  const GraphExec exec(graph);
  const CUDA_MEMSET_NODE_PARAMS other = fill_words(memory.at(4), 2);
  expect_ok(CU(cuGraphExecMemsetNodeSetParams, exec.get(), node, &other, context.get()));
  run(exec, stream);
  expect_equal(memory.word(0), 0U, "the word of the old parameters");
  expect_equal(memory.word(1), 2U, "the word of the new parameters");
}
CASE(graph_exec_node, copy) {
  const Context context;
  const Stream stream;
  const DeviceMemory memory(8);
  const PinnedMemory a(4), b(4);
  memory.write_word(11, 0), memory.write_word(22, 1);
  const Graph graph(new_graph());
  const CUgraphNode node = add_copy(graph.get(), {}, copy_to_host(a.get(), memory.at(0), 4), context);
  const GraphExec exec(graph);
  const CUDA_MEMCPY3D other = copy_to_host(b.get(), memory.at(4), 4);
  expect_ok(CU(cuGraphExecMemcpyNodeSetParams, exec.get(), node, &other, context.get()));
  run(exec, stream);
  expect_equal(a.word(), 0U, "the word of the old parameters");
  expect_equal(b.word(), 22U, "the word of the new parameters");
}
CASE(graph_exec_node, copy_of_several_rows) {
  const Context context;
  const DeviceMemory memory(64);
  const PinnedMemory host(64);
  const Graph graph(new_graph());
  const CUgraphNode node = add_copy(graph.get(), {}, copy_to_host(host.get(), memory.at(), 4), context);
  const GraphExec exec(graph);
  CUDA_MEMCPY3D other = copy_to_host(host.get(), memory.at(), 4);
  other.Height = 2;
  other.srcPitch = other.dstPitch = 16;
  expect(CU(cuGraphExecMemcpyNodeSetParams, exec.get(), node, &other, context.get()), CUDA_ERROR_INVALID_VALUE);
}
CASE(graph_exec_node, copy_in_another_direction) {
  const Context context;
  const DeviceMemory memory(64);
  const PinnedMemory host(64);
  const Graph graph(new_graph());
  const CUgraphNode node = add_copy(graph.get(), {}, copy_to_host(host.get(), memory.at(), 4), context);
  const GraphExec exec(graph);
  const CUDA_MEMCPY3D other = copy_to_device(memory.at(), host.get(), 4);
  expect(CU(cuGraphExecMemcpyNodeSetParams, exec.get(), node, &other, context.get()), CUDA_ERROR_INVALID_VALUE);
}
CASE(graph_exec_node, fill_of_more_rows) {
  const Context context;
  const DeviceMemory memory(64);
  const Graph graph(new_graph());
  const CUgraphNode node = add_fill(graph.get(), {}, fill_words(memory.at(), 1), context);
  const GraphExec exec(graph);
  const CUDA_MEMSET_NODE_PARAMS other = {memory.at(), 16, 1, 4, 1, 2};
  expect(CU(cuGraphExecMemsetNodeSetParams, exec.get(), node, &other, context.get()), CUDA_ERROR_INVALID_VALUE);
}
CASE(graph_exec_node, host_function) {
  const Context context;
  const Stream stream;
  std::atomic<int> a{0}, b{0};
  const auto count = [](void* user) { ++*static_cast<std::atomic<int>*>(user); };
  const Graph graph(new_graph());
  const CUgraphNode node = add_host(graph.get(), {}, count, &a);
  const GraphExec exec(graph);
  const CUDA_HOST_NODE_PARAMS other = {count, &b};
  expect_ok(CU(cuGraphExecHostNodeSetParams, exec.get(), node, &other));
  run(exec, stream);
  expect_equal(a.load(), 0, "calls with the old parameters");
  expect_equal(b.load(), 1, "calls with the new parameters");
}
CASE(graph_exec_node, child) {
  const Context context;
  const Module module;
  const Stream stream;
  const DeviceMemory memory(4);
  const Graph first(new_graph()), second(new_graph()), graph(new_graph());
  add_kernel(first.get(), {}, module.function("store"), memory.at(), uint32_t{1});
  add_kernel(second.get(), {}, module.function("store"), memory.at(), uint32_t{2});
  const CUgraphNode node = add_child(graph.get(), {}, first.get());
  const GraphExec exec(graph);
  expect_ok(CU(cuGraphExecChildGraphNodeSetParams, exec.get(), node, second.get()));
  run(exec, stream);
  expect_equal(memory.word(), 2U, "the word");
}
CASE(graph_exec_node, child_of_another_shape) {
  const Context context;
  const Graph first(new_graph()), second(new_graph()), graph(new_graph());
  add_empty(first.get());
  add_empty(second.get(), {add_empty(second.get())});
  const CUgraphNode node = add_child(graph.get(), {}, first.get());
  const GraphExec exec(graph);
  expect_one_of(CU(cuGraphExecChildGraphNodeSetParams, exec.get(), node, second.get()),
                {CUDA_ERROR_INVALID_VALUE, CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE});
}
CASE(graph_exec_node, event) {
  const Context context;
  const Module module;
  const Stream stream;
  const Event a(CU_EVENT_DISABLE_TIMING), b(CU_EVENT_DISABLE_TIMING);
  const Graph graph(new_graph());
  CUgraphNode node = nullptr;
  expect_ok(CU(cuGraphAddEventRecordNode, &node, graph.get(), nullptr, 0, a));
  const GraphExec exec(graph);
  expect_ok(CU(cuGraphExecEventRecordNodeSetEvent, exec.get(), node, b));
  Spinner spinner(module);
  spinner.start(stream);
  expect_ok(CU(cuGraphLaunch, exec.get(), stream));
  expect_ok(CU(cuEventQuery, a));
  expect(CU(cuEventQuery, b), CUDA_ERROR_NOT_READY);
  spinner.release();
  stream.synchronize();
  spinner.require_not_expired();
  expect_ok(CU(cuEventQuery, b));
}
CASE(graph_exec_node, of_arbitrary_type) {
  const Context context;
  const Module module;
  const Stream stream;
  const DeviceMemory memory(8);
  const Graph graph(new_graph());
  const CUgraphNode kernel = add_kernel(graph.get(), {}, module.function("store"), memory.at(0), uint32_t{1});
  const CUgraphNode fill = add_fill(graph.get(), {}, fill_words(memory.at(4), 1), context);
  const GraphExec exec(graph);
  KernelNode other(module.function("store"), memory.at(0), uint32_t{2});
  CUgraphNodeParams parameters = {};
  parameters.type = CU_GRAPH_NODE_TYPE_KERNEL;
  parameters.kernel = *other.get();
  expect_ok(CU(cuGraphExecNodeSetParams, exec.get(), kernel, &parameters));
  parameters = {};
  parameters.type = CU_GRAPH_NODE_TYPE_MEMSET;
  parameters.memset = {memory.at(4), 0, 3, 4, 1, 1, context.get()};
  expect_ok(CU(cuGraphExecNodeSetParams, exec.get(), fill, &parameters));
  run(exec, stream);
  expect_equal(memory.word(0), 2U, "the word of the kernel");
  expect_equal(memory.word(1), 3U, "the word of the fill");
}
CASE(graph_exec_node, of_another_graph) {
  const Context context;
  const Module module;
  const DeviceMemory memory(4);
  const Graph graph(new_graph()), other(new_graph());
  add_kernel(graph.get(), {}, module.function("increment"), memory.at());
  const CUgraphNode stranger = add_kernel(other.get(), {}, module.function("increment"), memory.at());
  const GraphExec exec(graph);
  KernelNode kernel(module.function("increment"), memory.at());
  expect(CU(cuGraphExecKernelNodeSetParams_v2, exec.get(), stranger, kernel.get()), CUDA_ERROR_INVALID_VALUE);
}

CASE(graph_exec_node, graph_changed_after_it) {
  const Context context;
  const Module module;
  const Stream stream;
  const DeviceMemory memory(4);
  const Graph graph(new_graph());
  const CUgraphNode node = add_kernel(graph.get(), {}, module.function("store"), memory.at(), uint32_t{1});
  const GraphExec before(graph);
  KernelNode other(module.function("store"), memory.at(), uint32_t{2});
  expect_ok(CU(cuGraphKernelNodeSetParams_v2, node, other.get()));
  const GraphExec after(graph);
  run(before, stream);
  expect_equal(memory.word(), 1U, "the word of what was made before");
  run(after, stream);
  expect_equal(memory.word(), 2U, "the word of what was made afterwards");
}
CASE(graph_exec_node, graph_changed_by_parameters_of_any_type) {
  const Context context;
  const Stream stream;
  const DeviceMemory memory(4);
  const Graph graph(new_graph());
  const CUgraphNode node = add_fill(graph.get(), {}, fill_words(memory.at(), 1), context);
  CUgraphNodeParams parameters = {};
  parameters.type = CU_GRAPH_NODE_TYPE_MEMSET;
  parameters.memset = {memory.at(), 0, 4, 4, 1, 1, context.get()};
  expect_ok(CU(cuGraphNodeSetParams, node, &parameters));
  const GraphExec exec(graph);
  run(exec, stream);
  expect_equal(memory.word(), 4U, "the word");
}

}  // namespace
}  // namespace conformance
