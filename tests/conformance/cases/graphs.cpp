// SPDX-License-Identifier: Apache-2.0
// Graphs made by capture: instantiation, launches, results, refusals.
#include <cstring>

#include "tests/conformance/fixtures/graph_build.hpp"
#include "tests/conformance/harness/registry.hpp"

namespace conformance {
namespace {

CASE(graph, create_and_destroy) {
  const Context context;
  CUgraph graph = nullptr;
  expect_ok(CU(cuGraphCreate, &graph, 0));
  require(graph != nullptr, "the graph has a handle");
  size_t nodes = 99;
  expect_ok(CU(cuGraphGetNodes, graph, nullptr, &nodes));
  expect_equal(nodes, size_t{0}, "the number of nodes");
  expect_ok(CU(cuGraphDestroy, graph));
}
CASE(graph, create_errors) {
  const Context context;
  CUgraph graph = nullptr;
  expect(CU(cuGraphCreate, nullptr, 0), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuGraphCreate, &graph, 1), CUDA_ERROR_INVALID_VALUE);
}
CASE(graph, empty_one_runs) {
  const Context context;
  const Stream stream;
  CUgraph made = nullptr;
  expect_ok(CU(cuGraphCreate, &made, 0));
  const Graph graph(made);
  const GraphExec exec(graph);
  expect_ok(CU(cuGraphLaunch, exec.get(), stream));
  stream.synchronize();
}
CASE(graph, kernel_runs_at_every_launch) {
  const Context context;
  const Module module;
  const Stream stream;
  const DeviceMemory memory(4);
  memory.write_word(0);
  const Graph graph(capture(stream, [&] {
    for (int i = 0; i < 3; ++i) launch(module.function("increment"), {}, {}, stream, memory.at());
  }));
  const GraphExec exec(graph);
  stream.synchronize();
  expect_equal(memory.word(), 0U, "the word before a launch");
  for (uint32_t i = 1; i <= 20; ++i) {
    expect_ok(CU(cuGraphLaunch, exec.get(), stream));
    stream.synchronize();
    expect_equal(memory.word(), 3 * i, "the word after launch " + std::to_string(i));
  }
}
CASE(graph, launched_many_times_without_waiting) {
  const Context context;
  const Module module;
  const Stream stream;
  const DeviceMemory memory(4);
  memory.write_word(0);
  const Graph graph(capture(stream, [&] { launch(module.function("increment"), {}, {}, stream, memory.at()); }));
  const GraphExec exec(graph);
  for (int i = 0; i < 500; ++i) expect_ok(CU(cuGraphLaunch, exec.get(), stream));
  stream.synchronize();
  expect_equal(memory.word(), 500U, "the word");
}
CASE(graph, copies_memsets_and_kernels) {
  const Context context;
  const Module module;
  const Stream stream;
  const DeviceMemory a(4096), b(4096);
  const PinnedMemory in(4096), out(4096);
  const Graph graph(capture(stream, [&] {
    expect_ok(CU(cuMemcpyHtoDAsync_v2, a.at(), in.get(), 4096, stream));
    expect_ok(CU(cuMemsetD32Async, a.at(4), 100, 1, stream));
    launch(module.function("increment"), {}, {}, stream, a.at());
    launch(module.function("increment"), {}, {}, stream, a.at(4));
    expect_ok(CU(cuMemcpyDtoDAsync_v2, b.at(), a.at(), 4096, stream));
    expect_ok(CU(cuMemcpyDtoHAsync_v2, out.get(), b.at(), 4096, stream));
  }));
  size_t nodes = 0;
  expect_ok(CU(cuGraphGetNodes, graph.get(), nullptr, &nodes));
  expect_equal(nodes, size_t{6}, "the number of nodes");
  const GraphExec exec(graph);
  for (uint32_t i = 0; i < 5; ++i) {
    in.set_word(i * 10, 0);
    in.set_word(i * 1000, 1023);
    expect_ok(CU(cuGraphLaunch, exec.get(), stream));
    stream.synchronize();
    expect_equal(out.word(0), i * 10 + 1, "the word that was copied and incremented");
    expect_equal(out.word(1), 101U, "the word that was set and incremented");
    expect_equal(out.word(1023), i * 1000, "the last word");
  }
}
CASE(graph, pageable_source_is_read_at_the_launch) {
  const Context context;
  const Stream stream;
  const DeviceMemory memory(4);
  std::vector<uint32_t> source(1, 1);
  const Graph graph(
      capture(stream, [&] { expect_ok(CU(cuMemcpyHtoDAsync_v2, memory.at(), source.data(), 4, stream)); }));
  const GraphExec exec(graph);
  for (uint32_t i = 10; i < 15; ++i) {
    source[0] = i;
    expect_ok(CU(cuGraphLaunch, exec.get(), stream));
    stream.synchronize();
    expect_equal(memory.word(), i, "the word");
  }
}
CASE(graph, host_function) {
  const Context context;
  const Module module;
  const Stream stream;
  const PinnedMemory word(4);
  std::atomic<int> calls{0};
  const Graph graph(capture(stream, [&] {
    expect_ok(CU(
        cuLaunchHostFunc, stream, [](void* user) { ++*static_cast<std::atomic<int>*>(user); }, &calls));
    launch(module.function("store"), {}, {}, stream, word.device(), uint32_t{5});
  }));
  expect_equal(calls.load(), 0, "calls in the capture");
  const GraphExec exec(graph);
  for (int i = 1; i <= 3; ++i) {
    expect_ok(CU(cuGraphLaunch, exec.get(), stream));
    stream.synchronize();
    expect_equal(calls.load(), i, "calls after the launch");
  }
}
CASE(graph, kernel_parameters_are_those_of_the_capture) {
  const Context context;
  const Module module;
  const Stream stream;
  const DeviceMemory memory(4);
  uint32_t value = 11;
  CUdeviceptr address = memory.at();
  void* parameters[] = {&address, &value};
  const Graph graph(capture(stream, [&] {
    expect_ok(CU(cuLaunchKernel, module.function("store"), 1, 1, 1, 1, 1, 1, 0, stream, parameters, nullptr));
  }));
  value = 12;
  const GraphExec exec(graph);
  expect_ok(CU(cuGraphLaunch, exec.get(), stream));
  stream.synchronize();
  expect_equal(memory.word(), 11U, "the word");
}
CASE(graph, branches_join) {
  const Context context;
  const Module module;
  const Stream stream, other;
  const Event fork(CU_EVENT_DISABLE_TIMING), join(CU_EVENT_DISABLE_TIMING);
  const DeviceMemory memory(8);
  const PinnedMemory out(8);
  const Graph graph(capture(stream, [&] {
    expect_ok(CU(cuMemsetD32Async, memory.at(), 0, 2, stream));
    expect_ok(CU(cuEventRecord, fork, stream));
    expect_ok(CU(cuStreamWaitEvent, other, fork, 0));
    launch(module.function("increment"), {}, {}, stream, memory.at(0));
    launch(module.function("increment"), {}, {}, other, memory.at(4));
    expect_ok(CU(cuEventRecord, join, other));
    expect_ok(CU(cuStreamWaitEvent, stream, join, 0));
    expect_ok(CU(cuMemcpyDtoHAsync_v2, out.get(), memory.at(), 8, stream));
  }));
  const GraphExec exec(graph);
  for (int i = 0; i < 10; ++i) {
    out.set_word(0, 0), out.set_word(0, 1);
    expect_ok(CU(cuGraphLaunch, exec.get(), stream));
    stream.synchronize();
    expect_equal(out.word(0), 1U, "the word of one branch");
    expect_equal(out.word(1), 1U, "the word of the other");
  }
}
CASE(graph, nodes) {
  const Context context;
  const Module module;
  const Stream stream;
  const Graph graph(capture(stream, [&] {
    launch(module.function("noop"), {}, {}, stream);
    launch(module.function("noop"), {}, {}, stream);
  }));
  size_t count = 2;
  CUgraphNode nodes[3] = {};
  expect_ok(CU(cuGraphGetNodes, graph.get(), nodes, &count));
  expect_equal(count, size_t{2}, "the number of nodes");
  require(nodes[0] != nullptr && nodes[1] != nullptr && nodes[0] != nodes[1], "the nodes have handles");
  size_t roots = 0;
  expect_ok(CU(cuGraphGetRootNodes, graph.get(), nullptr, &roots));
  expect_equal(roots, size_t{1}, "the number of roots");
}
CASE(graph, executable_outlives_the_graph) {
  const Context context;
  const Module module;
  const Stream stream;
  const DeviceMemory memory(4);
  memory.write_word(0);
  CUgraphExec exec = nullptr;
  {
    const Graph graph(capture(stream, [&] { launch(module.function("increment"), {}, {}, stream, memory.at()); }));
    expect_ok(CU(cuGraphInstantiateWithFlags, &exec, graph.get(), 0));
  }
  expect_ok(CU(cuGraphLaunch, exec, stream));
  stream.synchronize();
  expect_ok(CU(cuGraphExecDestroy, exec));
  expect_equal(memory.word(), 1U, "the word");
}
CASE(graph, executable_destroyed_in_flight) {
  const Context context;
  const Module module;
  const Stream stream;
  const DeviceMemory memory(4);
  memory.write_word(0);
  const Graph graph(capture(stream, [&] { launch(module.function("increment"), {}, {}, stream, memory.at()); }));
  CUgraphExec exec = nullptr;
  expect_ok(CU(cuGraphInstantiateWithFlags, &exec, graph.get(), 0));
  Spinner spinner(module);
  spinner.start(stream);
  expect_ok(CU(cuGraphLaunch, exec, stream));
  expect_ok(CU(cuGraphExecDestroy, exec));
  spinner.release();
  stream.synchronize();
  spinner.require_not_expired();
  expect_equal(memory.word(), 1U, "the word");
}
CASE(graph, upload) {
  const Context context;
  const Module module;
  const Stream stream;
  const DeviceMemory memory(4);
  memory.write_word(0);
  const Graph graph(capture(stream, [&] { launch(module.function("increment"), {}, {}, stream, memory.at()); }));
  const GraphExec exec(graph);
  expect_ok(CU(cuGraphUpload, exec.get(), stream));
  stream.synchronize();
  expect_equal(memory.word(), 0U, "the word after the upload");
  expect_ok(CU(cuGraphLaunch, exec.get(), stream));
  stream.synchronize();
  expect_equal(memory.word(), 1U, "the word after the launch");
}
CASE(graph, instantiate_with_parameters) {
  const Context context;
  const Module module;
  const Stream stream;
  const DeviceMemory memory(4);
  memory.write_word(0);
  const Graph graph(capture(stream, [&] { launch(module.function("increment"), {}, {}, stream, memory.at()); }));
  CUDA_GRAPH_INSTANTIATE_PARAMS parameters = {};
  parameters.result_out = 99;
  CUgraphExec exec = nullptr;
  expect_ok(CU(cuGraphInstantiateWithParams, &exec, graph.get(), &parameters));
  expect_equal(parameters.result_out, 0U, "the result of the instantiation");
  expect_ok(CU(cuGraphLaunch, exec, stream));
  stream.synchronize();
  expect_ok(CU(cuGraphExecDestroy, exec));
  expect_equal(memory.word(), 1U, "the word");
}
CASE(graph, launch_into_the_legacy_stream) {
  const Context context;
  const Module module;
  const Stream stream;
  const DeviceMemory memory(4);
  memory.write_word(0);
  const Graph graph(capture(stream, [&] { launch(module.function("increment"), {}, {}, stream, memory.at()); }));
  const GraphExec exec(graph);
  expect_ok(CU(cuGraphLaunch, exec.get(), nullptr));
  expect_equal(memory.word(), 1U, "the word");
}
CASE(graph, launches_wait_for_the_stream) {
  const Context context;
  const Module module;
  const Stream stream;
  const PinnedMemory word(4);
  const Graph graph(
      capture(stream, [&] { launch(module.function("store"), {}, {}, stream, word.device(), uint32_t{1}); }));
  const GraphExec exec(graph);
  Spinner spinner(module);
  spinner.start(stream);
  expect_ok(CU(cuGraphLaunch, exec.get(), stream));
  expect(CU(cuStreamQuery, stream), CUDA_ERROR_NOT_READY);
  expect_equal(word.word(), 0U, "the word before the release");
  spinner.release();
  stream.synchronize();
  spinner.require_not_expired();
  expect_equal(word.word(), 1U, "the word after it");
}
CASE(graph, stream_allocation_in_a_capture) {
  const Context context;
  const Stream stream;
  CUdeviceptr address = 0;
  expect_ok(CU(cuStreamBeginCapture_v2, stream, CU_STREAM_CAPTURE_MODE_RELAXED));
  expect_ok(CU(cuMemAllocAsync, &address, 4096, stream));
  expect_ok(CU(cuMemsetD8Async, address, 1, 4096, stream));
  expect_ok(CU(cuMemFreeAsync, address, stream));
  CUgraph made = nullptr;
  expect_ok(CU(cuStreamEndCapture, stream, &made));
  const Graph graph(made);
}
CASE(graph, null_handles) {
  const Context context;
  const Stream stream;
  CUgraphExec exec = nullptr;
  size_t count = 0;
  expect(CU(cuGraphLaunch, nullptr, stream), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuGraphUpload, nullptr, stream), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuGraphInstantiateWithFlags, &exec, nullptr, 0), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuGraphDestroy, nullptr), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuGraphExecDestroy, nullptr), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuGraphGetNodes, nullptr, nullptr, &count), CUDA_ERROR_INVALID_VALUE);
}
CASE(graph, instantiate_errors) {
  const Context context;
  const Stream stream;
  const Graph graph(capture(stream, [] {}));
  CUgraphExec exec = nullptr;
  expect(CU(cuGraphInstantiateWithFlags, nullptr, graph.get(), 0), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuGraphInstantiateWithFlags, &exec, graph.get(), 0x10000), CUDA_ERROR_INVALID_VALUE);
}

}  // namespace
}  // namespace conformance
