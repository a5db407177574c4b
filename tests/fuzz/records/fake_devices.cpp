// The fake driver's access between contexts, copies that name two of them, and green contexts.
#include "tests/fuzz/records/fake_state.hpp"

namespace vgpu::fuzz {
namespace {

State& state = gpu_state();

constexpr unsigned char kOurs = 0x5a;

CUresult change_access(CUcontext) { return outcome(); }
CUresult enable_access(CUcontext, unsigned) { return outcome(); }

CUresult copy(CUdeviceptr to, CUcontext, CUdeviceptr from, CUcontext, size_t size) {
  check_device(to, size);
  check_device(from, size);
  return submitted();
}
CUresult copy_async(CUdeviceptr to, CUcontext to_context, CUdeviceptr from, CUcontext from_context, size_t size,
                    CUstream) {
  return copy(to, to_context, from, from_context, size);
}

/// From the first byte to behind the last; what overflows the worker must have refused.
uint64_t extent(uint64_t pitch, uint64_t rows, const CUDA_MEMCPY3D_PEER& what) {
  uint64_t slices = 0, size = 0;
  if (__builtin_mul_overflow(pitch * rows, what.Depth - 1, &slices) ||
      __builtin_add_overflow(slices, pitch * (what.Height - 1), &size) ||
      __builtin_add_overflow(size, what.WidthInBytes, &size))
    found("a copy of slices that overflows");
  return size;
}
CUresult copy_slices(const CUDA_MEMCPY3D_PEER* what) {
  check_live(state.handles, what->dstContext);
  check_live(state.handles, what->srcContext);
  if (what->dstMemoryType == CU_MEMORYTYPE_HOST)
    touch_host(what->dstHost, extent(what->dstPitch, what->dstHeight, *what), true);
  else
    check_device(what->dstDevice, extent(what->dstPitch, what->dstHeight, *what));
  if (what->srcMemoryType == CU_MEMORYTYPE_HOST)
    touch_host(what->srcHost, extent(what->srcPitch, what->srcHeight, *what), false);
  else
    check_device(what->srcDevice, extent(what->srcPitch, what->srcHeight, *what));
  return submitted();
}
CUresult copy_slices_async(const CUDA_MEMCPY3D_PEER* what, CUstream) { return copy_slices(what); }

/// A resource is what this driver made: its padding says so.
void make(CUdevResource& resource) {
  resource = {};
  resource.type = CU_DEV_RESOURCE_TYPE_SM;
  std::memset(resource._internal_padding, kOurs, sizeof resource._internal_padding);
  resource.sm = {132, 8, 8};
}
void check(const CUdevResource& resource) {
  for (const unsigned char byte : resource._internal_padding)
    if (byte != kOurs) found("a resource that the driver did not make");
}
CUresult device_resource(CUdevice, CUdevResource* resource, CUdevResourceType) {
  const CUresult result = outcome();
  if (result == CUDA_SUCCESS) make(*resource);
  return result;
}
CUresult context_resource(CUcontext, CUdevResource* resource, CUdevResourceType type) {
  return device_resource(0, resource, type);
}
CUresult green_resource(CUgreenCtx, CUdevResource* resource, CUdevResourceType type) {
  return device_resource(0, resource, type);
}
CUresult split(CUdevResource* parts, unsigned* groups, const CUdevResource* input, CUdevResource* remaining, unsigned,
               unsigned) {
  check(*input);
  const CUresult result = outcome();
  if (result != CUDA_SUCCESS) return result;
  for (unsigned i = 0; parts != nullptr && i < *groups; ++i) make(parts[i]);
  make(*remaining);
  return result;
}
CUresult describe(CUdevResourceDesc* description, CUdevResource* resources, unsigned count) {
  for (unsigned i = 0; i < count; ++i) check(resources[i]);
  const CUresult result = outcome();
  if (result == CUDA_SUCCESS) *description = reinterpret_cast<CUdevResourceDesc>(uintptr_t{kOurs});
  return result;
}

/// The context of a green one has the same handle.
CUresult create_green(CUgreenCtx* green, CUdevResourceDesc description, CUdevice, unsigned) {
  if (description != reinterpret_cast<CUdevResourceDesc>(uintptr_t{kOurs})) found("a description nobody made");
  const CUresult result = outcome();
  if (result == CUDA_SUCCESS) *green = reinterpret_cast<CUgreenCtx>(make_handle<CUcontext>());
  return result;
}
CUresult context_of_green(CUcontext* context, CUgreenCtx green) {
  const CUresult result = outcome();
  if (result == CUDA_SUCCESS) *context = reinterpret_cast<CUcontext>(green);
  return result;
}
CUresult destroy_green(CUgreenCtx green) {
  const CUresult result = outcome();
  if (result != CUDA_SUCCESS) return result;
  end_context(number(green));
  state.handles.end(number(green));
  return result;
}
CUresult create_green_stream(CUstream* stream, CUgreenCtx green, unsigned, int) {
  const CUresult result = outcome();
  if (result == CUDA_SUCCESS) *stream = state.handles.make<CUstream>(number(green));
  return result;
}
CUresult context_event(CUcontext, CUevent) { return submitted(); }

}  // namespace

void set_devices(DriverTable& table) {
  table.cuCtxEnablePeerAccess = checked<enable_access>;
  table.cuCtxDisablePeerAccess = checked<change_access>;
  table.cuMemcpyPeer = checked<copy>;
  table.cuMemcpyPeerAsync = checked<copy_async>;
  table.cuMemcpy3DPeer = checked<copy_slices>;
  table.cuMemcpy3DPeerAsync = checked<copy_slices_async>;
  table.cuDeviceGetDevResource = checked<device_resource>;
  table.cuCtxGetDevResource = checked<context_resource>;
  table.cuGreenCtxGetDevResource = checked<green_resource>;
  table.cuDevSmResourceSplitByCount = checked<split>;
  table.cuDevResourceGenerateDesc = checked<describe>;
  table.cuGreenCtxCreate = checked<create_green>;
  table.cuCtxFromGreenCtx = checked<context_of_green>;
  table.cuGreenCtxDestroy = checked<destroy_green>;
  table.cuGreenCtxStreamCreate = checked<create_green_stream>;
  table.cuCtxWaitEvent = checked<context_event>;
}

}  // namespace vgpu::fuzz
