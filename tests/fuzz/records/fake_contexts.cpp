// The fake driver's contexts, what ends with them, and attributes.
#include "tests/fuzz/records/fake_state.hpp"

namespace vgpu::fuzz {
namespace {

State& state = gpu_state();

/// There is one device.
CUresult outcome_on(CUdevice device) { return device == 0 ? outcome() : CUDA_ERROR_INVALID_DEVICE; }

CUresult create_context(CUcontext* context, unsigned, CUdevice device) {
  const CUresult result = outcome_on(device);
  if (result != CUDA_SUCCESS) return result;
  *context = make_handle<CUcontext>();
  state.current = number(*context);
  return CUDA_SUCCESS;
}
CUresult set_current(CUcontext context) {
  const CUresult result = outcome();
  if (result == CUDA_SUCCESS) state.current = number(context);
  return result;
}
CUresult destroy_context(CUcontext context) {
  const CUresult result = outcome();
  if (result != CUDA_SUCCESS) return result;
  end_context(number(context));
  state.handles.end(number(context));
  return CUDA_SUCCESS;
}
CUresult retain_primary(CUcontext* context, CUdevice device) {
  const CUresult result = outcome_on(device);
  if (result != CUDA_SUCCESS) return result;
  if (state.primary == 0) state.primary = number(make_handle<CUcontext>());
  *context = reinterpret_cast<CUcontext>(state.primary);
  return CUDA_SUCCESS;
}
CUresult release_primary(CUdevice device) {
  const CUresult result = outcome_on(device);
  if (result != CUDA_SUCCESS || state.primary == 0) return result;
  end_context(state.primary);
  state.handles.end(std::exchange(state.primary, 0));
  return CUDA_SUCCESS;
}
CUresult reset_primary(CUdevice device) {
  const CUresult result = outcome_on(device);
  if (result == CUDA_SUCCESS && state.primary != 0) end_context(state.primary);
  return result;
}
template <typename Handle>
CUresult destroy(Handle handle) {
  const CUresult result = outcome();
  if (result == CUDA_SUCCESS) state.handles.end(number(handle));
  return result;
}
CUresult default_pool(CUmemoryPool* pool, CUdevice) {
  const CUresult result = outcome();
  if (result == CUDA_SUCCESS) *pool = state.handles.keep<CUmemoryPool>(0x50);
  return result;
}

CUresult device_name(char* name, int size, CUdevice) {
  std::memset(name, 'd', static_cast<size_t>(size));
  name[size - 1] = '\0';
  return outcome();
}
CUresult pointer_attribute(void* value, CUpointer_attribute, CUdeviceptr) {
  std::memset(value, 0x33, 8);
  return outcome();
}
CUresult get_pool_attribute(CUmemoryPool, CUmemPool_attribute, void* value) {
  std::memset(value, 0x33, 8);
  return outcome();
}
CUresult set_pool_attribute(CUmemoryPool, CUmemPool_attribute, void*) { return outcome(); }

}  // namespace

void end_context(uintptr_t context) {
  state.handles.end_content(context);
  std::erase_if(state.textures, [context](const auto& one) { return one.first == context; });
  std::erase_if(state.surfaces, [context](const auto& one) { return one.first == context; });
  if (state.current == context) state.current = 0;
}

void set_contexts(DriverTable& table) {
  table.cuCtxCreate_v2 = checked<create_context>;
  table.cuCtxSetCurrent = checked<set_current>;
  table.cuCtxDestroy_v2 = checked<destroy_context>;
  table.cuDevicePrimaryCtxRetain = checked<retain_primary>;
  table.cuDevicePrimaryCtxRelease_v2 = checked<release_primary>;
  table.cuDevicePrimaryCtxReset_v2 = checked<reset_primary>;
  table.cuStreamDestroy_v2 = checked<destroy<CUstream>>;
  table.cuEventDestroy_v2 = checked<destroy<CUevent>>;
  table.cuModuleUnload = checked<destroy<CUmodule>>;
  table.cuLibraryUnload = checked<destroy<CUlibrary>>;
  table.cuGraphDestroy = checked<destroy<CUgraph>>;
  table.cuGraphExecDestroy = checked<destroy<CUgraphExec>>;
  table.cuMemPoolDestroy = checked<destroy<CUmemoryPool>>;
  table.cuDeviceGetDefaultMemPool = checked<default_pool>;
  table.cuDeviceGetMemPool = checked<default_pool>;
  table.cuPointerGetAttribute = checked<pointer_attribute>;
  table.cuMemPoolGetAttribute = checked<get_pool_attribute>;
  table.cuMemPoolSetAttribute = checked<set_pool_attribute>;
  table.cuDeviceGetName = checked<device_name>;
}

}  // namespace vgpu::fuzz
