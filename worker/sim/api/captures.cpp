// Stream capture and graphs.
#include <algorithm>
#include <unordered_set>

#include "worker/sim/api/enqueue.hpp"

using namespace vgpu::sim::api;
using vgpu::sim::device::Capture;
using vgpu::sim::device::Graph;
using vgpu::sim::device::GraphExec;
using vgpu::sim::device::GraphNode;
using vgpu::sim::device::next_handle;

VGPU_SIM_EXPORT(cuThreadExchangeStreamCaptureMode);
VGPU_SIM_EXPORT(cuStreamBeginCapture);
VGPU_SIM_EXPORT(cuStreamBeginCapture_v2);
VGPU_SIM_EXPORT(cuStreamEndCapture);
VGPU_SIM_EXPORT(cuStreamIsCapturing);
VGPU_SIM_EXPORT(cuStreamGetCaptureInfo);
VGPU_SIM_EXPORT(cuStreamGetCaptureInfo_v2);
VGPU_SIM_EXPORT(cuStreamGetCaptureInfo_v3);
VGPU_SIM_EXPORT(cuGraphCreate);
VGPU_SIM_EXPORT(cuGraphDestroy);
VGPU_SIM_EXPORT(cuGraphGetNodes);
VGPU_SIM_EXPORT(cuGraphGetRootNodes);
VGPU_SIM_EXPORT(cuGraphAddEmptyNode);
VGPU_SIM_EXPORT(cuGraphNodeGetType);
VGPU_SIM_EXPORT(cuGraphInstantiate);
VGPU_SIM_EXPORT(cuGraphInstantiate_v2);
VGPU_SIM_EXPORT(cuGraphInstantiateWithFlags);
VGPU_SIM_EXPORT(cuGraphInstantiateWithParams);
VGPU_SIM_EXPORT(cuGraphExecDestroy);
VGPU_SIM_EXPORT(cuGraphLaunch);
VGPU_SIM_EXPORT(cuGraphUpload);

namespace {

using GraphPtr = std::shared_ptr<Graph>;

/// Of the calls about graphs, null is an invalid value and not an invalid handle.
CUresult bad_handle(const void* handle) {
  return handle == nullptr ? CUDA_ERROR_INVALID_VALUE : CUDA_ERROR_INVALID_HANDLE;
}

template <typename Body>
CUresult with_stream(CUstream handle, Body body) {
  return with_context([&](const ContextPtr& context) {
    StreamPtr stream;
    if (const CUresult result = find_stream(context, handle, stream); result != CUDA_SUCCESS) return result;
    return static_cast<CUresult>(body(stream));
  });
}

/// `body` runs under the mutex that guards graphs.
template <typename Body>
CUresult with_graph(CUgraph handle, Body body) {
  return without_context([&] {
    const GraphPtr graph = Simulator::get().graphs.find(handle);
    if (graph == nullptr) return bad_handle(handle);
    const std::lock_guard lock(Simulator::get().capture_mutex);
    return static_cast<CUresult>(body(graph));
  });
}

CUresult begin(CUstream handle, CUstreamCaptureMode mode) {
  return with_stream(handle, [&](const StreamPtr& stream) {
    if (mode > CU_STREAM_CAPTURE_MODE_RELAXED) return CUDA_ERROR_INVALID_VALUE;
    if (stream->kind() == Stream::Kind::legacy) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    static std::atomic<std::uint64_t> next{1};
    Simulator& sim = Simulator::get();
    const std::lock_guard lock(sim.capture_mutex);
    if (stream->capture != nullptr) return CUDA_ERROR_ILLEGAL_STATE;
    stream->capture = std::make_shared<Capture>(next.fetch_add(1), mode, stream);
    stream->capture_ends.clear();
    sim.captures.push_back(stream->capture);
    return CUDA_SUCCESS;
  });
}

/// True if all work of the other streams of the capture leads to the origin's end. Simulator::capture_mutex is held.
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
  return std::all_of(capture.graph->nodes.begin(), capture.graph->nodes.end(),
                     [&](const auto& node) { return reached.count(node.get()) != 0; });
}

/// Releases the streams of a capture. Simulator::capture_mutex is held.
void close(const std::shared_ptr<Capture>& capture) {
  for (const auto& member : capture->members) {
    const auto stream = member.lock();
    if (stream == nullptr || stream->capture != capture) continue;
    stream->capture.reset();
    stream->capture_ends.clear();
  }
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

/// Fills an array of at most *count handles, or says how many there are.
CUresult list_nodes(const std::vector<std::shared_ptr<GraphNode>>& nodes, CUgraphNode* out, std::size_t* count) {
  if (count == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (out == nullptr) {
    *count = nodes.size();
    return CUDA_SUCCESS;
  }
  for (std::size_t i = 0; i < *count; ++i)
    out[i] = i < nodes.size() ? as_handle<CUgraphNode>(nodes[i]->handle) : nullptr;
  *count = std::min(*count, nodes.size());
  return CUDA_SUCCESS;
}

CUresult instantiate(CUgraphExec* out, CUgraph handle, unsigned long long flags) {
  return with_context([&](const ContextPtr& context) {
    constexpr unsigned long long known = 1 | 2 | 8;  // automatic free on launch, upload, use of node priorities
    if (out == nullptr || (flags & ~known) != 0) return CUDA_ERROR_INVALID_VALUE;
    if (const CUresult result = check_unsafe(*context); result != CUDA_SUCCESS) return result;
    Simulator& sim = Simulator::get();
    const std::shared_lock gate(sim.gate);
    const std::lock_guard allocations(sim.allocation_gate);
    return with_graph(handle, [&](const GraphPtr& graph) {
      auto exec = std::make_shared<GraphExec>(next_handle(), *graph);
      sim.graph_execs.add(exec->handle, exec);
      *out = as_handle<CUgraphExec>(exec->handle);
      return CUDA_SUCCESS;
    });
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

CUresult cuGraphCreate(CUgraph* out, unsigned flags) {
  return without_context([&] {
    if (out == nullptr || flags != 0) return CUDA_ERROR_INVALID_VALUE;
    auto graph = std::make_shared<Graph>();
    graph->handle = next_handle();
    Simulator::get().graphs.add(graph->handle, graph);
    *out = as_handle<CUgraph>(graph->handle);
    return CUDA_SUCCESS;
  });
}

CUresult cuGraphDestroy(CUgraph handle) {
  return without_context([&] {
    Simulator& sim = Simulator::get();
    const GraphPtr graph = sim.graphs.take(handle);
    if (graph == nullptr) return bad_handle(handle);
    sim.graph_nodes.remove_if([&](const GraphNode& node) { return node.graph == graph->handle; });
    return CUDA_SUCCESS;
  });
}

CUresult cuGraphGetNodes(CUgraph handle, CUgraphNode* out, std::size_t* count) {
  return with_graph(handle, [&](const GraphPtr& graph) { return list_nodes(graph->nodes, out, count); });
}
CUresult cuGraphGetRootNodes(CUgraph handle, CUgraphNode* out, std::size_t* count) {
  return with_graph(handle, [&](const GraphPtr& graph) { return list_nodes(graph->roots(), out, count); });
}

CUresult cuGraphAddEmptyNode(CUgraphNode* out, CUgraph handle, const CUgraphNode* after, std::size_t count) {
  if (handle == nullptr) return CUDA_ERROR_INVALID_VALUE;  // before cuInit, too (measured)
  return with_graph(handle, [&](const GraphPtr& graph) {
    if (out == nullptr || (after == nullptr && count != 0)) return CUDA_ERROR_INVALID_VALUE;
    std::vector<std::shared_ptr<GraphNode>> before;
    for (std::size_t i = 0; i < count; ++i) {
      auto node = Simulator::get().graph_nodes.find(after[i]);
      if (node == nullptr || node->graph != graph->handle) return CUDA_ERROR_INVALID_VALUE;
      if (std::find(after, after + i, after[i]) != after + i) return CUDA_ERROR_INVALID_VALUE;
      before.push_back(std::move(node));
    }
    const auto node = graph->add(NodeType::empty, {}, std::move(before));
    Simulator::get().graph_nodes.add(node->handle, node);
    *out = as_handle<CUgraphNode>(node->handle);
    return CUDA_SUCCESS;
  });
}

CUresult cuGraphNodeGetType(CUgraphNode handle, CUgraphNodeType* type) {
  return without_context([&] {
    const auto node = Simulator::get().graph_nodes.find(handle);
    if (node == nullptr) return bad_handle(handle);
    if (type == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *type = static_cast<CUgraphNodeType>(node->type);
    return CUDA_SUCCESS;
  });
}

CUresult cuGraphInstantiateWithFlags(CUgraphExec* out, CUgraph graph, unsigned long long flags) {
  return instantiate(out, graph, flags);
}
CUresult cuGraphInstantiate(CUgraphExec* out, CUgraph graph, CUgraphNode* error_node, char* log, std::size_t log_size) {
  if (error_node != nullptr) *error_node = nullptr;
  if (log != nullptr && log_size > 0) *log = '\0';
  return instantiate(out, graph, 0);
}
CUresult cuGraphInstantiate_v2(CUgraphExec* out, CUgraph graph, CUgraphNode* error_node, char* log,
                               std::size_t log_size) {
  return cuGraphInstantiate(out, graph, error_node, log, log_size);
}
CUresult cuGraphInstantiateWithParams(CUgraphExec* out, CUgraph graph, CUDA_GRAPH_INSTANTIATE_PARAMS* parameters) {
  if (parameters == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const CUresult result = instantiate(out, graph, parameters->flags);
  parameters->hErrNode_out = nullptr;
  parameters->result_out = result == CUDA_SUCCESS ? 0 : 1;
  return result;
}

CUresult cuGraphExecDestroy(CUgraphExec handle) {
  return with_context([&](const ContextPtr& context) {
    if (const CUresult result = check_unsafe(*context); result != CUDA_SUCCESS) return result;
    // A launch in flight keeps what it runs.
    return Simulator::get().graph_execs.take(handle) != nullptr ? CUDA_SUCCESS : bad_handle(handle);
  });
}

CUresult cuGraphLaunch(CUgraphExec handle, CUstream stream_handle) {
  return with_stream(stream_handle, [&](const StreamPtr& stream) {
    const std::shared_ptr<GraphExec> exec = Simulator::get().graph_execs.find(handle);
    if (exec == nullptr) return bad_handle(handle);
    static std::atomic<std::uint64_t> launches{1};
    const std::uint64_t seed =
        Simulator::get().settings().seed == 0 ? 0 : Simulator::get().settings().seed + launches.fetch_add(1);
    return enqueue(stream,
                   {.type = NodeType::empty, .work = [exec, seed](Context& context) { exec->run(context, seed); }});
  });
}

CUresult cuGraphUpload(CUgraphExec handle, CUstream stream) {
  return with_stream(stream, [&](const StreamPtr&) {
    return Simulator::get().graph_execs.find(handle) != nullptr ? CUDA_SUCCESS : bad_handle(handle);
  });
}
