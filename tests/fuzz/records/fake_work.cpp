// The fake driver's streams and events: work, and whether it is done.
#include "tests/fuzz/records/fake_state.hpp"

namespace vgpu::fuzz {
namespace {

State& state = gpu_state();

CUresult record_event(CUevent, CUstream) { return submitted(); }
CUresult record_with_flags(CUevent, CUstream, unsigned) { return submitted(); }
CUresult record_context(CUcontext, CUevent) { return submitted(); }
CUresult query() {
  const CUresult result = outcome();
  if (result != CUDA_SUCCESS || state.unfinished == 0) return result;
  --state.unfinished;
  return CUDA_ERROR_NOT_READY;
}
CUresult query_event(CUevent) { return query(); }
CUresult query_stream(CUstream) { return query(); }
CUresult synchronize() {
  const CUresult result = outcome();
  if (result == CUDA_SUCCESS) state.unfinished = 0;
  return result;
}
CUresult synchronize_event(CUevent) { return synchronize(); }
CUresult synchronize_stream(CUstream) { return synchronize(); }

void read_parameters(void** extra) {
  if (extra == nullptr) return;
  const uint8_t* block = nullptr;
  size_t size = 0;
  for (; *extra != nullptr; extra += 2) {
    if (reinterpret_cast<uintptr_t>(extra[0]) == kLaunchParamBufferPointer)
      block = static_cast<const uint8_t*>(extra[1]);
    else if (reinterpret_cast<uintptr_t>(extra[0]) == kLaunchParamBufferSize)
      size = *static_cast<const size_t*>(extra[1]);
  }
  static volatile unsigned sum;
  for (size_t i = 0; i < size; ++i) sum = sum + block[i];
}
void read_attributes(const CUlaunchConfig* config) {
  static volatile unsigned sum;
  for (unsigned i = 0; i < config->numAttrs; ++i)
    sum = sum + config->attrs[i].id + config->attrs[i].value.bytes[0] + config->attrs[i].value.bytes[63];
}
CUresult launch(CUfunction, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, CUstream, void**,
                void** extra) {
  read_parameters(extra);
  return submitted();
}
CUresult launch_ex(const CUlaunchConfig* config, CUfunction, void**, void** extra) {
  read_attributes(config);
  read_parameters(extra);
  return submitted();
}
CUresult clusters(int* value, CUfunction, const CUlaunchConfig* config) {
  read_attributes(config);
  *value = state.behaviour.counts;
  return outcome();
}
CUresult launch_graph(CUgraphExec, CUstream) { return submitted(); }
CUresult host_function(CUstream, CUhostFn function, void* user) {
  const CUresult result = submitted();
  if (result == CUDA_SUCCESS) function(user);
  return result;
}
CUresult add_callback(CUstream stream, CUstreamCallback callback, void* user, unsigned) {
  const CUresult result = submitted();
  if (result == CUDA_SUCCESS) callback(stream, CUDA_SUCCESS, user);
  return result;
}

}  // namespace

void set_work(DriverTable& table) {
  table.cuEventRecord = checked<record_event>;
  table.cuEventRecordWithFlags = checked<record_with_flags>;
  table.cuCtxRecordEvent = checked<record_context>;
  table.cuEventQuery = checked<query_event>;
  table.cuStreamQuery = checked<query_stream>;
  table.cuCtxSynchronize = checked<synchronize>;
  table.cuEventSynchronize = checked<synchronize_event>;
  table.cuStreamSynchronize = checked<synchronize_stream>;
  table.cuLaunchKernel = checked<launch>;
  table.cuLaunchKernelEx = checked<launch_ex>;
  table.cuOccupancyMaxActiveClusters = checked<clusters>;
  table.cuOccupancyMaxPotentialClusterSize = checked<clusters>;
  table.cuGraphLaunch = checked<launch_graph>;
  table.cuLaunchHostFunc = checked<host_function>;
  table.cuStreamAddCallback = checked<add_callback>;
}

}  // namespace vgpu::fuzz
