#include "fake_driver.hpp"

#include <new>
#include <stdexcept>

namespace fake {
namespace {

using namespace vgpu::cuda;

/// Handles: distinct addresses that nobody looks behind.
template <typename Handle>
Handle make() {
  static std::atomic<uintptr_t> next{0x1000};
  return reinterpret_cast<Handle>(next.fetch_add(16));
}

CUresult get_version(int* version) {
  *version = 13000;
  return CUDA_SUCCESS;
}
CUresult get_count(int* count) {
  *count = 1;
  return CUDA_SUCCESS;
}
CUresult create_context(CUcontext* context, unsigned, CUdevice) {
  *context = make<CUcontext>();
  return CUDA_SUCCESS;
}
CUresult set_current(CUcontext) { return CUDA_SUCCESS; }
CUresult synchronize_context() {
  ++state().context_waits;
  return CUDA_SUCCESS;
}
CUresult record_context(CUcontext, CUevent) {
  ++state().fences;
  return CUDA_SUCCESS;
}
CUresult create_event(CUevent* event, unsigned) {
  if (state().create_failure != 0) return static_cast<CUresult>(state().create_failure.load());
  ++state().events_created;
  *event = make<CUevent>();
  return CUDA_SUCCESS;
}
CUresult record_event(CUevent, CUstream) { return static_cast<CUresult>(state().record_failure.load()); }
CUresult query_event(CUevent) {
  const int failure = state().failure.load();
  if (failure != 0) return static_cast<CUresult>(failure);
  return state().finished ? CUDA_SUCCESS : CUDA_ERROR_NOT_READY;
}
CUresult create_stream(CUstream* stream, unsigned, int) {
  ++state().streams_created;
  *stream = make<CUstream>();
  return CUDA_SUCCESS;
}
CUresult query_stream(CUstream) { return query_event(nullptr); }
CUresult destroy_stream(CUstream) { return CUDA_SUCCESS; }
CUresult allocate(CUdeviceptr* address, size_t size) {
  if (size == kThrowsBadAlloc) throw std::bad_alloc();
  if (size == kThrows) throw std::runtime_error("a test says so");
  static std::atomic<CUdeviceptr> next{0x7f0000000000};
  *address = next.fetch_add(1 << 21);
  return CUDA_SUCCESS;
}
CUresult release(CUdeviceptr) {
  ++state().frees;
  return CUDA_SUCCESS;
}
CUresult copy(CUdeviceptr, CUdeviceptr, size_t, CUstream) { return CUDA_SUCCESS; }
CUresult register_memory(void*, size_t, unsigned) { return CUDA_SUCCESS; }
CUresult copy_to_host(void*, CUdeviceptr, size_t, CUstream) { return CUDA_SUCCESS; }
CUresult set_bytes(CUdeviceptr, unsigned char, size_t width, CUstream) {
  state().set_width = width;
  return CUDA_SUCCESS;
}
CUresult copy_rows(const CUDA_MEMCPY2D* copy, CUstream) {
  state().copy_pitch = copy->srcPitch;
  return CUDA_SUCCESS;
}
CUresult destroy_context(CUcontext) { return CUDA_SUCCESS; }
CUresult is_capturing(CUstream stream, CUstreamCaptureStatus* status) {
  *status = stream != nullptr && stream == state().capturing ? CU_STREAM_CAPTURE_STATUS_ACTIVE
                                                             : CU_STREAM_CAPTURE_STATUS_NONE;
  return CUDA_SUCCESS;
}
CUresult begin_capture(CUstream stream, CUstreamCaptureMode) {
  state().capturing = stream;
  return CUDA_SUCCESS;
}
CUresult end_capture(CUstream, CUgraph* graph) {
  state().capturing = nullptr;
  *graph = make<CUgraph>();
  return CUDA_SUCCESS;
}
CUresult count_nodes(CUgraph, CUgraphNode*, size_t* count) {
  *count = state().graph_nodes;
  return CUDA_SUCCESS;
}
CUresult create_graph(CUgraph* graph, unsigned) {
  *graph = make<CUgraph>();
  return CUDA_SUCCESS;
}
CUresult add_node(CUgraphNode* node, CUgraph, const CUgraphNode*, const CUgraphEdgeData*, size_t, CUgraphNodeParams*) {
  *node = make<CUgraphNode>();
  return CUDA_SUCCESS;
}
CUresult instantiate(CUgraphExec* exec, CUgraph, unsigned long long) {
  *exec = make<CUgraphExec>();
  return CUDA_SUCCESS;
}
CUresult launch_graph(CUgraphExec, CUstream) { return CUDA_SUCCESS; }
CUresult destroy_graph(CUgraph) { return CUDA_SUCCESS; }
CUresult destroy_exec(CUgraphExec) { return CUDA_SUCCESS; }
CUresult write_value(CUstream, CUdeviceptr, cuuint32_t, unsigned) { return CUDA_SUCCESS; }
CUresult write_wide_value(CUstream, CUdeviceptr, cuuint64_t, unsigned) { return CUDA_SUCCESS; }
CUresult run_batch(CUstream, unsigned, CUstreamBatchMemOpParams*, unsigned) { return CUDA_SUCCESS; }
CUresult load_module(CUmodule* module, const void*, unsigned, CUjit_option*, void**) {
  ++state().images_loaded;
  *module = make<CUmodule>();
  return CUDA_SUCCESS;
}
CUresult load_library(CUlibrary* library, const void* image, CUjit_option*, void**, unsigned, CUlibraryOption*, void**,
                      unsigned) {
  state().library_begins_with = *static_cast<const uint8_t*>(image);
  *library = make<CUlibrary>();
  return CUDA_SUCCESS;
}

}  // namespace

State& state() {
  static State one;
  return one;
}

vgpu::worker::DriverLibrary open() {
  State& all = state();
  all.finished = true;
  all.failure = 0;
  all.fences = all.frees = all.context_waits = all.streams_created = all.events_created = all.images_loaded = 0;
  all.record_failure = all.create_failure = 0;
  all.graph_nodes = 1;
  all.capturing = nullptr;
  vgpu::worker::DriverLibrary library;
  library.path = "fake";
  DriverTable& table = library.functions;
  table.cuDriverGetVersion = get_version;
  table.cuDeviceGetCount = get_count;
  table.cuCtxCreate_v2 = create_context;
  table.cuCtxSetCurrent = set_current;
  table.cuCtxSynchronize = synchronize_context;
  table.cuCtxRecordEvent = record_context;
  table.cuEventCreate = create_event;
  table.cuEventRecord = record_event;
  table.cuEventQuery = query_event;
  table.cuStreamCreateWithPriority = create_stream;
  table.cuStreamQuery = query_stream;
  table.cuStreamDestroy_v2 = destroy_stream;
  table.cuMemAlloc_v2 = allocate;
  table.cuMemFree_v2 = release;
  table.cuMemcpyDtoDAsync_v2 = copy;
  table.cuMemHostRegister_v2 = register_memory;
  table.cuMemcpyDtoHAsync_v2 = copy_to_host;
  table.cuMemsetD8Async = set_bytes;
  table.cuMemcpy2DAsync_v2 = copy_rows;
  table.cuCtxDestroy_v2 = destroy_context;
  table.cuStreamIsCapturing = is_capturing;
  table.cuStreamBeginCapture_v2 = begin_capture;
  table.cuStreamEndCapture = end_capture;
  table.cuGraphGetNodes = count_nodes;
  table.cuGraphCreate = create_graph;
  table.cuGraphAddNode_v2 = add_node;
  table.cuGraphInstantiateWithFlags = instantiate;
  table.cuGraphLaunch = launch_graph;
  table.cuGraphDestroy = destroy_graph;
  table.cuGraphExecDestroy = destroy_exec;
  table.cuModuleLoadDataEx = load_module;
  table.cuLibraryLoadData = load_library;
  table.cuStreamWriteValue32_v2 = write_value;
  table.cuStreamWriteValue64_v2 = write_wide_value;
  table.cuStreamBatchMemOp_v2 = run_batch;
  return library;
}

}  // namespace fake
