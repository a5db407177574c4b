// Streams, captures, and host functions in streams.
#include "worker/handlers/graph_counts.hpp"
#include "worker/handlers/graph_memory.hpp"
#include "worker/handlers/handlers.gen.hpp"
#include "worker/handlers/new_handle.hpp"
#include "worker/session.hpp"

namespace vgpu::worker::handlers {
namespace {

unsigned capture_status(Session& session, CUstream stream) {
  unsigned status = CU_STREAM_CAPTURE_STATUS_NONE;
  session.driver().cuStreamIsCapturing(stream, &status);
  return status;
}

/// What a stream has of the launch attributes; none of them holds a handle of the driver's.
bool is_settable_of_stream(unsigned attribute) {
  constexpr unsigned kNvlinkScheduling = 16;  // a hint, of CUDA 13
  switch (attribute) {
    case CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW:
    case CU_LAUNCH_ATTRIBUTE_SYNCHRONIZATION_POLICY:
    case CU_LAUNCH_ATTRIBUTE_PRIORITY:
    case CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN_MAP:
    case CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN:
    case kNvlinkScheduling:
      return true;
    default:
      return false;
  }
}

/// The graph of a capture that has ended, with the count of its nodes; a client that has too many gets none.
CUresult keep_graph(Session& session, uint64_t handle, CUgraph real, const ContextState& context) {
  Objects& objects = session.objects();
  size_t own = 0;
  if (session.driver().cuGraphGetNodes != nullptr) session.driver().cuGraphGetNodes(real, nullptr, &own);
  const Graph graph{real, own + context.captured_inside, context.captured_depth};
  if (graph.count > kMostNodes - objects.node_count) {
    session.driver().cuGraphDestroy(real);
    return CUDA_ERROR_OUT_OF_MEMORY;
  }
  objects.node_count += graph.count;
  objects.graphs.bind(handle, graph);
  return CUDA_SUCCESS;
}

/// A capture has added nodes to a graph that was there before.
CUresult grow_graph(Session& session, Graph& graph, const ContextState& context) {
  size_t own = 0;
  if (session.driver().cuGraphGetNodes != nullptr) session.driver().cuGraphGetNodes(graph.real, nullptr, &own);
  const uint64_t count = std::max<uint64_t>(graph.count, own + context.captured_inside);
  session.objects().node_count += count - graph.count;
  graph.count = count;
  graph.depth = std::max(graph.depth, context.captured_depth);
  return CUDA_SUCCESS;
}

/// What the driver says of a stream that may be capturing.
struct CaptureFacts {
  unsigned status = CU_STREAM_CAPTURE_STATUS_NONE;
  cuuint64_t id = 0;
  CUgraph graph = nullptr;
  const CUgraphNode* nodes = nullptr;      ///< what the next node would depend on; the driver's, until the next call
  const CUgraphEdgeData* edges = nullptr;  ///< null where the driver does not say
  size_t count = 0;
};

CUresult ask_capture(Session& session, CUstream stream, CaptureFacts& facts) {
  const DriverTable& driver = session.driver();
  if (driver.cuStreamGetCaptureInfo_v3 != nullptr)
    return driver.cuStreamGetCaptureInfo_v3(stream, &facts.status, &facts.id, &facts.graph, &facts.nodes, &facts.edges,
                                            &facts.count);
  if (driver.cuStreamGetCaptureInfo_v2 != nullptr)
    return driver.cuStreamGetCaptureInfo_v2(stream, &facts.status, &facts.id, &facts.graph, &facts.nodes, &facts.count);
  return CUDA_ERROR_NOT_SUPPORTED;
}

}  // namespace

void stream_create(Session& session, const api::ops::StreamCreate& op, Call& call) {
  if (const CUresult refused =
          check_new(session, session.objects().streams, op.id.value, "a stream handle that cannot be made");
      refused != CUDA_SUCCESS)
    return call.finish(refused);
  CUstream real = nullptr;
  const CUresult result = session.driver().cuStreamCreateWithPriority(&real, op.flags, op.priority);
  if (result == CUDA_SUCCESS)
    session.objects().streams.bind(op.id.value, {real, session.context_handle(), op.flags, 0, nullptr});
  call.finish(result);
}

void stream_destroy(Session& session, const api::ops::StreamDestroy& op, Call& call) {
  const Stream* stream = session.objects().streams.find(op.id.value);
  if (stream == nullptr) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  if (stream->credit_event != nullptr) {
    if (ContextState* context = session.contexts().find(stream->context))
      session.contexts().give_event(*context, stream->credit_event);
  }
  ContextState& context = session.context_of(op.id.value);
  const bool capturing = context.open_captures != 0 && capture_status(session, stream->real) != 0;
  const CUresult result = session.driver().cuStreamDestroy_v2(stream->real);
  if (result == CUDA_SUCCESS && capturing) context.end_capture();
  session.objects().streams.drop(op.id.value);
  forget_lost_captures(session);  // whatever the driver says of the stream: the guest has given the graph's handle up
  call.finish(result);
}

void stream_query(Session& session, const api::ops::StreamQuery& op, Call& call) {
  CUstream stream = nullptr;
  if (!session.objects().find(op.on.value, stream)) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  const CUresult result = session.driver().cuStreamQuery(stream);
  if (result == CUDA_SUCCESS) session.console().collect();
  call.finish(result);
}

void stream_credit(Session& session, const api::ops::StreamCredit& op, Call& call) {
  session.dispatcher().finish_after_credit(call, op.on.value);
}

void stream_synchronize(Session& session, const api::ops::StreamSynchronize& op, Call& call) {
  session.dispatcher().finish_after_stream(call, op.on.value);
}

void stream_wait_event(Session& session, const api::ops::StreamWaitEvent& op, Call& call) {
  CUstream stream = nullptr;
  const Event* event = session.objects().events.find(op.what.value);
  if (event == nullptr || !session.objects().find(op.on.value, stream)) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  const CUresult result = session.driver().cuStreamWaitEvent(stream, event->real, op.flags);
  if (result == CUDA_SUCCESS) session.dispatcher().count(op.on.value);
  call.finish(result);
}

void stream_get_attribute(Session& session, const api::ops::StreamGetAttribute& op, Call& call) {
  CUstream stream = nullptr;
  const auto get = session.driver().cuStreamGetAttribute;
  if (get == nullptr) return call.finish(CUDA_ERROR_NOT_SUPPORTED);
  if (!session.objects().find(op.on.value, stream)) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  CUstreamAttrValue value{};
  const CUresult result = get(stream, op.attribute, &value);
  api::ops::StreamGetAttributeReply{{value.bytes, sizeof value.bytes}}.encode(call.reply());
  call.finish(result);
}

void stream_set_attribute(Session& session, const api::ops::StreamSetAttribute& op, Call& call) {
  CUstream stream = nullptr;
  const auto set = session.driver().cuStreamSetAttribute;
  if (set == nullptr) return call.finish(CUDA_ERROR_NOT_SUPPORTED);
  if (!session.objects().find(op.on.value, stream)) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  if (!is_settable_of_stream(op.attribute)) return call.finish(CUDA_ERROR_INVALID_VALUE);
  CUstreamAttrValue value{};
  if (op.value.size() != sizeof value.bytes) return call.finish(session.violation("an attribute of the wrong size"));
  std::memcpy(value.bytes, op.value.data(), sizeof value.bytes);
  call.finish(set(stream, op.attribute, &value));
}

void stream_begin_capture(Session& session, const api::ops::StreamBeginCapture& op, Call& call) {
  CUstream stream = nullptr;
  if (!session.objects().find(op.on.value, stream)) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  // The guest keeps the rules of its own modes; here every thread is relaxed, and so is the capture (decision 11).
  const CUresult result = session.driver().cuStreamBeginCapture_v2(stream, op.mode);
  if (result == CUDA_SUCCESS) ++session.context_of(op.on.value).open_captures;
  call.finish(result);
}

void stream_end_capture(Session& session, const api::ops::StreamEndCapture& op, Call& call) {
  CUstream stream = nullptr;
  if (!session.objects().find(op.on.value, stream)) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  Graph* known = session.objects().graphs.find(op.result.value);  // of a capture into a graph that has a handle already
  if (known == nullptr) {
    if (const CUresult refused =
            check_new(session, session.objects().graphs, op.result.value, "a graph handle that cannot be made");
        refused != CUDA_SUCCESS)
      return call.finish(refused);
  }
  const unsigned before = capture_status(session, stream);
  CUgraph graph = nullptr;
  CUresult result = session.driver().cuStreamEndCapture(stream, &graph);
  const unsigned after = capture_status(session, stream);
  if (known != nullptr && known->capturing != 0 && result == CUDA_SUCCESS && known->real == graph) known->capturing = 0;
  if (after == CU_STREAM_CAPTURE_STATUS_NONE) forget_lost_captures(session, op.result.value);
  known = session.objects().graphs.find(op.result.value);
  if (result == CUDA_SUCCESS && graph != nullptr) {
    if (known == nullptr)
      result = keep_graph(session, op.result.value, graph, session.context_of(op.on.value));
    else
      result = known->real == graph ? grow_graph(session, *known, session.context_of(op.on.value))
                                    : session.violation("a capture that ends in another graph");
  }
  if (before != CU_STREAM_CAPTURE_STATUS_NONE && after == CU_STREAM_CAPTURE_STATUS_NONE)
    session.context_of(op.on.value).end_capture();
  forget_graph_memory(session);  // of a capture that came to nothing
  call.finish(result);
}

void stream_capture_info(Session& session, const api::ops::StreamCaptureInfo& op, Call& call) {
  CUstream stream = nullptr;
  if (!session.objects().find(op.on.value, stream)) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  unsigned status = CU_STREAM_CAPTURE_STATUS_NONE;
  cuuint64_t id = 0;
  const DriverTable& driver = session.driver();
  const CUresult result = driver.cuStreamGetCaptureInfo != nullptr ? driver.cuStreamGetCaptureInfo(stream, &status, &id)
                                                                   : driver.cuStreamIsCapturing(stream, &status);
  api::ops::StreamCaptureInfoReply{status, id}.encode(call.reply());
  call.finish(result);
}

CUresult graph_of_capture(Session& session, CUstream stream, CUgraph& graph) {
  CaptureFacts facts;
  const CUresult result = ask_capture(session, stream, facts);
  graph = facts.graph;
  return result;
}

void forget_lost_captures(Session& session, uint64_t kept) {
  Objects& objects = session.objects();
  std::vector<uint64_t> lost;
  objects.graphs.for_each([&](uint64_t handle, const Graph& graph) {
    if (graph.capturing == 0 || handle == kept) return;
    const Stream* stream = objects.streams.find(graph.capturing);
    CUgraph now = nullptr;
    const bool asked = stream != nullptr && graph_of_capture(session, stream->real, now) == CUDA_SUCCESS;
    if (!asked || now != graph.real) lost.push_back(handle);
  });
  if (const Graph* graph = objects.graphs.find(kept); graph != nullptr && graph->capturing != 0) lost.push_back(kept);
  for (const uint64_t handle : lost) forget_graph(objects, handle);
}

void stream_capture_dependencies(Session& session, const api::ops::StreamCaptureDependencies& op, Call& call) {
  CUstream stream = nullptr;
  if (!session.objects().find(op.on.value, stream)) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  CaptureFacts facts;
  if (const CUresult result = ask_capture(session, stream, facts); result != CUDA_SUCCESS) return call.finish(result);
  const bool none = facts.status != CU_STREAM_CAPTURE_STATUS_ACTIVE || facts.nodes == nullptr;
  const size_t count = none ? 0 : facts.count;
  // Nodes can be named in other calls if the client knows their graph.
  const uint64_t holder = none ? 0 : handle_of_graph(session.objects(), facts.graph);
  constexpr size_t kMost = 50;
  uint8_t bytes[kMost * 16] = {};
  size_t written = 0;
  for (size_t i = op.first; i < count && written < kMost; ++i, ++written) {
    const uint64_t number = session.objects().nodes.number_of(facts.nodes[i], holder);
    std::memcpy(bytes + written * 16, &number, sizeof number);
    static_assert(sizeof(CUgraphEdgeData) == 8);
    if (facts.edges != nullptr) std::memcpy(bytes + written * 16 + 8, &facts.edges[i], sizeof facts.edges[i]);
  }
  api::ops::StreamCaptureDependenciesReply{facts.status, facts.id, count, {bytes, written * 16}}.encode(call.reply());
  call.finish(CUDA_SUCCESS);
}

void host_function(Session& session, const api::ops::HostFunction& op, Call& call) {
  const DriverTable& driver = session.driver();
  CUstream stream = nullptr;
  if (!session.objects().find(op.on.value, stream)) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  if (driver.cuLaunchHostFunc == nullptr || (op.kind == 1 && driver.cuStreamAddCallback == nullptr))
    return call.finish(CUDA_ERROR_NOT_SUPPORTED);
  // Inside a capture the function becomes a node, which runs as often as the graph is launched.
  HostSteps::Step* step = session.host_steps().make(op.callback, session.context_of(op.on.value).open_captures != 0);
  if (step == nullptr) return call.finish(CUDA_ERROR_OUT_OF_MEMORY);
  const CUresult result = op.kind == 0 ? driver.cuLaunchHostFunc(stream, &HostSteps::run_host_function, step)
                                       : driver.cuStreamAddCallback(stream, &HostSteps::run_stream_callback, step, 0);
  if (result == CUDA_SUCCESS)
    session.dispatcher().count(op.on.value);
  else
    session.host_steps().drop(step);
  call.finish(result);
}

}  // namespace vgpu::worker::handlers
