// SPDX-License-Identifier: Apache-2.0
// Stream capture: its states, and what ends it.
#include "tests/conformance/fixtures/objects.hpp"
#include "tests/conformance/harness/registry.hpp"

namespace conformance {
namespace {

constexpr unsigned kModes[] = {CU_STREAM_CAPTURE_MODE_GLOBAL, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL,
                               CU_STREAM_CAPTURE_MODE_RELAXED};

unsigned status_of(CUstream stream) {
  unsigned status = 99;
  expect_ok(CU(cuStreamIsCapturing, stream, &status));
  return status;
}
void begin(CUstream stream, unsigned mode = CU_STREAM_CAPTURE_MODE_GLOBAL) {
  expect_ok(CU(cuStreamBeginCapture_v2, stream, mode));
}
CUgraph end(CUstream stream) {
  CUgraph graph = nullptr;
  expect_ok(CU(cuStreamEndCapture, stream, &graph));
  return graph;
}
void expect_lost(CUstream stream, Where where = Where::current()) {
  expect_equal(status_of(stream), 0U + CU_STREAM_CAPTURE_STATUS_INVALIDATED, "the capture status", where);
  CUgraph graph = reinterpret_cast<CUgraph>(1);
  expect(CU(cuStreamEndCapture, stream, &graph), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, where);
  require(graph == nullptr, "a lost capture gives no graph", where);
  expect_equal(status_of(stream), 0U + CU_STREAM_CAPTURE_STATUS_NONE, "the capture status after the end", where);
}

CASE(capture, begin_and_end) {
  const Context context;
  const Stream stream;
  for (const unsigned mode : kModes) {
    expect_equal(status_of(stream), 0U + CU_STREAM_CAPTURE_STATUS_NONE, "the status before");
    begin(stream, mode);
    expect_equal(status_of(stream), 0U + CU_STREAM_CAPTURE_STATUS_ACTIVE, "the status within");
    const Graph graph(end(stream));
    require(graph.get() != nullptr, "an empty capture gives a graph");
    expect_equal(status_of(stream), 0U + CU_STREAM_CAPTURE_STATUS_NONE, "the status after");
    size_t nodes = 99;
    expect_ok(CU(cuGraphGetNodes, graph.get(), nullptr, &nodes));
    expect_equal(nodes, size_t{0}, "the number of nodes");
  }
}
CASE(capture, work_does_not_run) {
  const Context context;
  const Module module;
  const Stream stream;
  const DeviceMemory memory(4);
  memory.write_word(3);
  begin(stream);
  launch(module.function("increment"), {}, {}, stream, memory.at());
  const Graph graph(end(stream));
  stream.synchronize();
  expect_equal(memory.word(), 3U, "the word after the capture");
  size_t nodes = 0;
  expect_ok(CU(cuGraphGetNodes, graph.get(), nullptr, &nodes));
  expect_equal(nodes, size_t{1}, "the number of nodes");
}
CASE(capture, information) {
  const Context context;
  const Stream stream;
  unsigned status = 99;
  cuuint64_t id = 0, second = 0;
  expect_ok(CU(cuStreamGetCaptureInfo_v2, stream, &status, nullptr, nullptr, nullptr, nullptr));
  expect_equal(status, 0U + CU_STREAM_CAPTURE_STATUS_NONE, "the status before");
  begin(stream);
  CUgraph graph = nullptr;
  const CUgraphNode* dependencies = nullptr;
  size_t count = 99;
  expect_ok(CU(cuStreamGetCaptureInfo_v2, stream, &status, &id, &graph, &dependencies, &count));
  expect_equal(status, 0U + CU_STREAM_CAPTURE_STATUS_ACTIVE, "the status within");
  require(id != 0 && graph != nullptr, "the capture has an identifier and a graph");
  expect_equal(count, size_t{0}, "the dependencies of the next node");
  { const Graph done(end(stream)); }
  begin(stream);
  expect_ok(CU(cuStreamGetCaptureInfo_v2, stream, &status, &second, nullptr, nullptr, nullptr));
  require(second != id, "another capture has another identifier");
  const Graph done(end(stream));
}
CASE(capture, information_newest_form) {
  const Context context;
  const Module module;
  const Stream stream;
  begin(stream);
  launch(module.function("noop"), {}, {}, stream);
  unsigned status = 99;
  cuuint64_t id = 0;
  CUgraph graph = nullptr;
  const CUgraphNode* dependencies = nullptr;
  size_t count = 99;
  const Outcome outcome = CU(cuStreamGetCaptureInfo_v3, stream, &status, &id, &graph, &dependencies, nullptr, &count);
  const Graph done(end(stream));
  expect_ok(outcome);
  expect_equal(status, 0U + CU_STREAM_CAPTURE_STATUS_ACTIVE, "the status within");
  expect_equal(count, size_t{1}, "the dependencies of the next node");
}
CASE(capture, errors) {
  const Context context;
  const Stream stream;
  CUgraph graph = nullptr;
  unsigned status = 0;
  expect(CU(cuStreamBeginCapture_v2, stream, 99), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuStreamBeginCapture_v2, nullptr, CU_STREAM_CAPTURE_MODE_RELAXED), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
  expect(CU(cuStreamEndCapture, stream, &graph), CUDA_ERROR_ILLEGAL_STATE);
  expect(CU(cuStreamIsCapturing, stream, nullptr), CUDA_ERROR_INVALID_VALUE);
  expect_ok(CU(cuStreamIsCapturing, nullptr, &status));
  expect_equal(status, 0U + CU_STREAM_CAPTURE_STATUS_NONE, "the status of the legacy stream");
}
CASE(capture, begun_twice) {
  const Context context;
  const Stream stream;
  begin(stream);
  expect(CU(cuStreamBeginCapture_v2, stream, CU_STREAM_CAPTURE_MODE_GLOBAL), CUDA_ERROR_ILLEGAL_STATE);
  expect_equal(status_of(stream), 0U + CU_STREAM_CAPTURE_STATUS_ACTIVE, "the capture status");
  CUgraph graph = nullptr;
  expect_ok(CU(cuStreamEndCapture, stream, &graph));
  const Graph done(graph);
}
CASE(capture, ended_by_another_thread) {
  const Context context;
  const Stream stream;
  begin(stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL);
  on_other_thread([&] {
    expect_ok(CU(cuCtxSetCurrent, context.get()));
    CUgraph graph = nullptr;
    expect(CU(cuStreamEndCapture, stream, &graph), CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD);
    require(graph == nullptr, "the other thread gets no graph");
  });
  // The refused call ends the capture all the same.
  CUgraph graph = nullptr;
  expect(CU(cuStreamEndCapture, stream, &graph), CUDA_ERROR_ILLEGAL_STATE);
  require(graph == nullptr, "there is no graph any more");
}
CASE(capture, relaxed_may_be_ended_by_another_thread) {
  const Context context;
  const Stream stream;
  begin(stream, CU_STREAM_CAPTURE_MODE_RELAXED);
  on_other_thread([&] {
    expect_ok(CU(cuCtxSetCurrent, context.get()));
    const Graph graph(end(stream));
  });
  expect_equal(status_of(stream), 0U + CU_STREAM_CAPTURE_STATUS_NONE, "the status");
}
CASE(capture, of_the_per_thread_stream) {
  const Context context;
  const Module module;
  begin(CU_STREAM_PER_THREAD);
  launch(module.function("noop"), {}, {}, CU_STREAM_PER_THREAD);
  const Graph graph(end(CU_STREAM_PER_THREAD));
  size_t nodes = 0;
  expect_ok(CU(cuGraphGetNodes, graph.get(), nullptr, &nodes));
  expect_equal(nodes, size_t{1}, "the number of nodes");
}

CASE(capture_conflict, allocation_in_global_mode) {
  const Context context;
  const Stream stream;
  begin(stream);
  CUdeviceptr address = 0;
  expect(CU(cuMemAlloc_v2, &address, 64), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
  expect_lost(stream);
}
CASE(capture_conflict, allocation_in_relaxed_mode) {
  const Context context;
  const Stream stream;
  begin(stream, CU_STREAM_CAPTURE_MODE_RELAXED);
  { const DeviceMemory memory(64); }
  const Graph graph(end(stream));
}
CASE(capture_conflict, allocation_by_another_thread) {
  const Context context;
  const Stream stream;
  begin(stream, CU_STREAM_CAPTURE_MODE_GLOBAL);
  on_other_thread([&] {
    expect_ok(CU(cuCtxSetCurrent, context.get()));
    CUdeviceptr address = 0;
    expect(CU(cuMemAlloc_v2, &address, 64), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
  });
  expect_lost(stream);
}
CASE(capture_conflict, allocation_by_another_thread_beside_a_thread_local_one) {
  const Context context;
  const Stream stream;
  begin(stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL);
  on_other_thread([&] {
    expect_ok(CU(cuCtxSetCurrent, context.get()));
    const DeviceMemory memory(64);
  });
  const Graph graph(end(stream));
}
CASE(capture_conflict, allocation_by_a_relaxed_thread) {
  const Context context;
  const Stream stream;
  begin(stream, CU_STREAM_CAPTURE_MODE_GLOBAL);
  on_other_thread([&] {
    unsigned mode = CU_STREAM_CAPTURE_MODE_RELAXED;
    expect_ok(CU(cuThreadExchangeStreamCaptureMode, &mode));
    expect_ok(CU(cuCtxSetCurrent, context.get()));
    const DeviceMemory memory(64);
  });
  const Graph graph(end(stream));
}
CASE(capture_conflict, allocation_after_exchanging_the_mode) {
  const Context context;
  const Stream stream;
  begin(stream, CU_STREAM_CAPTURE_MODE_GLOBAL);
  unsigned mode = CU_STREAM_CAPTURE_MODE_RELAXED;
  expect_ok(CU(cuThreadExchangeStreamCaptureMode, &mode));
  { const DeviceMemory memory(64); }
  expect_ok(CU(cuThreadExchangeStreamCaptureMode, &mode));
  const Graph graph(end(stream));
}
CASE(capture_conflict, synchronising_the_captured_stream) {
  const Context context;
  const Stream stream;
  begin(stream, CU_STREAM_CAPTURE_MODE_RELAXED);
  expect(CU(cuStreamSynchronize, stream), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
  expect_lost(stream);
}
CASE(capture_conflict, querying_the_captured_stream) {
  const Context context;
  const Stream stream;
  begin(stream, CU_STREAM_CAPTURE_MODE_RELAXED);
  expect(CU(cuStreamQuery, stream), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
  expect_lost(stream);
}
CASE(capture_conflict, synchronising_the_context) {
  const Context context;
  const Stream stream;
  begin(stream, CU_STREAM_CAPTURE_MODE_RELAXED);
  expect(CU(cuCtxSynchronize), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
  expect_lost(stream);
}
CASE(capture_conflict, legacy_stream_beside_a_blocking_one) {
  const Context context;
  const Module module;
  const Stream stream(CU_STREAM_DEFAULT);
  const CUfunction noop = module.function("noop");
  begin(stream, CU_STREAM_CAPTURE_MODE_RELAXED);
  expect(launch_outcome(noop, {}, {}, 0, nullptr), CUDA_ERROR_STREAM_CAPTURE_IMPLICIT);
  expect_lost(stream);
}
CASE(capture_conflict, legacy_stream_beside_a_non_blocking_one) {
  const Context context;
  const Module module;
  const Stream stream(CU_STREAM_NON_BLOCKING);
  const CUfunction noop = module.function("noop");
  begin(stream, CU_STREAM_CAPTURE_MODE_RELAXED);
  launch(noop, {}, {}, nullptr);
  const Graph graph(end(stream));
  expect_ok(CU(cuStreamSynchronize, nullptr));
}
CASE(capture_conflict, synchronous_copy_beside_a_non_blocking_one) {
  const Context context;
  const Stream stream;
  const DeviceMemory memory(4);
  begin(stream, CU_STREAM_CAPTURE_MODE_RELAXED);
  memory.write_word(3);
  const Graph graph(end(stream));
  expect_equal(memory.word(), 3U, "the word");
}
CASE(capture_conflict, captured_event_queried) {
  const Context context;
  const Stream stream;
  const Event event;
  begin(stream, CU_STREAM_CAPTURE_MODE_RELAXED);
  expect_ok(CU(cuEventRecord, event, stream));
  expect(CU(cuEventQuery, event), CUDA_ERROR_CAPTURED_EVENT);
  CUgraph graph = nullptr;
  expect(CU(cuStreamEndCapture, stream, &graph), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
  const Graph done(graph);
}
CASE(capture_conflict, captured_event_waited_for) {
  const Context context;
  const Stream stream;
  const Event event;
  begin(stream, CU_STREAM_CAPTURE_MODE_RELAXED);
  expect_ok(CU(cuEventRecord, event, stream));
  expect(CU(cuEventSynchronize, event), CUDA_ERROR_CAPTURED_EVENT);
  CUgraph graph = nullptr;
  expect(CU(cuStreamEndCapture, stream, &graph), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
  const Graph done(graph);
}
CASE(capture_conflict, wait_for_an_event_from_outside) {
  const Context context;
  const Stream stream, outside;
  const Event event;
  expect_ok(CU(cuEventRecord, event, outside));
  begin(stream, CU_STREAM_CAPTURE_MODE_RELAXED);
  expect(CU(cuStreamWaitEvent, stream, event, 0), CUDA_ERROR_STREAM_CAPTURE_ISOLATION);
  CUgraph graph = nullptr;
  expect(CU(cuStreamEndCapture, stream, &graph), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
  const Graph done(graph);
}
CASE(capture_conflict, two_captures_do_not_merge) {
  const Context context;
  const Stream first, second;
  const Event event;
  begin(first, CU_STREAM_CAPTURE_MODE_RELAXED);
  begin(second, CU_STREAM_CAPTURE_MODE_RELAXED);
  expect_ok(CU(cuEventRecord, event, first));
  expect(CU(cuStreamWaitEvent, second, event, 0), CUDA_ERROR_STREAM_CAPTURE_MERGE);
  CUgraph graph = nullptr;
  driver().cuStreamEndCapture(first, &graph);
  const Graph a(graph);
  graph = nullptr;
  driver().cuStreamEndCapture(second, &graph);
  const Graph b(graph);
}

CASE(capture_join, another_stream_joins_by_event) {
  const Context context;
  const Module module;
  const Stream origin, other;
  const Event fork, join;
  begin(origin);
  expect_ok(CU(cuEventRecord, fork, origin));
  expect_ok(CU(cuStreamWaitEvent, other, fork, 0));
  expect_equal(status_of(other), 0U + CU_STREAM_CAPTURE_STATUS_ACTIVE, "the status of the stream that joined");
  launch(module.function("noop"), {}, {}, other);
  expect_ok(CU(cuEventRecord, join, other));
  expect_ok(CU(cuStreamWaitEvent, origin, join, 0));
  const Graph graph(end(origin));
  expect_equal(status_of(other), 0U + CU_STREAM_CAPTURE_STATUS_NONE, "its status after the end");
  size_t nodes = 0;
  expect_ok(CU(cuGraphGetNodes, graph.get(), nullptr, &nodes));
  expect_equal(nodes, size_t{1}, "the number of nodes");
}
CASE(capture_join, unjoined) {
  const Context context;
  const Module module;
  const Stream origin, other;
  const Event fork;
  begin(origin);
  expect_ok(CU(cuEventRecord, fork, origin));
  expect_ok(CU(cuStreamWaitEvent, other, fork, 0));
  launch(module.function("noop"), {}, {}, other);
  CUgraph graph = nullptr;
  expect(CU(cuStreamEndCapture, origin, &graph), CUDA_ERROR_STREAM_CAPTURE_UNJOINED);
  expect_equal(status_of(other), 0U + CU_STREAM_CAPTURE_STATUS_NONE, "the status of the other stream");
}
CASE(capture_join, ended_on_the_wrong_stream) {
  const Context context;
  const Stream origin, other;
  const Event fork, join;
  begin(origin);
  expect_ok(CU(cuEventRecord, fork, origin));
  expect_ok(CU(cuStreamWaitEvent, other, fork, 0));
  CUgraph graph = nullptr;
  expect(CU(cuStreamEndCapture, other, &graph), CUDA_ERROR_STREAM_CAPTURE_UNMATCHED);
  driver().cuStreamEndCapture(origin, &graph);
  const Graph done(graph);
}

CASE(capture_mode, exchange) {
  unsigned mode = CU_STREAM_CAPTURE_MODE_RELAXED;
  expect_ok(CU(cuThreadExchangeStreamCaptureMode, &mode));
  expect_equal(mode, 0U + CU_STREAM_CAPTURE_MODE_GLOBAL, "the mode of a new thread");
  mode = CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;
  expect_ok(CU(cuThreadExchangeStreamCaptureMode, &mode));
  expect_equal(mode, 0U + CU_STREAM_CAPTURE_MODE_RELAXED, "the mode set before");
  on_other_thread([] {
    unsigned its = CU_STREAM_CAPTURE_MODE_RELAXED;
    expect_ok(CU(cuThreadExchangeStreamCaptureMode, &its));
    expect_equal(its, 0U + CU_STREAM_CAPTURE_MODE_GLOBAL, "the mode of another thread");
  });
  mode = CU_STREAM_CAPTURE_MODE_GLOBAL;
  expect_ok(CU(cuThreadExchangeStreamCaptureMode, &mode));
}
// The driver checks neither the place for the mode (with null it crashes) nor its number.

}  // namespace
}  // namespace conformance
