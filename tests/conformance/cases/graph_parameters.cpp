// SPDX-License-Identifier: Apache-2.0
// Nodes made from a tagged union, and the parameters of nodes read back.
#include "tests/conformance/fixtures/graph_build.hpp"
#include "tests/conformance/harness/registry.hpp"

namespace conformance {
namespace {

CASE(graph_parameters, nodes_of_arbitrary_type) {
  const Context context;
  const Module module;
  const Stream stream;
  const Event event(CU_EVENT_DISABLE_TIMING);
  const DeviceMemory memory(4);
  const PinnedMemory out(4);
  const Graph child(new_graph()), graph(new_graph());
  std::atomic<int> calls{0};
  add_kernel(child.get(), {}, module.function("increment"), memory.at());
  KernelNode kernel(module.function("increment"), memory.at());
  CUgraphNodeParams all[7] = {};
  all[0].type = CU_GRAPH_NODE_TYPE_MEMSET;
  all[0].memset = {memory.at(), 0, 20, 4, 1, 1, context.get()};
  all[1].type = CU_GRAPH_NODE_TYPE_KERNEL;
  all[1].kernel = *kernel.get();
  all[2].type = CU_GRAPH_NODE_TYPE_GRAPH;
  all[2].graph.graph = child.get();
  all[3].type = CU_GRAPH_NODE_TYPE_MEMCPY;
  all[3].memcpy.copyCtx = context.get();
  all[3].memcpy.copyParams = copy_to_host(out.get(), memory.at(), 4);
  all[4].type = CU_GRAPH_NODE_TYPE_HOST;
  all[4].host = {[](void* user) { ++*static_cast<std::atomic<int>*>(user); }, &calls};
  all[5].type = CU_GRAPH_NODE_TYPE_EMPTY;
  all[6].type = CU_GRAPH_NODE_TYPE_EVENT_RECORD;
  all[6].eventRecord.event = event;
  Nodes after;
  for (CUgraphNodeParams& parameters : all) {
    CUgraphNode node = nullptr;
    expect_ok(CU(cuGraphAddNode_v2, &node, graph.get(), array_of(after), nullptr, after.size(), &parameters));
    expect_equal(type_of(node), parameters.type, "the type");
    after = {node};
  }
  const GraphExec exec(graph);
  run(exec, stream);
  expect_equal(out.word(), 22U, "the word");
  expect_equal(calls.load(), 1, "the calls");
  expect_ok(CU(cuEventQuery, event));
}
CASE(graph_parameters, arbitrary_node_by_the_older_symbol) {
  const Context context;
  const Graph graph(new_graph());
  CUgraphNodeParams parameters = {};
  parameters.type = CU_GRAPH_NODE_TYPE_EMPTY;
  CUgraphNode node = nullptr;
  expect_ok(CU(cuGraphAddNode, &node, graph.get(), nullptr, 0, &parameters));
  expect_equal(type_of(node), 0U + CU_GRAPH_NODE_TYPE_EMPTY, "the type");
}

CASE(graph_parameters, parameters_read_back) {
  const Context context;
  const Module module;
  const DeviceMemory memory(64);
  const PinnedMemory out(64);
  const Graph graph(new_graph());
  const CUgraphNode fill = add_fill(graph.get(), {}, {memory.at(), 16, 7, 2, 8, 4}, context);
  const CUgraphNode copy = add_copy(graph.get(), {}, copy_to_host(out.get(), memory.at(), 48), context);
  const CUgraphNode host = add_host(
      graph.get(), {}, [](void*) {}, out.get());
  CUDA_MEMSET_NODE_PARAMS filled = {};
  expect_ok(CU(cuGraphMemsetNodeGetParams, fill, &filled));
  require(filled.dst == memory.at() && filled.pitch == 16 && filled.value == 7 && filled.elementSize == 2 &&
              filled.width == 8 && filled.height == 4,
          "the parameters of the fill");
  CUDA_MEMCPY3D copied = {};
  expect_ok(CU(cuGraphMemcpyNodeGetParams, copy, &copied));
  require(copied.dstHost == out.get() && copied.srcDevice == memory.at() && copied.WidthInBytes == 48 &&
              copied.Height == 1 && copied.Depth == 1,
          "the parameters of the copy");
  CUDA_HOST_NODE_PARAMS called = {};
  expect_ok(CU(cuGraphHostNodeGetParams, host, &called));
  require(called.fn != nullptr && called.userData == out.get(), "the parameters of the host function");
}
CASE(graph_parameters, kernel_parameters_read_back) {
  const Context context;
  const Module module;
  const DeviceMemory memory(4);
  const Graph graph(new_graph());
  KernelNode kernel(module.function("store"), memory.at(), uint32_t{1234});
  kernel.get()->gridDimY = 5;
  kernel.get()->blockDimX = 64;
  kernel.get()->sharedMemBytes = 128;
  const CUgraphNode node = add_kernel(graph.get(), {}, kernel);
  CUDA_KERNEL_NODE_PARAMS found = {};
  expect_ok(CU(cuGraphKernelNodeGetParams_v2, node, &found));
  require(found.func == kernel.get()->func, "the function");
  require(found.gridDimX == 1 && found.gridDimY == 5 && found.gridDimZ == 1, "the grid");
  require(found.blockDimX == 64 && found.blockDimY == 1 && found.blockDimZ == 1, "the block");
  expect_equal(found.sharedMemBytes, 128U, "the dynamic shared memory");
  require(found.kernelParams != nullptr && found.extra == nullptr, "the parameters come one by one");
  expect_equal(*static_cast<CUdeviceptr*>(found.kernelParams[0]), memory.at(), "the first parameter");
  expect_equal(*static_cast<uint32_t*>(found.kernelParams[1]), 1234U, "the second parameter");
}
CASE(graph_parameters, kernel_parameters_in_one_block_read_back) {
  const Context context;
  const Module module;
  const DeviceMemory memory(8);
  const Graph graph(new_graph());
  CUdeviceptr block[] = {memory.at(0), memory.at(4)};
  size_t size = sizeof block;
  void* extra[] = {reinterpret_cast<void*>(kLaunchParamBufferPointer), block,
                   reinterpret_cast<void*>(kLaunchParamBufferSize), &size, reinterpret_cast<void*>(kLaunchParamEnd)};
  KernelNode kernel(module.function("copy_word"));
  kernel.get()->extra = extra;
  const CUgraphNode node = add_kernel(graph.get(), {}, kernel);
  CUDA_KERNEL_NODE_PARAMS found = {};
  expect_ok(CU(cuGraphKernelNodeGetParams_v2, node, &found));
  require(found.kernelParams == nullptr && found.extra != nullptr && found.extra != extra,
          "the parameters come in one block of the driver's");
}

}  // namespace
}  // namespace conformance
