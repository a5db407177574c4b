// SPDX-License-Identifier: Apache-2.0
// Attributes of kernel nodes.
#include "tests/conformance/fixtures/graph_build.hpp"
#include "tests/conformance/harness/registry.hpp"

namespace conformance {
namespace {

CUlaunchAttributeValue attribute_of(int32_t number) {
  CUlaunchAttributeValue value = {};
  __builtin_memcpy(value.bytes, &number, sizeof number);
  return value;
}
int32_t attribute(CUgraphNode node, CUlaunchAttributeID id) {
  CUlaunchAttributeValue value = attribute_of(99);
  expect_ok(CU(cuGraphKernelNodeGetAttribute, node, id, &value));
  int32_t number = 0;
  __builtin_memcpy(&number, value.bytes, sizeof number);
  return number;
}

CASE(graph_kernel_attribute, kept_and_copied) {
  const Context context;
  const Module module;
  const Graph graph(new_graph());
  const CUgraphNode a = add_kernel(graph.get(), {}, module.function("noop"));
  const CUgraphNode b = add_kernel(graph.get(), {}, module.function("noop"));
  expect_equal(attribute(a, CU_LAUNCH_ATTRIBUTE_COOPERATIVE), 0, "cooperative at first");
  const auto yes = attribute_of(1), priority = attribute_of(-1);
  expect_ok(CU(cuGraphKernelNodeSetAttribute, a, CU_LAUNCH_ATTRIBUTE_COOPERATIVE, &yes));
  expect_ok(CU(cuGraphKernelNodeSetAttribute, a, CU_LAUNCH_ATTRIBUTE_PRIORITY, &priority));
  expect_equal(attribute(a, CU_LAUNCH_ATTRIBUTE_COOPERATIVE), 1, "cooperative");
  expect_equal(attribute(a, CU_LAUNCH_ATTRIBUTE_PRIORITY), -1, "the priority");
  expect_equal(attribute(b, CU_LAUNCH_ATTRIBUTE_COOPERATIVE), 0, "cooperative of the other");
  expect_ok(CU(cuGraphKernelNodeCopyAttributes, b, a));
  expect_equal(attribute(b, CU_LAUNCH_ATTRIBUTE_COOPERATIVE), 1, "cooperative of the other afterwards");
  expect_equal(attribute(b, CU_LAUNCH_ATTRIBUTE_PRIORITY), -1, "the priority of the other afterwards");
}
CASE(graph_kernel_attribute, nodes_with_attributes_run) {
  const Context context;
  const Module module;
  const Stream stream;
  const DeviceMemory memory(4);
  memory.write_word(0);
  const Graph graph(new_graph());
  const CUgraphNode node = add_kernel(graph.get(), {}, module.function("increment"), memory.at());
  const auto yes = attribute_of(1);
  expect_ok(CU(cuGraphKernelNodeSetAttribute, node, CU_LAUNCH_ATTRIBUTE_COOPERATIVE, &yes));
  const GraphExec exec(graph);
  run(exec, stream);
  expect_equal(memory.word(), 1U, "the word");
}
CASE(graph_kernel_attribute, of_another_node) {
  const Context context;
  const Graph graph(new_graph());
  const CUgraphNode node = add_empty(graph.get());
  CUlaunchAttributeValue value = {};
  expect_one_of(CU(cuGraphKernelNodeGetAttribute, node, CU_LAUNCH_ATTRIBUTE_PRIORITY, &value),
                {CUDA_ERROR_INVALID_VALUE, CUDA_ERROR_INVALID_HANDLE});
}

}  // namespace
}  // namespace conformance
