// Stream capture: the driver captures on the host; the rules about threads and modes are kept here
// (shim/client/capture_state.hpp).
#include "shim/client/capture_state.hpp"
#include "shim/client/context.hpp"
#include "shim/client/default_stream.hpp"
#include "shim/client/handles.hpp"
#include "shim/client/named_lookup.hpp"
#include "shim/client/request.hpp"
#include "shim/cuda/calls.gen.hpp"
#include "shim/cuda/entry.hpp"

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

/// Asks the worker only if something is being captured, and not on this stream: it may have joined a capture through an
/// event.
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
  if (capture::status_of(resolved, info.status, info.id)) return CUDA_SUCCESS;
  result = ask_worker(resolved, info);
  if (result == CUDA_SUCCESS && info.status == CU_STREAM_CAPTURE_STATUS_ACTIVE && capture::is_invalidated(info.id)) {
    info.status = CU_STREAM_CAPTURE_STATUS_INVALIDATED;
  }
  return result;
}

CUresult answer(CUstream stream, CUstreamCaptureStatus* status, cuuint64_t* id, bool wants_graph, const char* symbol) {
  if (status == nullptr) return CUDA_ERROR_INVALID_VALUE;
  CaptureInfo info;
  const CUresult result = info_of(stream, info);
  if (result != CUDA_SUCCESS) return result;
  *status = info.status;
  if (info.status != CU_STREAM_CAPTURE_STATUS_ACTIVE) return CUDA_SUCCESS;
  if (id != nullptr) *id = info.id;
  // The graph being captured and its nodes have no handles in the guest.
  return wants_graph ? static_cast<CUresult>(not_supported(symbol)) : CUDA_SUCCESS;
}

}  // namespace

CUresult cuStreamBeginCapture_v2(CUstream hStream, CUstreamCaptureMode mode) {
  if (mode > CU_STREAM_CAPTURE_MODE_RELAXED) return CUDA_ERROR_INVALID_VALUE;
  uint64_t stream = 0;
  CUresult result = resolve_stream(hStream, stream);
  if (result != CUDA_SUCCESS) return result;
  result = call(api::ops::StreamBeginCapture{.on = {stream}, .mode = mode});
  if (result != CUDA_SUCCESS) return result;
  CaptureInfo info;
  result = ask_worker(stream, info);
  if (result != CUDA_SUCCESS) return result;
  capture::began(stream, handle_of(*current_context()), mode, info.id);
  return CUDA_SUCCESS;
}

CUresult cuStreamBeginCapture(CUstream hStream) {
  return cuStreamBeginCapture_v2(hStream, CU_STREAM_CAPTURE_MODE_GLOBAL);
}

CUresult cuStreamEndCapture(CUstream hStream, CUgraph* phGraph) {
  if (phGraph == nullptr) return CUDA_ERROR_INVALID_VALUE;
  uint64_t stream = 0;
  CUresult result = resolve_stream(hStream, stream);
  if (result == CUDA_SUCCESS) result = capture::check_may_end(stream);
  if (result != CUDA_SUCCESS) return result;
  *phGraph = nullptr;
  Request request(api::ops::StreamEndCapture::kOp, api::ops::StreamEndCapture::kNeedsContext);
  NewHandle id(request, wire::Kind::graph);
  if (id.value() == 0) return id.why();
  const capture::Ended how = capture::ended(stream);
  api::ops::StreamEndCapture{.on = {stream}, .result = {id.value()}}.encode(request.body());
  result = request.call();
  if (result != CUDA_SUCCESS) return result;
  const auto graph = reinterpret_cast<CUgraph>(id.keep());
  if (how.invalidated) {  // the driver on the host does not know that the guest broke a rule
    static_cast<void>(cuGraphDestroy(graph));
    return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
  }
  *phGraph = graph;
  return CUDA_SUCCESS;
}

CUresult cuStreamIsCapturing(CUstream hStream, CUstreamCaptureStatus* captureStatus) {
  return answer(hStream, captureStatus, nullptr, false, "cuStreamIsCapturing");
}

CUresult cuStreamGetCaptureInfo(CUstream hStream, CUstreamCaptureStatus* captureStatus_out, cuuint64_t* id_out) {
  return answer(hStream, captureStatus_out, id_out, false, "cuStreamGetCaptureInfo");
}

CUresult cuStreamGetCaptureInfo_v2(CUstream hStream, CUstreamCaptureStatus* captureStatus_out, cuuint64_t* id_out,
                                   CUgraph* graph_out, const CUgraphNode** dependencies_out,
                                   size_t* numDependencies_out) {
  const bool wants_graph = graph_out != nullptr || dependencies_out != nullptr || numDependencies_out != nullptr;
  return answer(hStream, captureStatus_out, id_out, wants_graph, "cuStreamGetCaptureInfo_v2");
}

CUresult cuStreamGetCaptureInfo_v3(CUstream hStream, CUstreamCaptureStatus* captureStatus_out, cuuint64_t* id_out,
                                   CUgraph* graph_out, const CUgraphNode** dependencies_out,
                                   const CUgraphEdgeData** edgeData_out, size_t* numDependencies_out) {
  const bool wants_graph =
      graph_out != nullptr || dependencies_out != nullptr || edgeData_out != nullptr || numDependencies_out != nullptr;
  return answer(hStream, captureStatus_out, id_out, wants_graph, "cuStreamGetCaptureInfo_v3");
}

CUresult cuThreadExchangeStreamCaptureMode(CUstreamCaptureMode* mode) {
  if (mode == nullptr || *mode > CU_STREAM_CAPTURE_MODE_RELAXED) return CUDA_ERROR_INVALID_VALUE;
  *mode = capture::exchange_thread_mode(*mode);
  return CUDA_SUCCESS;
}

}  // namespace vgpu::shim::calls
