// Copies of slices that name the contexts of both sides. Device memory, the window and arrays go to the copy engine as
// they are; pageable memory goes as in any other copy, for it has no context.
#include "shim/client/contexts.hpp"
#include "shim/client/default_stream.hpp"
#include "shim/client/request.hpp"
#include "shim/cuda/calls.gen.hpp"
#include "shim/staging/box_copy.hpp"
#include "shim/staging/transfer.hpp"

namespace vgpu::shim::calls {
namespace {

// Kinds of sides, as they travel.
constexpr uint32_t kDevice = 0, kWindow = 1, kArray = 2;

/// The same copy without its contexts.
CUDA_MEMCPY3D box_of(const CUDA_MEMCPY3D_PEER& c) {
  CUDA_MEMCPY3D box{};
  box.srcXInBytes = c.srcXInBytes;
  box.srcY = c.srcY;
  box.srcZ = c.srcZ;
  box.srcMemoryType = c.srcMemoryType;
  box.srcHost = c.srcHost;
  box.srcDevice = c.srcDevice;
  box.srcArray = c.srcArray;
  box.srcPitch = c.srcPitch;
  box.srcHeight = c.srcHeight;
  box.dstXInBytes = c.dstXInBytes;
  box.dstY = c.dstY;
  box.dstZ = c.dstZ;
  box.dstMemoryType = c.dstMemoryType;
  box.dstHost = c.dstHost;
  box.dstDevice = c.dstDevice;
  box.dstArray = c.dstArray;
  box.dstPitch = c.dstPitch;
  box.dstHeight = c.dstHeight;
  box.WidthInBytes = c.WidthInBytes;
  box.Height = c.Height;
  box.Depth = c.Depth;
  return box;
}

void put(Request& request, const BoxSide& side, CUcontext context) {
  const bool in_window = side.where.place == Place::pinned;
  const bool is_array = side.array != 0;
  request.body().put(is_array ? side.array : in_window ? side.where.offset : side.address);
  request.body().put(is_array ? kArray : in_window ? kWindow : kDevice);
  request.put(context);
  request.body().put(is_array ? side.x : side.pitch);
  request.body().put(is_array ? side.y : side.rows);
  request.body().put(is_array ? side.z : uint64_t{0});
}

bool is_pinned(const BoxSide& side) { return side.array == 0 && side.where.place == Place::pinned; }

CUresult copy(const CUDA_MEMCPY3D_PEER* description, CUstream stream, bool posted) {
  Request request(api::Op::copy_3d_peer, true);
  if (request.refusal() != CUDA_SUCCESS) return request.refusal();
  if (description == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const CUDA_MEMCPY3D_PEER& c = *description;
  if (c.WidthInBytes == 0 || c.Height == 0 || c.Depth == 0) return CUDA_SUCCESS;
  if (c.srcLOD != 0 || c.dstLOD != 0) return CUDA_ERROR_INVALID_VALUE;
  BoxCopy box;
  box.stream = stream;
  box.posted = posted;
  if (const CUresult result = describe(box_of(c), box); result != CUDA_SUCCESS) return result;
  if (box.to.is_pageable() || box.from.is_pageable()) return copy_box(box);
  for (const CUcontext handle : {c.dstContext, c.srcContext}) {
    const Context* context = find_context(handle);
    if (context == nullptr || !is_alive(*context)) return CUDA_ERROR_INVALID_CONTEXT;
  }
  put(request, box.to, c.dstContext);
  put(request, box.from, c.srcContext);
  for (const size_t extent : {box.width, box.height, box.depth}) request.body().put(uint64_t{extent});
  request.body().put(static_cast<uint32_t>(!posted && means_legacy(stream)));
  request.put(stream);
  if (posted) return request.post();
  // With the window on a side the call ends when the copy has.
  const bool waits = is_pinned(box.to) || is_pinned(box.from);
  const CUresult result = request.post();
  return result == CUDA_SUCCESS && waits ? synchronize_stream(stream) : result;
}

}  // namespace

CUresult cuMemcpy3DPeer(const CUDA_MEMCPY3D_PEER* pCopy) { return copy(pCopy, nullptr, false); }
CUresult cuMemcpy3DPeerAsync(const CUDA_MEMCPY3D_PEER* pCopy, CUstream hStream) { return copy(pCopy, hStream, true); }

}  // namespace vgpu::shim::calls
