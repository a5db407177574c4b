// SPDX-License-Identifier: Apache-2.0
// Where capture and building by hand meet: captures into graphs that exist, and captured nodes looked at.
#include "tests/conformance/fixtures/graph_build.hpp"
#include "tests/conformance/harness/registry.hpp"

namespace conformance {
namespace {

void begin_into(const Stream& stream, CUgraph graph, const Nodes& after) {
  expect_ok(CU(cuStreamBeginCaptureToGraph, stream, graph, array_of(after), nullptr, after.size(),
               CU_STREAM_CAPTURE_MODE_RELAXED));
}
void end_in(const Stream& stream, CUgraph graph) {
  CUgraph ended = nullptr;
  expect_ok(CU(cuStreamEndCapture, stream, &ended));
  require(ended == graph, "the capture ends with the graph that it was begun with");
}
/// The node that the next one of the stream would come after.
CUgraphNode last_of(const Stream& stream) {
  unsigned status = 0;
  const CUgraphNode* ends = nullptr;
  size_t count = 0;
  expect_ok(CU(cuStreamGetCaptureInfo_v2, stream, &status, nullptr, nullptr, &ends, &count));
  expect_equal(count, size_t{1}, "the dependencies of the next node");
  return ends[0];
}
size_t dependencies_of(CUgraphNode node) {
  size_t count = 0;
  expect_ok(CU(cuGraphNodeGetDependencies, node, nullptr, &count));
  return count;
}

CASE(graph_captured, into_a_graph_and_on_by_hand) {
  const Context context;
  const Module module;
  const Stream stream;
  const DeviceMemory memory(4);
  const PinnedMemory out(4);
  const Graph graph(new_graph());
  const CUgraphNode fill = add_fill(graph.get(), {}, fill_words(memory.at(), 30), context);
  begin_into(stream, graph.get(), {fill});
  launch(module.function("increment"), {}, {}, stream, memory.at());
  const CUgraphNode kernel = last_of(stream);
  end_in(stream, graph.get());
  add_copy(graph.get(), {kernel}, copy_to_host(out.get(), memory.at(), 4), context);
  expect_equal(nodes_of(graph.get()).size(), size_t{3}, "the number of nodes");
  expect_equal(dependencies_of(kernel), size_t{1}, "the dependencies of the captured node");
  const GraphExec exec(graph);
  for (int i = 0; i < 10; ++i) {
    run(exec, stream);
    expect_equal(out.word(), 31U, "the word");
  }
}
CASE(graph_captured, into_a_graph_twice) {
  const Context context;
  const Module module;
  const Stream stream;
  const DeviceMemory memory(4);
  memory.write_word(0);
  const Graph graph(new_graph());
  begin_into(stream, graph.get(), {});
  launch(module.function("increment"), {}, {}, stream, memory.at());
  const CUgraphNode first = last_of(stream);
  end_in(stream, graph.get());
  begin_into(stream, graph.get(), {first});
  launch(module.function("increment"), {}, {}, stream, memory.at());
  end_in(stream, graph.get());
  const GraphExec exec(graph);
  run(exec, stream);
  expect_equal(memory.word(), 2U, "the word");
}
CASE(graph_captured, node_by_hand_in_between) {
  const Context context;
  const Module module;
  const Stream stream;
  const DeviceMemory memory(4);
  memory.write_word(0);
  const Graph graph(capture(stream, [&] {
    launch(module.function("increment"), {}, {}, stream, memory.at());
    unsigned status = 0;
    CUgraph open = nullptr;
    const CUgraphNode* ends = nullptr;
    size_t count = 0;
    expect_ok(CU(cuStreamGetCaptureInfo_v2, stream, &status, nullptr, &open, &ends, &count));
    CUgraphNode added = add_kernel(open, {ends[0]}, module.function("increment"), memory.at());
    expect_ok(CU(cuStreamUpdateCaptureDependencies, stream, &added, 1, 1));
    launch(module.function("increment"), {}, {}, stream, memory.at());
  }));
  const Nodes nodes = nodes_of(graph.get());
  expect_equal(nodes.size(), size_t{3}, "the number of nodes");
  size_t roots = 0;
  expect_ok(CU(cuGraphGetRootNodes, graph.get(), nullptr, &roots));
  expect_equal(roots, size_t{1}, "the number of roots");
  const GraphExec exec(graph);
  run(exec, stream);
  expect_equal(memory.word(), 3U, "the word");
}
CASE(graph_captured, dependencies_added) {
  const Context context;
  const Module module;
  const Stream stream;
  const Graph graph(new_graph());
  CUgraphNode empty = add_empty(graph.get());
  begin_into(stream, graph.get(), {});
  launch(module.function("noop"), {}, {}, stream);
  expect_ok(CU(cuStreamUpdateCaptureDependencies_v2, stream, &empty, nullptr, 1, 0));
  launch(module.function("noop"), {}, {}, stream);
  const CUgraphNode last = last_of(stream);
  end_in(stream, graph.get());
  expect_equal(dependencies_of(last), size_t{2}, "the dependencies of the last node");
}
CASE(graph_captured, dependencies_removed_need_not_join) {
  const Context context;
  const Module module;
  const Stream stream;
  const Graph graph(capture(stream, [&] {
    launch(module.function("noop"), {}, {}, stream);
    expect_ok(CU(cuStreamUpdateCaptureDependencies, stream, nullptr, 0, 1));
    launch(module.function("noop"), {}, {}, stream);
  }));
  size_t roots = 0;
  expect_ok(CU(cuGraphGetRootNodes, graph.get(), nullptr, &roots));
  expect_equal(roots, size_t{2}, "the number of roots");
}
CASE(graph_captured, dependencies_without_a_capture) {
  const Context context;
  const Stream stream;
  const Graph graph(new_graph());
  CUgraphNode node = add_empty(graph.get());
  expect(CU(cuStreamUpdateCaptureDependencies, stream, &node, 1, 1), CUDA_ERROR_ILLEGAL_STATE);
}
CASE(graph_captured, into_no_graph) {
  const Context context;
  const Stream stream;
  expect(CU(cuStreamBeginCaptureToGraph, stream, nullptr, nullptr, nullptr, 0, CU_STREAM_CAPTURE_MODE_RELAXED),
         CUDA_ERROR_INVALID_VALUE);
}
CASE(graph_captured, into_a_graph_from_the_legacy_stream) {
  const Context context;
  const Graph graph(new_graph());
  expect(CU(cuStreamBeginCaptureToGraph, nullptr, graph.get(), nullptr, nullptr, 0, CU_STREAM_CAPTURE_MODE_RELAXED),
         CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
}

CASE(graph_captured, kernel_parameters_read_back) {
  const Context context;
  const Module module;
  const Stream stream;
  const DeviceMemory memory(4);
  const Graph graph(
      capture(stream, [&] { launch(module.function("store"), {2}, {32}, stream, memory.at(), uint32_t{99}); }));
  CUDA_KERNEL_NODE_PARAMS found = {};
  expect_ok(CU(cuGraphKernelNodeGetParams_v2, node_of_type(graph.get(), CU_GRAPH_NODE_TYPE_KERNEL), &found));
  require(found.func == module.function("store"), "the function");
  require(found.gridDimX == 2 && found.blockDimX == 32, "the shape");
  require(found.kernelParams != nullptr, "the parameters come one by one");
  expect_equal(*static_cast<CUdeviceptr*>(found.kernelParams[0]), memory.at(), "the first parameter");
  expect_equal(*static_cast<uint32_t*>(found.kernelParams[1]), 99U, "the second parameter");
}
CASE(graph_captured, fill_read_back) {
  const Context context;
  const Stream stream;
  const DeviceMemory memory(64);
  const Graph graph(capture(stream, [&] { expect_ok(CU(cuMemsetD32Async, memory.at(), 6, 16, stream)); }));
  CUDA_MEMSET_NODE_PARAMS found = {};
  expect_ok(CU(cuGraphMemsetNodeGetParams, node_of_type(graph.get(), CU_GRAPH_NODE_TYPE_MEMSET), &found));
  require(
      found.dst == memory.at() && found.value == 6 && found.elementSize == 4 && found.width == 16 && found.height == 1,
      "the parameters");
}
CASE(graph_captured, copy_read_back) {
  const Context context;
  const Stream stream;
  const DeviceMemory a(64), b(64);
  const Graph graph(capture(stream, [&] { expect_ok(CU(cuMemcpyDtoDAsync_v2, b.at(), a.at(), 64, stream)); }));
  CUDA_MEMCPY3D found = {};
  expect_ok(CU(cuGraphMemcpyNodeGetParams, node_of_type(graph.get(), CU_GRAPH_NODE_TYPE_MEMCPY), &found));
  require(found.dstDevice == b.at() && found.srcDevice == a.at(), "the ends");
  require(found.WidthInBytes == 64 && found.Height == 1 && found.Depth == 1, "the size");
}
CASE(graph_captured, launch_of_a_graph_is_refused) {
  const Context context;
  const Module module;
  const Stream stream;
  const DeviceMemory memory(4);
  const Graph inner(capture(stream, [&] { launch(module.function("increment"), {}, {}, stream, memory.at()); }));
  const GraphExec inner_exec(inner);
  expect_ok(CU(cuStreamBeginCapture_v2, stream, CU_STREAM_CAPTURE_MODE_RELAXED));
  expect(CU(cuGraphLaunch, inner_exec.get(), stream), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
  CUgraph graph = nullptr;
  driver().cuStreamEndCapture(stream, &graph);
}
CASE(graph_captured, external_record_is_a_node) {
  const Context context;
  const Module module;
  const Stream stream;
  const Event event(CU_EVENT_DISABLE_TIMING);
  const Graph graph(capture(stream, [&] {
    launch(module.function("noop"), {}, {}, stream);
    expect_ok(CU(cuEventRecordWithFlags, event, stream, CU_EVENT_RECORD_EXTERNAL));
  }));
  const CUgraphNode node = node_of_type(graph.get(), CU_GRAPH_NODE_TYPE_EVENT_RECORD);
  CUevent found = nullptr;
  expect_ok(CU(cuGraphEventRecordNodeGetEvent, node, &found));
  require(found == event, "the event");
  const GraphExec exec(graph);
  run(exec, stream);
  expect_ok(CU(cuEventQuery, event));
}

}  // namespace
}  // namespace conformance
