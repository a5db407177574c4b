// SPDX-License-Identifier: Apache-2.0
// Events that graphs record and wait for.
#include "tests/conformance/fixtures/graph_build.hpp"
#include "tests/conformance/harness/registry.hpp"

namespace conformance {
namespace {

CASE(graph_event, event_recorded_is_waited_for) {
  const Context context;
  const Module module;
  const Stream stream, other;
  const Event event(CU_EVENT_DISABLE_TIMING);
  const DeviceMemory memory(8);
  memory.write_word(0, 0), memory.write_word(0, 1);
  const Graph graph(new_graph());
  const CUgraphNode kernel = add_kernel(graph.get(), {}, module.function("store"), memory.at(), uint32_t{3});
  CUgraphNode record = nullptr;
  expect_ok(CU(cuGraphAddEventRecordNode, &record, graph.get(), &kernel, 1, event));
  expect_equal(type_of(record), 0U + CU_GRAPH_NODE_TYPE_EVENT_RECORD, "the type");
  const GraphExec exec(graph);
  launch(module.function("copy_word"), {}, {}, other, memory.at(4), memory.at(0));  // loads the function
  other.synchronize();
  Spinner spinner(module);
  spinner.start(stream);
  expect_ok(CU(cuGraphLaunch, exec.get(), stream));
  expect_ok(CU(cuStreamWaitEvent, other, event, 0));
  launch(module.function("copy_word"), {}, {}, other, memory.at(4), memory.at(0));
  expect(CU(cuEventQuery, event), CUDA_ERROR_NOT_READY);
  spinner.release();
  other.synchronize();
  spinner.require_not_expired();
  expect_ok(CU(cuEventQuery, event));
  expect_equal(memory.word(1), 3U, "the word that the other stream copied");
  stream.synchronize();
}
CASE(graph_event, event_waited_for) {
  const Context context;
  const Module module;
  const Stream stream, other;
  const Event event(CU_EVENT_DISABLE_TIMING);
  const PinnedMemory word(4);
  const Graph graph(new_graph());
  CUgraphNode wait = nullptr;
  expect_ok(CU(cuGraphAddEventWaitNode, &wait, graph.get(), nullptr, 0, event));
  expect_equal(type_of(wait), 0U + CU_GRAPH_NODE_TYPE_WAIT_EVENT, "the type");
  add_kernel(graph.get(), {wait}, module.function("store"), word.device(), uint32_t{4});
  const GraphExec exec(graph);
  Spinner spinner(module);
  spinner.start(other);
  expect_ok(CU(cuEventRecord, event, other));
  expect_ok(CU(cuGraphLaunch, exec.get(), stream));
  expect(CU(cuStreamQuery, stream), CUDA_ERROR_NOT_READY);
  expect_equal(word.word(), 0U, "the word before the event");
  spinner.release();
  stream.synchronize();
  spinner.require_not_expired();
  expect_equal(word.word(), 4U, "the word after it");
  other.synchronize();
}
CASE(graph_event, event_never_recorded_is_not_waited_for) {
  const Context context;
  const Module module;
  const Stream stream;
  const Event event(CU_EVENT_DISABLE_TIMING);
  const DeviceMemory memory(4);
  const Graph graph(new_graph());
  CUgraphNode wait = nullptr;
  expect_ok(CU(cuGraphAddEventWaitNode, &wait, graph.get(), nullptr, 0, event));
  add_kernel(graph.get(), {wait}, module.function("store"), memory.at(), uint32_t{5});
  const GraphExec exec(graph);
  run(exec, stream);
  expect_equal(memory.word(), 5U, "the word");
}
CASE(graph_event, events_of_nodes) {
  const Context context;
  const Event a(CU_EVENT_DISABLE_TIMING), b(CU_EVENT_DISABLE_TIMING);
  const Graph graph(new_graph());
  CUgraphNode record = nullptr, wait = nullptr;
  expect_ok(CU(cuGraphAddEventRecordNode, &record, graph.get(), nullptr, 0, a));
  expect_ok(CU(cuGraphAddEventWaitNode, &wait, graph.get(), &record, 1, a));
  CUevent found = nullptr;
  expect_ok(CU(cuGraphEventRecordNodeGetEvent, record, &found));
  require(found == a, "the event that is recorded");
  expect_ok(CU(cuGraphEventWaitNodeSetEvent, wait, b));
  expect_ok(CU(cuGraphEventWaitNodeGetEvent, wait, &found));
  require(found == b, "the event that is waited for");
}

}  // namespace
}  // namespace conformance
