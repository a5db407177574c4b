// SPDX-License-Identifier: Apache-2.0
// What is refused when graphs are built. What the documentation leaves open stands alone in a case.
#include "tests/conformance/fixtures/graph_build.hpp"
#include "tests/conformance/harness/registry.hpp"

namespace conformance {
namespace {

/// Expects the node to be refused, and the graph to stay empty.
void expect_refused(const Graph& graph, KernelNode& kernel, CUresult wanted, Where where = Where::current()) {
  CUgraphNode node = nullptr;
  expect(CU(cuGraphAddKernelNode_v2, &node, graph.get(), nullptr, 0, kernel.get()), wanted, where);
  expect_equal(nodes_of(graph.get()).size(), size_t{0}, "the number of nodes", where);
}

CASE(graph_build_error, kernel_nowhere) {
  const Context context;
  const Module module;
  const Graph graph(new_graph());
  KernelNode kernel(module.function("noop"));
  CUgraphNode node = nullptr;
  expect(CU(cuGraphAddKernelNode_v2, nullptr, graph.get(), nullptr, 0, kernel.get()), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuGraphAddKernelNode_v2, &node, nullptr, nullptr, 0, kernel.get()), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuGraphAddKernelNode_v2, &node, graph.get(), nullptr, 0, nullptr), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuGraphAddKernelNode_v2, &node, graph.get(), nullptr, 1, kernel.get()), CUDA_ERROR_INVALID_VALUE);
}
CASE(graph_build_error, kernel_with_parameters_both_ways) {
  const Context context;
  const Module module;
  const DeviceMemory memory(4);
  const Graph graph(new_graph());
  KernelNode kernel(module.function("increment"), memory.at());
  CUdeviceptr block = memory.at();
  size_t size = sizeof block;
  void* extra[] = {reinterpret_cast<void*>(kLaunchParamBufferPointer), &block,
                   reinterpret_cast<void*>(kLaunchParamBufferSize), &size, reinterpret_cast<void*>(kLaunchParamEnd)};
  kernel.get()->extra = extra;
  expect_refused(graph, kernel, CUDA_ERROR_INVALID_VALUE);
}
CASE(graph_build_error, no_kernel) {
  const Context context;
  const Graph graph(new_graph());
  KernelNode kernel(nullptr);
  CUgraphNode node = nullptr;
  expect_one_of(CU(cuGraphAddKernelNode_v2, &node, graph.get(), nullptr, 0, kernel.get()),
                {CUDA_ERROR_INVALID_VALUE, CUDA_ERROR_INVALID_HANDLE});
}
CASE(graph_build_error, kernel_with_an_empty_grid) {
  const Context context;
  const Module module;
  const Graph graph(new_graph());
  KernelNode kernel(module.function("noop"));
  kernel.get()->gridDimX = 0;
  expect_refused(graph, kernel, CUDA_ERROR_INVALID_VALUE);
}
CASE(graph_build_error, kernel_with_too_large_a_block) {
  const Context context;
  const Module module;
  const Graph graph(new_graph());
  KernelNode kernel(module.function("noop"));
  kernel.get()->blockDimX = 1025;
  expect_refused(graph, kernel, CUDA_ERROR_INVALID_VALUE);
}
CASE(graph_build_error, kernel_with_more_threads_than_it_allows) {
  const Context context;
  const Module module;
  const Graph graph(new_graph());
  KernelNode kernel(module.function("at_most_64"));
  kernel.get()->blockDimX = 65;
  expect_refused(graph, kernel, CUDA_ERROR_INVALID_VALUE);
}
CASE(graph_build_error, dependency_twice) {
  const Context context;
  const Module module;
  const Graph graph(new_graph());
  const CUgraphNode first = add_empty(graph.get());
  const CUgraphNode twice[] = {first, first};
  KernelNode kernel(module.function("noop"));
  CUgraphNode node = nullptr;
  expect(CU(cuGraphAddKernelNode_v2, &node, graph.get(), twice, 2, kernel.get()), CUDA_ERROR_INVALID_VALUE);
}
CASE(graph_build_error, dependency_of_another_graph) {
  const Context context;
  const Module module;
  const Graph graph(new_graph()), other(new_graph());
  const CUgraphNode stranger = add_empty(other.get());
  KernelNode kernel(module.function("noop"));
  CUgraphNode node = nullptr;
  expect(CU(cuGraphAddKernelNode_v2, &node, graph.get(), &stranger, 1, kernel.get()), CUDA_ERROR_INVALID_VALUE);
}

CASE(graph_build_error, fill_nowhere) {
  const Context context;
  const DeviceMemory memory(4);
  const Graph graph(new_graph());
  const CUDA_MEMSET_NODE_PARAMS fill = fill_words(memory.at(), 1);
  CUgraphNode node = nullptr;
  expect(CU(cuGraphAddMemsetNode, nullptr, graph.get(), nullptr, 0, &fill, context.get()), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuGraphAddMemsetNode, &node, nullptr, nullptr, 0, &fill, context.get()), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuGraphAddMemsetNode, &node, graph.get(), nullptr, 0, nullptr, context.get()), CUDA_ERROR_INVALID_VALUE);
}
CASE(graph_build_error, fill_of_a_wrong_element_size) {
  const Context context;
  const DeviceMemory memory(16);
  const Graph graph(new_graph());
  const CUDA_MEMSET_NODE_PARAMS fill = {memory.at(), 0, 1, 3, 1, 1};
  CUgraphNode node = nullptr;
  expect(CU(cuGraphAddMemsetNode, &node, graph.get(), nullptr, 0, &fill, context.get()), CUDA_ERROR_INVALID_VALUE);
}
CASE(graph_build_error, fill_in_the_current_context) {
  const Context context;
  const DeviceMemory memory(4);
  const Graph graph(new_graph());
  const CUDA_MEMSET_NODE_PARAMS fill = fill_words(memory.at(), 1);
  CUgraphNode node = nullptr;
  expect_ok(CU(cuGraphAddMemsetNode, &node, graph.get(), nullptr, 0, &fill, nullptr));
}
CASE(graph_build_error, copy_nowhere) {
  const Context context;
  const DeviceMemory memory(8);
  const Graph graph(new_graph());
  const CUDA_MEMCPY3D copy = copy_on_device(memory.at(4), memory.at(), 4);
  CUgraphNode node = nullptr;
  expect(CU(cuGraphAddMemcpyNode, nullptr, graph.get(), nullptr, 0, &copy, context.get()), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuGraphAddMemcpyNode, &node, nullptr, nullptr, 0, &copy, context.get()), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuGraphAddMemcpyNode, &node, graph.get(), nullptr, 0, nullptr, context.get()), CUDA_ERROR_INVALID_VALUE);
}
CASE(graph_build_error, copy_in_the_current_context) {
  const Context context;
  const DeviceMemory memory(8);
  const Graph graph(new_graph());
  const CUDA_MEMCPY3D copy = copy_on_device(memory.at(4), memory.at(), 4);
  CUgraphNode node = nullptr;
  expect_ok(CU(cuGraphAddMemcpyNode, &node, graph.get(), nullptr, 0, &copy, nullptr));
}
CASE(graph_build_error, copy_of_an_unknown_kind) {
  const Context context;
  const DeviceMemory memory(8);
  const Graph graph(new_graph());
  CUDA_MEMCPY3D copy = copy_on_device(memory.at(4), memory.at(), 4);
  copy.srcMemoryType = 77;
  CUgraphNode node = nullptr;
  expect(CU(cuGraphAddMemcpyNode, &node, graph.get(), nullptr, 0, &copy, context.get()), CUDA_ERROR_INVALID_VALUE);
}
CASE(graph_build_error, host_function_nowhere) {
  const Context context;
  const Graph graph(new_graph());
  CUgraphNode node = nullptr;
  expect(CU(cuGraphAddHostNode, &node, graph.get(), nullptr, 0, nullptr), CUDA_ERROR_INVALID_VALUE);
}
CASE(graph_build_error, no_host_function) {
  const Context context;
  const Graph graph(new_graph());
  const CUDA_HOST_NODE_PARAMS host = {};
  CUgraphNode node = nullptr;
  expect(CU(cuGraphAddHostNode, &node, graph.get(), nullptr, 0, &host), CUDA_ERROR_INVALID_VALUE);
}
CASE(graph_build_error, no_child) {
  const Context context;
  const Graph graph(new_graph());
  CUgraphNode node = nullptr;
  expect(CU(cuGraphAddChildGraphNode, &node, graph.get(), nullptr, 0, nullptr), CUDA_ERROR_INVALID_VALUE);
}
CASE(graph_build_error, no_event) {
  const Context context;
  const Graph graph(new_graph());
  CUgraphNode node = nullptr;
  expect_one_of(CU(cuGraphAddEventRecordNode, &node, graph.get(), nullptr, 0, nullptr),
                {CUDA_ERROR_INVALID_VALUE, CUDA_ERROR_INVALID_HANDLE});
  expect_one_of(CU(cuGraphAddEventWaitNode, &node, graph.get(), nullptr, 0, nullptr),
                {CUDA_ERROR_INVALID_VALUE, CUDA_ERROR_INVALID_HANDLE});
}

CASE(graph_build_error, arbitrary_node_nowhere) {
  const Context context;
  const Graph graph(new_graph());
  CUgraphNodeParams parameters = {};
  parameters.type = CU_GRAPH_NODE_TYPE_EMPTY;
  CUgraphNode node = nullptr;
  expect(CU(cuGraphAddNode_v2, nullptr, graph.get(), nullptr, nullptr, 0, &parameters), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuGraphAddNode_v2, &node, nullptr, nullptr, nullptr, 0, &parameters), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuGraphAddNode_v2, &node, graph.get(), nullptr, nullptr, 0, nullptr), CUDA_ERROR_INVALID_VALUE);
}
CASE(graph_build_error, node_of_an_unknown_type) {
  const Context context;
  const Graph graph(new_graph());
  CUgraphNodeParams parameters = {};
  parameters.type = 99;
  CUgraphNode node = nullptr;
  expect(CU(cuGraphAddNode_v2, &node, graph.get(), nullptr, nullptr, 0, &parameters), CUDA_ERROR_INVALID_VALUE);
}
CASE(graph_build_error, reserved_bytes_of_a_node) {
  const Context context;
  const Graph graph(new_graph());
  CUgraphNodeParams parameters = {};
  parameters.type = CU_GRAPH_NODE_TYPE_EMPTY;
  parameters.reserved0[1] = 1;
  CUgraphNode node = nullptr;
  expect(CU(cuGraphAddNode_v2, &node, graph.get(), nullptr, nullptr, 0, &parameters), CUDA_ERROR_INVALID_VALUE);
}
CASE(graph_build_error, parameters_of_another_type_set) {
  const Context context;
  const Graph graph(new_graph());
  const CUgraphNode node = add_empty(graph.get());
  CUgraphNodeParams parameters = {};
  parameters.type = CU_GRAPH_NODE_TYPE_HOST;
  parameters.host.fn = [](void*) {};
  expect(CU(cuGraphNodeSetParams, node, &parameters), CUDA_ERROR_INVALID_VALUE);
}
CASE(graph_build_error, parameters_of_another_type_asked) {
  const Context context;
  const Graph graph(new_graph());
  const CUgraphNode node = add_empty(graph.get());
  CUDA_MEMSET_NODE_PARAMS fill = {};
  expect(CU(cuGraphMemsetNodeGetParams, node, &fill), CUDA_ERROR_INVALID_VALUE);
  CUDA_MEMCPY3D copy = {};
  expect(CU(cuGraphMemcpyNodeGetParams, node, &copy), CUDA_ERROR_INVALID_VALUE);
  CUDA_KERNEL_NODE_PARAMS kernel = {};
  expect(CU(cuGraphKernelNodeGetParams_v2, node, &kernel), CUDA_ERROR_INVALID_VALUE);
  CUgraph child = nullptr;
  expect(CU(cuGraphChildGraphNodeGetGraph, node, &child), CUDA_ERROR_INVALID_VALUE);
}
CASE(graph_build_error, null_handles) {
  const Context context;
  size_t count = 0;
  CUgraph graph = nullptr;
  CUDA_MEMSET_NODE_PARAMS fill = {};
  expect(CU(cuGraphDestroyNode, nullptr), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuGraphClone, &graph, nullptr), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuGraphGetEdges_v2, nullptr, nullptr, nullptr, nullptr, &count), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuGraphNodeGetDependencies_v2, nullptr, nullptr, nullptr, &count), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuGraphMemsetNodeGetParams, nullptr, &fill), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuGraphChildGraphNodeGetGraph, nullptr, &graph), CUDA_ERROR_INVALID_VALUE);
}

}  // namespace
}  // namespace conformance
