// SPDX-License-Identifier: Apache-2.0
// User objects, and the references that graphs hold to them. No call of CUDA waits for a destructor, so the cases poll.
#include <chrono>

#include "tests/conformance/fixtures/graph_build.hpp"
#include "tests/conformance/fixtures/objects.hpp"
#include "tests/conformance/harness/registry.hpp"

namespace conformance {
namespace {

/// What a destructor leaves behind. Static: one that comes late, after a failed case, must find it.
struct Trace {
  std::atomic<int> destroyed{0};
  CUresult called = CUDA_SUCCESS;  ///< what CUDA says to a call in the destructor
};

void destroy(void* user) {
  auto* trace = static_cast<Trace*>(user);
  ++trace->destroyed;
}

CUuserObject make(Trace& trace, unsigned references = 1) {
  if (driver().cuUserObjectCreate == nullptr) skip("the library has no user objects");
  CUuserObject object = nullptr;
  expect_ok(CU(cuUserObjectCreate, &object, &trace, destroy, references, CU_USER_OBJECT_NO_DESTRUCTOR_SYNC));
  require(object != nullptr, "the object has a handle");
  return object;
}

void expect_destroyed(const Trace& trace, Where where = Where::current()) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (trace.destroyed == 0 && std::chrono::steady_clock::now() < end)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  expect_equal(trace.destroyed.load(), 1, "the number of destructions", where);
}

/// As far as that can be seen: a destructor that was due had time to run.
void expect_alive(const Trace& trace, Where where = Where::current()) {
  static Trace other;
  other.destroyed = 0;
  const CUuserObject last = make(other);
  expect_ok(CU(cuUserObjectRelease, last, 1), where);
  expect_destroyed(other, where);
  expect_equal(trace.destroyed.load(), 0, "the number of destructions", where);
}

CUgraph graph_with(CUuserObject object, unsigned flags = CU_GRAPH_USER_OBJECT_MOVE) {
  CUgraph graph = nullptr;
  expect_ok(CU(cuGraphCreate, &graph, 0));
  expect_ok(CU(cuGraphRetainUserObject, graph, object, 1, flags));
  return graph;
}

CASE(user_object, destroyed_with_the_last_reference) {
  const Context context;
  static Trace trace;
  const CUuserObject object = make(trace, 2);
  expect_ok(CU(cuUserObjectRetain, object, 3));
  expect_ok(CU(cuUserObjectRelease, object, 4));
  expect_alive(trace);
  expect_ok(CU(cuUserObjectRelease, object, 1));
  expect_destroyed(trace);
}
CASE(user_object, errors) {
  const Context context;
  static Trace trace;
  const CUuserObject object = make(trace);
  CUuserObject other = nullptr;
  expect(CU(cuUserObjectCreate, &other, &trace, destroy, 1, 0), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuUserObjectCreate, &other, &trace, destroy, 0, CU_USER_OBJECT_NO_DESTRUCTOR_SYNC),
         CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuUserObjectCreate, nullptr, &trace, destroy, 1, CU_USER_OBJECT_NO_DESTRUCTOR_SYNC),
         CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuUserObjectRetain, object, 0), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuUserObjectRelease, object, 0), CUDA_ERROR_INVALID_VALUE);
  expect_ok(CU(cuUserObjectRelease, object, 1));
  expect_destroyed(trace);
}

CASE(user_object_graph, destroyed_with_the_graph) {
  const Context context;
  static Trace trace;
  const CUgraph graph = graph_with(make(trace));
  expect_alive(trace);
  expect_ok(CU(cuGraphDestroy, graph));
  expect_destroyed(trace);
}
CASE(user_object_graph, reference_of_its_own) {
  const Context context;
  static Trace trace;
  const CUuserObject object = make(trace);
  const CUgraph graph = graph_with(object, 0);
  expect_ok(CU(cuUserObjectRelease, object, 1));
  expect_alive(trace);
  expect_ok(CU(cuGraphReleaseUserObject, graph, object, 1));
  expect_destroyed(trace);
  expect_ok(CU(cuGraphDestroy, graph));
}
CASE(user_object_graph, kept_by_a_clone) {
  const Context context;
  static Trace trace;
  const CUgraph graph = graph_with(make(trace));
  CUgraph clone = nullptr;
  expect_ok(CU(cuGraphClone, &clone, graph));
  expect_ok(CU(cuGraphDestroy, graph));
  expect_alive(trace);
  expect_ok(CU(cuGraphDestroy, clone));
  expect_destroyed(trace);
}
CASE(user_object_graph, kept_by_the_executable_graph) {
  const Context context;
  const Stream stream;
  static Trace trace;
  const CUgraph graph = graph_with(make(trace));
  CUgraphExec exec = nullptr;
  expect_ok(CU(cuGraphInstantiateWithFlags, &exec, graph, 0));
  expect_ok(CU(cuGraphDestroy, graph));
  expect_alive(trace);
  expect_ok(CU(cuGraphLaunch, exec, stream));
  stream.synchronize();
  expect_ok(CU(cuGraphExecDestroy, exec));
  expect_destroyed(trace);
}
CASE(user_object_graph, kept_until_the_launch_has_run) {
  const Context context;
  const Module module;
  const Stream stream;
  static Trace trace;
  Spinner spinner(module);
  const CUgraph graph = graph_with(make(trace));
  CUgraphExec exec = nullptr;
  expect_ok(CU(cuGraphInstantiateWithFlags, &exec, graph, 0));
  spinner.start(stream);
  expect_ok(CU(cuGraphLaunch, exec, stream));
  expect_ok(CU(cuGraphExecDestroy, exec));
  expect_ok(CU(cuGraphDestroy, graph));
  expect_alive(trace);
  spinner.release();
  stream.synchronize();
  spinner.require_not_expired();
  expect_destroyed(trace);
}
CASE(user_object_graph, update_changes_what_is_kept) {
  const Context context;
  static Trace old, fresh;
  const CUgraph first = graph_with(make(old)), second = graph_with(make(fresh));
  CUgraphExec exec = nullptr;
  expect_ok(CU(cuGraphInstantiateWithFlags, &exec, first, 0));
  expect_ok(CU(cuGraphDestroy, first));
  expect_alive(old);
  CUgraphExecUpdateResultInfo info = {};
  expect_ok(CU(cuGraphExecUpdate_v2, exec, second, &info));
  expect_destroyed(old);
  expect_ok(CU(cuGraphDestroy, second));
  expect_alive(fresh);
  expect_ok(CU(cuGraphExecDestroy, exec));
  expect_destroyed(fresh);
}
CASE(user_object_graph, kept_by_a_child) {
  const Context context;
  static Trace trace;
  const CUgraph inner = graph_with(make(trace));
  CUgraph outer = nullptr;
  CUgraphNode node = nullptr;
  expect_ok(CU(cuGraphCreate, &outer, 0));
  expect_ok(CU(cuGraphAddChildGraphNode, &node, outer, nullptr, 0, inner));
  expect_ok(CU(cuGraphDestroy, inner));
  expect_alive(trace);
  expect_ok(CU(cuGraphDestroy, outer));
  expect_destroyed(trace);
}
CASE(user_object_graph, of_a_capture) {
  const Context context;
  const Module module;
  const Stream stream;
  static Trace trace;
  const CUuserObject object = make(trace);
  expect_ok(CU(cuStreamBeginCapture_v2, stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
  launch(module.function("noop"), {}, {}, stream);
  CUstreamCaptureStatus status = CU_STREAM_CAPTURE_STATUS_NONE;
  cuuint64_t id = 0;
  CUgraph graph = nullptr;
  expect_ok(CU(cuStreamGetCaptureInfo_v2, stream, &status, &id, &graph, nullptr, nullptr));
  expect_ok(CU(cuGraphRetainUserObject, graph, object, 1, CU_GRAPH_USER_OBJECT_MOVE));
  CUgraph captured = nullptr;
  expect_ok(CU(cuStreamEndCapture, stream, &captured));
  expect_alive(trace);
  expect_ok(CU(cuGraphDestroy, captured));
  expect_destroyed(trace);
}
CASE(user_object_graph, of_a_capture_that_fails) {
  const Context context;
  static Trace trace;
  CUuserObject object = make(trace);
  {
    const Stream stream;
    expect_ok(CU(cuStreamBeginCapture_v2, stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
    CUstreamCaptureStatus status = CU_STREAM_CAPTURE_STATUS_NONE;
    cuuint64_t id = 0;
    CUgraph graph = nullptr;
    expect_ok(CU(cuStreamGetCaptureInfo_v2, stream, &status, &id, &graph, nullptr, nullptr));
    expect_ok(CU(cuGraphRetainUserObject, graph, object, 1, CU_GRAPH_USER_OBJECT_MOVE));
    expect(CU(cuStreamSynchronize, stream), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    CUgraph captured = nullptr;
    expect(CU(cuStreamEndCapture, stream, &captured), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
  }
  expect_destroyed(trace);
}
CASE(user_object_graph, errors) {
  const Context context;
  static Trace trace;
  const CUuserObject object = make(trace);
  CUgraph graph = nullptr;
  expect_ok(CU(cuGraphCreate, &graph, 0));
  expect(CU(cuGraphRetainUserObject, graph, object, 0, 0), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuGraphRetainUserObject, graph, object, 1, 8), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuGraphRetainUserObject, nullptr, object, 1, 0), CUDA_ERROR_INVALID_VALUE);
  expect_ok(CU(cuGraphDestroy, graph));
  expect_ok(CU(cuUserObjectRelease, object, 1));
  expect_destroyed(trace);
}
/// The driver says nothing to that. What it leaves of the references is not known, so the object is left alone.
CASE(user_object_graph, release_of_what_is_not_held) {
  const Context context;
  static Trace trace;
  const CUuserObject object = make(trace, 8);
  CUgraph graph = nullptr;
  expect_ok(CU(cuGraphCreate, &graph, 0));
  expect_ok(CU(cuGraphReleaseUserObject, graph, object, 1));
  expect_ok(CU(cuGraphDestroy, graph));
  expect_equal(trace.destroyed.load(), 0, "the number of destructions");
}

}  // namespace
}  // namespace conformance
