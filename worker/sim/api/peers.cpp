// Access of contexts to each other's memory, and copies that name the contexts of both sides.
#include "worker/sim/api/tasks.hpp"

using namespace vgpu::sim::api;

VGPU_SIM_EXPORT(cuCtxEnablePeerAccess);
VGPU_SIM_EXPORT(cuCtxDisablePeerAccess);
VGPU_SIM_EXPORT(cuMemcpyPeer);
VGPU_SIM_EXPORT(cuMemcpyPeerAsync);
VGPU_SIM_EXPORT(cuMemcpy3DPeer);
VGPU_SIM_EXPORT(cuMemcpy3DPeerAsync);
VGPU_SIM_EXPORT(cuMemcpyDtoD_v2);
VGPU_SIM_EXPORT(cuMemcpyDtoDAsync_v2);
VGPU_SIM_EXPORT(cuMemcpy2D_v2);
VGPU_SIM_EXPORT(cuMemcpy2DAsync_v2);

namespace {

/// The peer named by a handle, which must not be the current context.
CUresult find_peer(const ContextPtr& context, CUcontext handle, ContextPtr& out) {
  out = handle == nullptr ? nullptr : find_context(handle);
  return out == nullptr || out == context ? CUDA_ERROR_INVALID_CONTEXT : CUDA_SUCCESS;
}

/// The contexts of both sides of a copy.
struct Sides {
  ContextPtr to;
  ContextPtr from;
};

CUresult find_sides(CUcontext to, CUcontext from, Sides& out) {
  if (const CUresult result = check_callable(); result != CUDA_SUCCESS) return result;
  out = {to == nullptr ? nullptr : find_context(to), from == nullptr ? nullptr : find_context(from)};
  return out.to == nullptr || out.from == nullptr ? CUDA_ERROR_INVALID_CONTEXT : CUDA_SUCCESS;
}

/// Such a copy begins when all that the contexts of both sides do is done: their marks are waited for on the current
/// context's stream, and what they are given later waits for it.
template <typename Submit>
CUresult in_order(const Sides& sides, Submit submit) {
  return with_context([&](const ContextPtr& context) {
    using vgpu::sim::device::Command;
    for (const ContextPtr& side : {sides.to, sides.from}) {
      if (side == context) continue;
      Command wait;
      wait.counted = false;
      wait.after = side->all_marks();
      context->legacy()->submit(std::move(wait), {});
    }
    const CUresult result = submit();
    if (result != CUDA_SUCCESS) return result;
    const auto done = context->legacy()->marks();
    for (const ContextPtr& side : {sides.to, sides.from}) {
      if (side == context) continue;
      for (const StreamPtr& stream : side->all_streams()) {
        Command wait;
        wait.counted = false;
        wait.after = done;
        stream->submit(std::move(wait), {});
      }
    }
    return CUDA_SUCCESS;
  });
}

/// One slice of a copy of slices. Arrays are not known here.
CUDA_MEMCPY2D slice_of(const CUDA_MEMCPY3D_PEER& copy, std::size_t slice) {
  CUDA_MEMCPY2D rows = {};
  rows.srcXInBytes = copy.srcXInBytes;
  rows.srcY = copy.srcY + (copy.srcZ + slice) * copy.srcHeight;
  rows.srcMemoryType = copy.srcMemoryType;
  rows.srcHost = copy.srcHost;
  rows.srcDevice = copy.srcDevice;
  rows.srcPitch = copy.srcPitch;
  rows.dstXInBytes = copy.dstXInBytes;
  rows.dstY = copy.dstY + (copy.dstZ + slice) * copy.dstHeight;
  rows.dstMemoryType = copy.dstMemoryType;
  rows.dstHost = copy.dstHost;
  rows.dstDevice = copy.dstDevice;
  rows.dstPitch = copy.dstPitch;
  rows.WidthInBytes = copy.WidthInBytes;
  rows.Height = copy.Height;
  return rows;
}

CUresult check(const CUDA_MEMCPY3D_PEER* copy, Sides& sides) {
  if (copy == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (copy->Depth > 1 && (copy->srcHeight < copy->srcY + copy->Height || copy->dstHeight < copy->dstY + copy->Height))
    return CUDA_ERROR_INVALID_VALUE;
  return find_sides(copy->dstContext, copy->srcContext, sides);
}

template <typename CopyRows>
CUresult slice_by_slice(const CUDA_MEMCPY3D_PEER& copy, CopyRows copy_rows) {
  for (std::size_t slice = 0; slice < copy.Depth; ++slice) {
    const CUDA_MEMCPY2D rows = slice_of(copy, slice);
    if (const CUresult result = copy_rows(rows); result != CUDA_SUCCESS) return result;
  }
  return CUDA_SUCCESS;
}

}  // namespace

CUresult cuCtxEnablePeerAccess(CUcontext handle, unsigned flags) {
  return with_context([&](const ContextPtr& context) {
    ContextPtr peer;
    if (const CUresult result = find_peer(context, handle, peer); result != CUDA_SUCCESS) return result;
    if (flags != 0) return CUDA_ERROR_INVALID_VALUE;
    if (peer->device() == context->device()) return CUDA_ERROR_INVALID_DEVICE;
    return context->enable_peer(*peer);
  });
}

CUresult cuCtxDisablePeerAccess(CUcontext handle) {
  return with_context([&](const ContextPtr& context) {
    ContextPtr peer;
    if (const CUresult result = find_peer(context, handle, peer); result != CUDA_SUCCESS) return result;
    if (const CUresult result = wait_exclusively(context); result != CUDA_SUCCESS) return result;
    return context->disable_peer(*peer);
  });
}

CUresult cuMemcpyPeer(CUdeviceptr to, CUcontext to_context, CUdeviceptr from, CUcontext from_context,
                      std::size_t size) {
  return guarded([&] {
    Sides sides;
    if (const CUresult result = find_sides(to_context, from_context, sides); result != CUDA_SUCCESS) return result;
    return in_order(sides, [&] { return cuMemcpyDtoD_v2(to, from, size); });
  });
}

CUresult cuMemcpyPeerAsync(CUdeviceptr to, CUcontext to_context, CUdeviceptr from, CUcontext from_context,
                           std::size_t size, CUstream stream) {
  return guarded([&] {
    Sides sides;
    if (const CUresult result = find_sides(to_context, from_context, sides); result != CUDA_SUCCESS) return result;
    return cuMemcpyDtoDAsync_v2(to, from, size, stream);
  });
}

CUresult cuMemcpy3DPeer(const CUDA_MEMCPY3D_PEER* copy) {
  return guarded([&] {
    Sides sides;
    if (const CUresult result = check(copy, sides); result != CUDA_SUCCESS) return result;
    return in_order(sides,
                    [&] { return slice_by_slice(*copy, [](const auto& rows) { return cuMemcpy2D_v2(&rows); }); });
  });
}

CUresult cuMemcpy3DPeerAsync(const CUDA_MEMCPY3D_PEER* copy, CUstream stream) {
  return guarded([&] {
    Sides sides;
    if (const CUresult result = check(copy, sides); result != CUDA_SUCCESS) return result;
    return slice_by_slice(*copy, [&](const auto& rows) { return cuMemcpy2DAsync_v2(&rows, stream); });
  });
}
