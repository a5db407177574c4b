// Stream capture: the driver captures on the host; the rules about threads and modes are kept here
// (shim/client/capture_state.hpp).
#include <algorithm>
#include <cstring>

#include "shim/client/capture_state.hpp"
#include "shim/client/context.hpp"
#include "shim/client/default_stream.hpp"
#include "shim/client/handles.hpp"
#include "shim/client/request.hpp"
#include "shim/client/thread_state.hpp"
#include "shim/client/user_objects.hpp"
#include "shim/cuda/calls.gen.hpp"
#include "shim/cuda/capture_begin.hpp"

namespace vgpu::shim::calls {
namespace {

struct CaptureInfo {
  CUstreamCaptureStatus status = CU_STREAM_CAPTURE_STATUS_NONE;
  uint64_t id = 0;
};

CUresult ask_worker(uint64_t stream, CaptureInfo& info) {
  Request request(api::ops::StreamCaptureInfo::kOp, api::ops::StreamCaptureInfo::kNeedsContext);
  api::ops::StreamCaptureInfoReply reply;
  const CUresult result = call(request, api::ops::StreamCaptureInfo{.on = {stream}}, reply);
  if (result == CUDA_SUCCESS) info = {reply.status, reply.id};
  return result;
}

/// The worker knows: a stream may have joined a capture through an event, and the driver may have ended a capture for
/// what was done to its stream. It is asked only while something is being captured.
CUresult info_of(CUstream stream, CaptureInfo& info) {
  info = {};
  if (capture::open_captures.load(std::memory_order_relaxed) == 0) [[likely]] {
    // Still refuse what the call would refuse: no context, a sticky error, a stream that is none.
    const Request check(api::Op::stream_capture_info, true);
    uint64_t resolved = 0;
    return check.refusal() != CUDA_SUCCESS ? check.refusal() : resolve_stream(stream, resolved);
  }
  uint64_t resolved = 0;
  CUresult result = resolve_stream(stream, resolved);
  if (result != CUDA_SUCCESS) return result;
  result = ask_worker(resolved, info);
  if (result == CUDA_SUCCESS && info.status == CU_STREAM_CAPTURE_STATUS_ACTIVE && capture::is_invalidated(info.id)) {
    info.status = CU_STREAM_CAPTURE_STATUS_INVALIDATED;
  }
  return result;
}

CUresult answer(CUstream stream, CUstreamCaptureStatus* status, cuuint64_t* id, CaptureInfo& info) {
  if (status == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const CUresult result = info_of(stream, info);
  if (result != CUDA_SUCCESS) return result;
  *status = info.status;
  if (info.status == CU_STREAM_CAPTURE_STATUS_ACTIVE && id != nullptr) *id = info.id;
  return CUDA_SUCCESS;
}

/// Fills the calling thread's arrays with what the next node on the stream depends on.
CUresult fetch_dependencies(CUstream stream, ThreadState& thread) {
  using Op = api::ops::StreamCaptureDependencies;
  thread.capture_nodes.clear();
  thread.capture_edges.clear();
  uint64_t resolved = 0;
  if (const CUresult result = resolve_stream(stream, resolved); result != CUDA_SUCCESS) return result;
  for (uint64_t count = 1; thread.capture_nodes.size() < count;) {
    Request request(Op::kOp, Op::kNeedsContext);
    api::ops::StreamCaptureDependenciesReply reply;
    const auto first = static_cast<uint32_t>(thread.capture_nodes.size());
    const CUresult result = call(request, Op{.on = {resolved}, .first = first}, reply);
    if (result != CUDA_SUCCESS) return result;
    count = reply.count;
    constexpr size_t kEntry = sizeof(CUgraphNode) + sizeof(CUgraphEdgeData);
    for (size_t at = 0; at + kEntry <= reply.dependencies.size(); at += kEntry) {
      std::memcpy(&thread.capture_nodes.emplace_back(), &reply.dependencies[at], sizeof(CUgraphNode));
      std::memcpy(&thread.capture_edges.emplace_back(), &reply.dependencies[at + sizeof(CUgraphNode)],
                  sizeof(CUgraphEdgeData));
    }
    if (thread.capture_nodes.size() == first) break;  // fewer now than a moment ago
  }
  return CUDA_SUCCESS;
}

/// Where the newer forms put the rest.
struct Details {
  CUgraph* graph = nullptr;
  const CUgraphNode** nodes = nullptr;
  const CUgraphEdgeData** edges = nullptr;
  size_t* count = nullptr;
};

/// The worker shall know the graph by this handle before its capture ends.
CUresult tell_graph(CUstream stream, uint64_t graph) {
  uint64_t resolved = 0;
  if (const CUresult result = resolve_stream(stream, resolved); result != CUDA_SUCCESS) return result;
  return call(api::ops::CaptureGraph{{resolved}, {graph}});
}

/// Edges that say more than "after" are lost on who does not take them.
bool loses_edges(const ThreadState& thread, const Details& out) {
  constexpr CUgraphEdgeData kPlain{};
  return out.nodes != nullptr && out.edges == nullptr &&
         std::any_of(thread.capture_edges.begin(), thread.capture_edges.end(),
                     [&](const CUgraphEdgeData& edge) { return std::memcmp(&edge, &kPlain, sizeof edge) != 0; });
}

CUresult answer_in_detail(CUstream stream, CUstreamCaptureStatus* status, cuuint64_t* id, const Details& out) {
  CaptureInfo info;
  CUresult result = answer(stream, status, id, info);
  if (result != CUDA_SUCCESS || info.status != CU_STREAM_CAPTURE_STATUS_ACTIVE) return result;
  if (out.graph != nullptr) {
    const uint64_t graph = capture::graph_of(info.id);
    if (graph == 0) return CUDA_ERROR_OUT_OF_MEMORY;
    if (!capture::is_graph_told(info.id)) {
      if (result = tell_graph(stream, graph); result != CUDA_SUCCESS) return result;
      capture::note_graph_told(info.id);
    }
    *out.graph = reinterpret_cast<CUgraph>(graph);
  }
  if (out.nodes == nullptr && out.edges == nullptr && out.count == nullptr) return CUDA_SUCCESS;
  ThreadState& thread = this_thread();
  result = fetch_dependencies(stream, thread);
  if (result != CUDA_SUCCESS) return result;
  if (loses_edges(thread, out)) return CUDA_ERROR_LOSSY_QUERY;
  if (out.nodes != nullptr) *out.nodes = thread.capture_nodes.data();
  if (out.edges != nullptr) *out.edges = thread.capture_edges.data();
  if (out.count != nullptr) *out.count = thread.capture_nodes.size();
  return CUDA_SUCCESS;
}

}  // namespace

CUresult note_capture(uint64_t stream, CUstreamCaptureMode mode, uint64_t graph) {
  CaptureInfo info;
  const CUresult result = ask_worker(stream, info);
  if (result == CUDA_SUCCESS) capture::began(stream, handle_of(*current_context()), mode, info.id, graph);
  return result;
}

CUresult cuStreamBeginCapture_v2(CUstream hStream, CUstreamCaptureMode mode) {
  if (mode > CU_STREAM_CAPTURE_MODE_RELAXED) return CUDA_ERROR_INVALID_VALUE;
  uint64_t stream = 0;
  CUresult result = resolve_stream(hStream, stream);
  if (result != CUDA_SUCCESS) return result;
  result = call(api::ops::StreamBeginCapture{.on = {stream}, .mode = mode});
  if (result != CUDA_SUCCESS) return result;
  return note_capture(stream, mode, 0);
}

CUresult cuStreamBeginCapture(CUstream hStream) {
  return cuStreamBeginCapture_v2(hStream, CU_STREAM_CAPTURE_MODE_GLOBAL);
}

CUresult cuStreamEndCapture(CUstream hStream, CUgraph* phGraph) {
  if (phGraph == nullptr) return CUDA_ERROR_INVALID_VALUE;
  uint64_t stream = 0;
  CUresult result = resolve_stream(hStream, stream);
  if (result != CUDA_SUCCESS) return result;
  *phGraph = nullptr;
  // Measured: the refusal of another thread ends the capture all the same.
  const CUresult refused = capture::check_may_end(stream);
  Request request(api::ops::StreamEndCapture::kOp, api::ops::StreamEndCapture::kNeedsContext);
  if (request.refusal() != CUDA_SUCCESS) return request.refusal();
  const capture::Ended how = capture::ended(stream);
  const uint64_t id = how.graph != 0 ? how.graph : handles(wire::Kind::graph).make();
  api::ops::StreamEndCapture{.on = {stream}, .result = {id}}.encode(request.body());
  result = id != 0 ? request.call() : CUDA_ERROR_OUT_OF_MEMORY;
  if (!request.took_effect() && !how.into_graph) {
    user_objects::graph_gone(id);
    handles(wire::Kind::graph).discard(id);
  }
  if (result != CUDA_SUCCESS) return refused != CUDA_SUCCESS ? refused : result;
  const auto graph = reinterpret_cast<CUgraph>(id);
  if (how.invalidated || refused != CUDA_SUCCESS) {  // the driver on the host does not know that the guest broke a rule
    if (!how.into_graph) static_cast<void>(cuGraphDestroy(graph));
    return refused != CUDA_SUCCESS ? refused : CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
  }
  *phGraph = graph;
  return CUDA_SUCCESS;
}

CUresult cuStreamIsCapturing(CUstream hStream, CUstreamCaptureStatus* captureStatus) {
  CaptureInfo info;
  return answer(hStream, captureStatus, nullptr, info);
}

CUresult cuStreamGetCaptureInfo(CUstream hStream, CUstreamCaptureStatus* captureStatus_out, cuuint64_t* id_out) {
  CaptureInfo info;
  return answer(hStream, captureStatus_out, id_out, info);
}

CUresult cuStreamGetCaptureInfo_v2(CUstream hStream, CUstreamCaptureStatus* captureStatus_out, cuuint64_t* id_out,
                                   CUgraph* graph_out, const CUgraphNode** dependencies_out,
                                   size_t* numDependencies_out) {
  return answer_in_detail(hStream, captureStatus_out, id_out,
                          {.graph = graph_out, .nodes = dependencies_out, .count = numDependencies_out});
}

CUresult cuStreamGetCaptureInfo_v3(CUstream hStream, CUstreamCaptureStatus* captureStatus_out, cuuint64_t* id_out,
                                   CUgraph* graph_out, const CUgraphNode** dependencies_out,
                                   const CUgraphEdgeData** edgeData_out, size_t* numDependencies_out) {
  return answer_in_detail(hStream, captureStatus_out, id_out,
                          {graph_out, dependencies_out, edgeData_out, numDependencies_out});
}

CUresult cuThreadExchangeStreamCaptureMode(CUstreamCaptureMode* mode) {
  if (mode == nullptr || *mode > CU_STREAM_CAPTURE_MODE_RELAXED) return CUDA_ERROR_INVALID_VALUE;
  *mode = capture::exchange_thread_mode(*mode);
  return CUDA_SUCCESS;
}

}  // namespace vgpu::shim::calls
