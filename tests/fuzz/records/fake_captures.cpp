// The fake driver's captures and graphs.
#include "tests/fuzz/records/fake_state.hpp"

#include <algorithm>

namespace vgpu::fuzz {
namespace {

State& state = gpu_state();

CUgraphNode* nodes() {
  static std::vector<CUgraphNode> all;
  for (size_t i = all.size(); i < 1000; ++i) all.push_back(reinterpret_cast<CUgraphNode>(0x100 + i * 8));
  return all.data();
}
bool is_capturing(CUstream stream) {
  return std::find(state.capturing.begin(), state.capturing.end(), stream) != state.capturing.end();
}
CUresult begin_capture(CUstream stream, unsigned) {
  const CUresult result = outcome();
  if (result != CUDA_SUCCESS) return result;
  if (stream == CU_STREAM_LEGACY || is_capturing(stream)) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  state.capturing.push_back(stream);
  return CUDA_SUCCESS;
}
CUresult end_capture(CUstream stream, CUgraph* graph) {
  const CUresult result = outcome();
  if (result != CUDA_SUCCESS) return result;
  if (!is_capturing(stream)) return CUDA_ERROR_ILLEGAL_STATE;
  std::erase(state.capturing, stream);
  *graph = make_handle<CUgraph>();
  return CUDA_SUCCESS;
}
CUresult asks_capture(CUstream stream, unsigned* status) {
  *status = is_capturing(stream) ? CU_STREAM_CAPTURE_STATUS_ACTIVE : CU_STREAM_CAPTURE_STATUS_NONE;
  return outcome();
}
CUresult capture_info(CUstream stream, unsigned* status, cuuint64_t* id) {
  *id = 7;
  return asks_capture(stream, status);
}
CUresult capture_info_v2(CUstream stream, unsigned* status, cuuint64_t* id, CUgraph* graph, const CUgraphNode** from,
                         size_t* count) {
  *graph = state.handles.keep<CUgraph>(0x30);
  *from = nodes();
  *count = some_count();
  return capture_info(stream, status, id);
}
CUresult capture_info_v3(CUstream stream, unsigned* status, cuuint64_t* id, CUgraph* graph, const CUgraphNode** from,
                         const CUgraphEdgeData** edges, size_t* count) {
  static const std::vector<CUgraphEdgeData> all(1000);
  *edges = state.behaviour.counts % 2 == 0 ? all.data() : nullptr;
  return capture_info_v2(stream, status, id, graph, from, count);
}
CUresult graph_nodes(CUgraph, CUgraphNode* to, size_t* count) {
  const CUresult result = outcome();
  if (result != CUDA_SUCCESS) return result;
  if (to == nullptr)
    *count = some_count();
  else
    std::copy_n(nodes(), std::min(*count, some_count()), to);
  return CUDA_SUCCESS;
}

}  // namespace

void set_captures(DriverTable& table) {
  table.cuStreamBeginCapture_v2 = checked<begin_capture>;
  table.cuStreamEndCapture = checked<end_capture>;
  table.cuStreamIsCapturing = checked<asks_capture>;
  table.cuStreamGetCaptureInfo = checked<capture_info>;
  table.cuStreamGetCaptureInfo_v2 = checked<capture_info_v2>;
  table.cuStreamGetCaptureInfo_v3 = checked<capture_info_v3>;
  table.cuGraphGetNodes = checked<graph_nodes>;
  table.cuGraphGetRootNodes = checked<graph_nodes>;
}

}  // namespace vgpu::fuzz
