// Access of contexts to each other's memory, and copies that name the contexts of both sides.
#include "worker/sim/api/box_copies.hpp"
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

namespace {

/// The peer named by a handle.
CUresult find_peer(CUcontext handle, ContextPtr& out) {
  out = handle == nullptr ? nullptr : find_context(handle);
  return out == nullptr ? CUDA_ERROR_INVALID_CONTEXT : CUDA_SUCCESS;
}

/// The contexts of both sides of a copy.
struct Sides {
  ContextPtr to;
  ContextPtr from;
};

/// A context that is not named is the current one: addresses say where they are.
CUresult find_sides(CUcontext to, CUcontext from, Sides& out) {
  return with_context([&](const ContextPtr& context) {
    out = {to == nullptr ? context : find_context(to), from == nullptr ? context : find_context(from)};
    return out.to == nullptr || out.from == nullptr ? CUDA_ERROR_INVALID_CONTEXT : CUDA_SUCCESS;
  });
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

/// The same copy without its contexts.
CUDA_MEMCPY3D box_of(const CUDA_MEMCPY3D_PEER& copy) {
  CUDA_MEMCPY3D box{};
  box.srcXInBytes = copy.srcXInBytes;
  box.srcY = copy.srcY;
  box.srcZ = copy.srcZ;
  box.srcMemoryType = copy.srcMemoryType;
  box.srcHost = copy.srcHost;
  box.srcDevice = copy.srcDevice;
  box.srcArray = copy.srcArray;
  box.srcPitch = copy.srcPitch;
  box.srcHeight = copy.srcHeight;
  box.dstXInBytes = copy.dstXInBytes;
  box.dstY = copy.dstY;
  box.dstZ = copy.dstZ;
  box.dstMemoryType = copy.dstMemoryType;
  box.dstHost = copy.dstHost;
  box.dstDevice = copy.dstDevice;
  box.dstArray = copy.dstArray;
  box.dstPitch = copy.dstPitch;
  box.dstHeight = copy.dstHeight;
  box.WidthInBytes = copy.WidthInBytes;
  box.Height = copy.Height;
  box.Depth = copy.Depth;
  return box;
}

/// Heights of slices that are too small; of arrays they mean nothing.
bool overlaps(CUmemorytype type, std::size_t rows, std::size_t y, const CUDA_MEMCPY3D_PEER& copy) {
  return type != CU_MEMORYTYPE_ARRAY && copy.Depth > 1 && rows < y + copy.Height;
}

CUresult check(const CUDA_MEMCPY3D_PEER* copy, Sides& sides) {
  if (copy == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (overlaps(copy->srcMemoryType, copy->srcHeight, copy->srcY, *copy) ||
      overlaps(copy->dstMemoryType, copy->dstHeight, copy->dstY, *copy))
    return CUDA_ERROR_INVALID_VALUE;
  return find_sides(copy->dstContext, copy->srcContext, sides);
}

}  // namespace

CUresult cuCtxEnablePeerAccess(CUcontext handle, unsigned flags) {
  return with_context([&](const ContextPtr& context) {
    ContextPtr peer;
    if (const CUresult result = find_peer(handle, peer); result != CUDA_SUCCESS) return result;
    if (flags != 0) return CUDA_ERROR_INVALID_VALUE;
    if (peer->device() == context->device()) return CUDA_ERROR_PEER_ACCESS_UNSUPPORTED;
    return context->enable_peer(*peer);
  });
}

CUresult cuCtxDisablePeerAccess(CUcontext handle) {
  return with_context([&](const ContextPtr& context) {
    ContextPtr peer;
    if (const CUresult result = find_peer(handle, peer); result != CUDA_SUCCESS) return result;
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
    return in_order(sides, [&] { return copy_box_now(box_of(*copy)); });
  });
}

CUresult cuMemcpy3DPeerAsync(const CUDA_MEMCPY3D_PEER* copy, CUstream stream) {
  return guarded([&] {
    Sides sides;
    if (const CUresult result = check(copy, sides); result != CUDA_SUCCESS) return result;
    return copy_box_later(box_of(*copy), stream);
  });
}
