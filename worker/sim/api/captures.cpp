// Stream capture: what is put into a stream becomes the nodes of a graph.
#include <algorithm>
#include <unordered_set>

#include "worker/sim/api/graph_entry.hpp"

using namespace vgpu::sim::api;
using vgpu::sim::device::Capture;
using vgpu::sim::device::Graph;

VGPU_SIM_EXPORT(cuThreadExchangeStreamCaptureMode);
VGPU_SIM_EXPORT(cuStreamBeginCapture);
VGPU_SIM_EXPORT(cuStreamBeginCapture_v2);
VGPU_SIM_EXPORT(cuStreamBeginCaptureToGraph);
VGPU_SIM_EXPORT(cuStreamEndCapture);
VGPU_SIM_EXPORT(cuStreamIsCapturing);
VGPU_SIM_EXPORT(cuStreamGetCaptureInfo);
VGPU_SIM_EXPORT(cuStreamGetCaptureInfo_v2);
VGPU_SIM_EXPORT(cuStreamGetCaptureInfo_v3);
VGPU_SIM_EXPORT(cuStreamUpdateCaptureDependencies);
VGPU_SIM_EXPORT(cuStreamUpdateCaptureDependencies_v2);

namespace {

/// Simulator::capture_mutex is held.
CUresult begin(const StreamPtr& stream, CUstreamCaptureMode mode, GraphPtr into, std::vector<NodePtr> after) {
  static std::atomic<std::uint64_t> next{1};
  if (mode > CU_STREAM_CAPTURE_MODE_RELAXED) return CUDA_ERROR_INVALID_VALUE;
  if (stream->kind() == Stream::Kind::legacy) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  if (stream->capture != nullptr) return CUDA_ERROR_ILLEGAL_STATE;
  into->capturing = true;
  stream->capture = std::make_shared<Capture>(next.fetch_add(1), mode, stream, std::move(into));
  stream->capture_ends = std::move(after);
  Simulator::get().captures.push_back(stream->capture);
  return CUDA_SUCCESS;
}

CUresult begin(CUstream handle, CUstreamCaptureMode mode) {
  return with_stream(handle, [&](const StreamPtr& stream) {
    const std::lock_guard lock(Simulator::get().capture_mutex);
    return begin(stream, mode, std::make_shared<Graph>(), {});
  });
}

/// True if the ends of the capture's other streams lead to the origin's. Simulator::capture_mutex is held.
bool is_joined(const Capture& capture, const Stream& origin) {
  std::unordered_set<const GraphNode*> reached;
  std::vector<const GraphNode*> next;
  for (const auto& end : origin.capture_ends) next.push_back(end.get());
  while (!next.empty()) {
    const GraphNode* node = next.back();
    next.pop_back();
    if (!reached.insert(node).second) continue;
    for (const auto& before : node->after) next.push_back(before.get());
  }
  return std::all_of(capture.members.begin(), capture.members.end(), [&](const auto& member) {
    const StreamPtr stream = member.lock();
    return stream == nullptr || stream->capture.get() != &capture ||
           std::all_of(stream->capture_ends.begin(), stream->capture_ends.end(),
                       [&](const auto& end) { return reached.count(end.get()) != 0; });
  });
}

/// Releases the streams of a capture. Simulator::capture_mutex is held.
void close(const std::shared_ptr<Capture>& capture) {
  for (const auto& member : capture->members) {
    const auto stream = member.lock();
    if (stream == nullptr || stream->capture != capture) continue;
    stream->capture.reset();
    stream->capture_ends.clear();
  }
  capture->graph->capturing = false;
  std::erase(Simulator::get().captures, capture);
}

CUresult end(const StreamPtr& stream, CUgraph* out) {
  Simulator& sim = Simulator::get();
  const std::lock_guard lock(sim.capture_mutex);
  const std::shared_ptr<Capture> capture = stream->capture;
  if (capture == nullptr) return CUDA_ERROR_ILLEGAL_STATE;
  if (capture->origin.lock() != stream) return CUDA_ERROR_STREAM_CAPTURE_UNMATCHED;
  if (capture->mode != CU_STREAM_CAPTURE_MODE_RELAXED && capture->owner != std::this_thread::get_id()) {
    close(capture);
    return CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD;
  }
  const bool lost = capture->invalidated;
  const bool joined = lost || is_joined(*capture, *stream);
  close(capture);
  if (out != nullptr) *out = nullptr;
  if (lost) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
  if (!joined) return CUDA_ERROR_STREAM_CAPTURE_UNJOINED;
  if (out == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const GraphPtr& graph = capture->graph;
  for (const auto& node : graph->nodes) sim.graph_nodes.add(node->handle, node);
  sim.graphs.add(graph->handle, graph);
  *out = as_handle<CUgraph>(graph->handle);
  return CUDA_SUCCESS;
}

CUresult capture_info(CUstream handle, CUstreamCaptureStatus* status, cuuint64_t* id) {
  return with_stream(handle, [&](const StreamPtr& stream) {
    if (status == nullptr) return CUDA_ERROR_INVALID_VALUE;
    if (stream->kind() == Stream::Kind::legacy) {
      if (const CUresult result = check_legacy(*stream->context()); result != CUDA_SUCCESS) return result;
    }
    const std::lock_guard lock(Simulator::get().capture_mutex);
    *status = stream->capture == nullptr     ? CU_STREAM_CAPTURE_STATUS_NONE
              : stream->capture->invalidated ? CU_STREAM_CAPTURE_STATUS_INVALIDATED
                                             : CU_STREAM_CAPTURE_STATUS_ACTIVE;
    if (id != nullptr && *status == CU_STREAM_CAPTURE_STATUS_ACTIVE) *id = stream->capture->id;
    return CUDA_SUCCESS;
  });
}

/// The graph and the last nodes of a capture, for the calls that ask for them.
CUresult capture_details(CUstream handle, CUgraph* graph_out, const CUgraphNode** nodes_out, std::size_t* count) {
  return with_stream(handle, [&](const StreamPtr& stream) {
    Simulator& sim = Simulator::get();
    const std::lock_guard lock(sim.capture_mutex);
    if (stream->capture == nullptr || stream->capture->invalidated) return CUDA_SUCCESS;
    const GraphPtr& graph = stream->capture->graph;
    if (graph_out != nullptr) {
      sim.graphs.add(graph->handle, graph);
      *graph_out = as_handle<CUgraph>(graph->handle);
    }
    // The array belongs to the driver, until the thread asks again.
    static thread_local std::vector<CUgraphNode> nodes;
    nodes.clear();
    for (const auto& node : stream->capture_ends) {
      sim.graph_nodes.add(node->handle, node);
      nodes.push_back(as_handle<CUgraphNode>(node->handle));
    }
    if (nodes_out != nullptr) *nodes_out = nodes.data();
    if (count != nullptr) *count = nodes.size();
    return CUDA_SUCCESS;
  });
}

/// Changes what the next node of a stream will come after.
CUresult update_ends(CUstream handle, const CUgraphNode* nodes, const CUgraphEdgeData* edges, std::size_t count,
                     unsigned flags) {
  constexpr unsigned add = 0, replace = 1;
  return with_stream(handle, [&](const StreamPtr& stream) {
    if (flags != add && flags != replace) return CUDA_ERROR_INVALID_VALUE;
    const std::lock_guard lock(Simulator::get().capture_mutex);
    if (stream->capture == nullptr) return CUDA_ERROR_ILLEGAL_STATE;
    if (stream->capture->invalidated) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    std::vector<NodePtr> ends;
    if (const CUresult result = find_before(*stream->capture->graph, nodes, edges, count, ends); result != CUDA_SUCCESS)
      return result;
    if (flags == replace) stream->capture_ends.clear();
    for (NodePtr& end : ends) {
      const auto& known = stream->capture_ends;
      if (std::find(known.begin(), known.end(), end) == known.end()) stream->capture_ends.push_back(std::move(end));
    }
    return CUDA_SUCCESS;
  });
}

}  // namespace

CUresult cuThreadExchangeStreamCaptureMode(CUstreamCaptureMode* mode) {
  return without_context([&] {
    if (mode == nullptr || *mode > CU_STREAM_CAPTURE_MODE_RELAXED) return CUDA_ERROR_INVALID_VALUE;
    std::swap(*mode, thread_state().capture_mode);
    return CUDA_SUCCESS;
  });
}

CUresult cuStreamBeginCapture_v2(CUstream stream, CUstreamCaptureMode mode) { return begin(stream, mode); }
CUresult cuStreamBeginCapture(CUstream stream) { return begin(stream, CU_STREAM_CAPTURE_MODE_GLOBAL); }
CUresult cuStreamBeginCaptureToGraph(CUstream handle, CUgraph graph_handle, const CUgraphNode* after,
                                     const CUgraphEdgeData* edges, std::size_t count, CUstreamCaptureMode mode) {
  return with_stream(handle, [&](const StreamPtr& stream) {
    return with_graph(graph_handle, [&](const GraphPtr& graph) {
      if (graph->capturing) return CUDA_ERROR_INVALID_VALUE;
      std::vector<NodePtr> before;
      if (const CUresult result = find_before(*graph, after, edges, count, before); result != CUDA_SUCCESS)
        return result;
      return begin(stream, mode, graph, std::move(before));
    });
  });
}
CUresult cuStreamUpdateCaptureDependencies(CUstream stream, CUgraphNode* nodes, std::size_t count, unsigned flags) {
  return update_ends(stream, nodes, nullptr, count, flags);
}
CUresult cuStreamUpdateCaptureDependencies_v2(CUstream stream, CUgraphNode* nodes, const CUgraphEdgeData* edges,
                                              std::size_t count, unsigned flags) {
  return update_ends(stream, nodes, edges, count, flags);
}
CUresult cuStreamEndCapture(CUstream handle, CUgraph* out) {
  return with_stream(handle, [&](const StreamPtr& stream) { return end(stream, out); });
}
CUresult cuStreamIsCapturing(CUstream stream, CUstreamCaptureStatus* status) {
  return capture_info(stream, status, nullptr);
}
CUresult cuStreamGetCaptureInfo(CUstream stream, CUstreamCaptureStatus* status, cuuint64_t* id) {
  return capture_info(stream, status, id);
}
CUresult cuStreamGetCaptureInfo_v2(CUstream stream, CUstreamCaptureStatus* status, cuuint64_t* id, CUgraph* graph,
                                   const CUgraphNode** nodes, std::size_t* count) {
  const CUresult result = capture_info(stream, status, id);
  return result != CUDA_SUCCESS ? result : capture_details(stream, graph, nodes, count);
}
CUresult cuStreamGetCaptureInfo_v3(CUstream stream, CUstreamCaptureStatus* status, cuuint64_t* id, CUgraph* graph,
                                   const CUgraphNode** nodes, const CUgraphEdgeData** edges, std::size_t* count) {
  if (edges != nullptr) *edges = nullptr;
  return cuStreamGetCaptureInfo_v2(stream, status, id, graph, nodes, count);
}
