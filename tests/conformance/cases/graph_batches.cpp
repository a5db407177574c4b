// SPDX-License-Identifier: Apache-2.0
// Nodes that write values into memory and wait for them.
#include "tests/conformance/fixtures/graph_build.hpp"
#include "tests/conformance/fixtures/release.hpp"
#include "tests/conformance/harness/registry.hpp"

namespace conformance {
namespace {

using Operations = std::vector<CUstreamBatchMemOpParams>;

CUstreamBatchMemOpParams word_operation(CUstreamBatchMemOpType type, CUdeviceptr at, uint32_t value, unsigned flags) {
  CUstreamBatchMemOpParams operation = {};
  operation.value.operation = type;
  operation.value.address = at;
  operation.value.value = value;
  operation.value.flags = flags;
  return operation;
}
CUstreamBatchMemOpParams write_word(CUdeviceptr at, uint32_t value) {
  return word_operation(CU_STREAM_MEM_OP_WRITE_VALUE_32, at, value, CU_STREAM_WRITE_VALUE_DEFAULT);
}
CUDA_BATCH_MEM_OP_NODE_PARAMS batch_of(Operations& operations, const Context& context) {
  return {context.get(), static_cast<unsigned>(operations.size()), operations.data(), 0};
}
CUgraphNode add_batch(CUgraph graph, const Nodes& after, Operations operations, const Context& context) {
  const CUDA_BATCH_MEM_OP_NODE_PARAMS params = batch_of(operations, context);
  CUgraphNode node = nullptr;
  expect_ok(CU(cuGraphAddBatchMemOpNode, &node, graph, array_of(after), after.size(), &params));
  return node;
}

CASE(graph_batch, writes_and_waits) {
  const Context context;
  const Stream stream;
  const DeviceMemory memory(8);
  memory.write_word(0, 0), memory.write_word(0, 1);
  const Graph graph(new_graph());
  const CUgraphNode first =
      add_batch(graph.get(), {}, {write_word(memory.at(0), 5), write_word(memory.at(4), 6)}, context);
  add_batch(graph.get(), {first},
            {word_operation(CU_STREAM_MEM_OP_WAIT_VALUE_32, memory.at(4), 6, CU_STREAM_WAIT_VALUE_EQ),
             write_word(memory.at(0), 7)},
            context);
  const GraphExec exec(graph);
  run(exec, stream);
  expect_equal(memory.word(0), 7U, "the first word");
  expect_equal(memory.word(1), 6U, "the second word");
}
CASE(graph_batch, of_pinned_memory) {
  const Context context;
  const Stream stream;
  const PinnedMemory pinned(4);
  const Graph graph(new_graph());
  add_batch(graph.get(), {}, {write_word(pinned.device(), 9)}, context);
  const GraphExec exec(graph);
  run(exec, stream);
  expect_equal(pinned.word(), 9U, "the word");
}
CASE(graph_batch, parameters_read_back) {
  const Context context;
  const DeviceMemory memory(4);
  const PinnedMemory pinned(4);
  const Graph graph(new_graph());
  const CUgraphNode node =
      add_batch(graph.get(), {}, {write_word(memory.at(), 5), write_word(pinned.device(), 6)}, context);
  expect_equal(type_of(node), unsigned{CU_GRAPH_NODE_TYPE_BATCH_MEM_OP}, "type of the node");
  CUDA_BATCH_MEM_OP_NODE_PARAMS found = {};
  expect_ok(CU(cuGraphBatchMemOpNodeGetParams, node, &found));
  require(found.ctx == context.get(), "the node's context");
  expect_equal(found.count, 2U, "operations");
  expect_equal(found.paramArray[0].value.address, memory.at(), "the first address");
  expect_equal(found.paramArray[1].value.address, pinned.device(), "the second address");
  expect_equal(static_cast<uint32_t>(found.paramArray[1].value.value), 6U, "the second value");
}
CASE(graph_batch, of_a_context_that_is_not_current) {
  const Context first;
  const DeviceMemory memory(4);
  Operations operations = {write_word(memory.at(), 5)};
  const CUDA_BATCH_MEM_OP_NODE_PARAMS params = batch_of(operations, first);
  const Context second;
  const Graph graph(new_graph());
  CUgraphNode node = nullptr;
  expect_ok(CU(cuGraphAddBatchMemOpNode, &node, graph.get(), nullptr, 0, &params));
  CUDA_BATCH_MEM_OP_NODE_PARAMS found = {};
  expect_ok(CU(cuGraphBatchMemOpNodeGetParams, node, &found));
  require(found.ctx == first.get(), "the context that the node was made with");
}
CASE(graph_batch, of_a_capture) {
  const Context context;
  const Stream stream;
  const DeviceMemory memory(4);
  const Graph graph(capture(stream, [&] { expect_ok(CU(cuStreamWriteValue32_v2, stream, memory.at(), 8, 0)); }));
  const CUgraphNode node = node_of_type(graph.get(), CU_GRAPH_NODE_TYPE_BATCH_MEM_OP);
  CUDA_BATCH_MEM_OP_NODE_PARAMS found = {};
  expect_ok(CU(cuGraphBatchMemOpNodeGetParams, node, &found));
  expect_equal(found.count, 1U, "operations");
  expect_equal(found.paramArray[0].operation, unsigned{CU_STREAM_MEM_OP_WRITE_VALUE_32}, "the operation");
  expect_equal(found.paramArray[0].value.address, memory.at(), "the address");
  expect_equal(static_cast<uint32_t>(found.paramArray[0].value.value), 8U, "the value");
}
CASE(graph_batch, others_go_on_beside_a_wait) {
  const Context context;
  const Stream waiting, other;
  const PinnedMemory gate(4);
  const DeviceMemory memory(8);
  memory.write_word(0, 0), memory.write_word(0, 1);
  const Graph graph(new_graph());
  add_batch(graph.get(), {},
            {word_operation(CU_STREAM_MEM_OP_WAIT_VALUE_32, gate.device(), 1, CU_STREAM_WAIT_VALUE_EQ),
             write_word(memory.at(), 3)},
            context);
  const GraphExec exec(graph);
  const Release release(gate);
  expect_ok(CU(cuGraphLaunch, exec.get(), waiting));
  expect_ok(CU(cuMemsetD32Async, memory.at(4), 4, 1, other));
  expect_ok(CU(cuStreamSynchronize, other));
  expect(CU(cuStreamQuery, waiting), CUDA_ERROR_NOT_READY);
  gate.set_word(1);
  waiting.synchronize();
  expect_equal(memory.word(0), 3U, "the word behind the wait");
  expect_equal(memory.word(1), 4U, "the other stream's word");
}
Operations write_words(CUdeviceptr at, unsigned count) {
  Operations operations;
  for (unsigned i = 0; i < count; ++i) operations.push_back(write_word(at + 4 * i, i + 1));
  return operations;
}
CASE(graph_batch, largest) {
  const Context context;
  const Stream stream;
  const DeviceMemory memory(1024);
  const Graph graph(new_graph());
  add_batch(graph.get(), {}, write_words(memory.at(), 255), context);
  const GraphExec exec(graph);
  run(exec, stream);
  expect_equal(memory.word(0), 1U, "the first word");
  expect_equal(memory.word(254), 255U, "the last word");
}
CASE(graph_batch, largest_read_back) {
  const Context context;
  const DeviceMemory memory(1024);
  const Graph graph(new_graph());
  CUDA_BATCH_MEM_OP_NODE_PARAMS found = {};
  for (const unsigned count : {18U, 255U}) {
    const CUgraphNode node = add_batch(graph.get(), {}, write_words(memory.at(), count), context);
    expect_ok(CU(cuGraphBatchMemOpNodeGetParams, node, &found));
    expect_equal(found.count, count, "operations");
    expect_equal(found.paramArray[count - 1].value.address, memory.at(4 * (count - 1)), "the last address");
  }
}
CASE(graph_batch, changed) {
  const Context context;
  const Stream stream;
  const DeviceMemory memory(4);
  const Graph graph(new_graph());
  const CUgraphNode node = add_batch(graph.get(), {}, {write_word(memory.at(), 1)}, context);
  Operations second = {write_word(memory.at(), 2)}, third = {write_word(memory.at(), 3)};
  const CUDA_BATCH_MEM_OP_NODE_PARAMS in_graph = batch_of(second, context), in_exec = batch_of(third, context);
  expect_ok(CU(cuGraphBatchMemOpNodeSetParams, node, &in_graph));
  const GraphExec exec(graph);
  run(exec, stream);
  expect_equal(memory.word(), 2U, "the word after the change in the graph");
  expect_ok(CU(cuGraphExecBatchMemOpNodeSetParams, exec.get(), node, &in_exec));
  run(exec, stream);
  expect_equal(memory.word(), 3U, "the word after the change in the executable graph");
}
CASE(graph_batch, of_arbitrary_type) {
  const Context context;
  const Stream stream;
  const DeviceMemory memory(4);
  Operations operations = {write_word(memory.at(), 4)};
  CUgraphNodeParams params = {};
  params.type = CU_GRAPH_NODE_TYPE_BATCH_MEM_OP;
  params.memOp = batch_of(operations, context);
  const Graph graph(new_graph());
  CUgraphNode node = nullptr;
  expect_ok(CU(cuGraphAddNode_v2, &node, graph.get(), nullptr, nullptr, 0, &params));
  const GraphExec exec(graph);
  run(exec, stream);
  expect_equal(memory.word(), 4U, "the word");
}
CASE(graph_batch, errors) {
  const Context context;
  const DeviceMemory memory(4);
  Operations operations = {write_word(memory.at(), 4)};
  CUDA_BATCH_MEM_OP_NODE_PARAMS params = batch_of(operations, context);
  const Graph graph(new_graph());
  CUgraphNode node = nullptr;
  expect(CU(cuGraphAddBatchMemOpNode, &node, graph.get(), nullptr, 0, nullptr), CUDA_ERROR_INVALID_VALUE);
  params.flags = 1;
  expect(CU(cuGraphAddBatchMemOpNode, &node, graph.get(), nullptr, 0, &params), CUDA_ERROR_INVALID_VALUE);
  params.flags = 0;
  operations[0].operation = 77;
  expect(CU(cuGraphAddBatchMemOpNode, &node, graph.get(), nullptr, 0, &params), CUDA_ERROR_INVALID_VALUE);
}

}  // namespace
}  // namespace conformance
