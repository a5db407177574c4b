// Copies of slices that name the contexts of both sides. Device memory and the window go to the copy engine as they
// are; pageable memory goes slice by slice as rows do, for it has no context.
#include "shim/client/contexts.hpp"
#include "shim/client/default_stream.hpp"
#include "shim/client/device_memory.hpp"
#include "shim/client/request.hpp"
#include "shim/cuda/calls.gen.hpp"
#include "shim/staging/transfer.hpp"

namespace vgpu::shim::calls {
namespace {

struct Side {
  CUmemorytype type;
  uint64_t base;  // as the program gave it
  size_t x, y, z, lod;
  size_t pitch, rows;
  CUcontext context;
  Where where{Place::pageable, 0};

  /// Of the first byte copied.
  uint64_t address() const { return base + (z * rows + y) * pitch + x; }
};

struct Sides {
  Side to;
  Side from;
};

Sides sides_of(const CUDA_MEMCPY3D_PEER& c) {
  const auto base = [](CUmemorytype type, const void* host, CUdeviceptr device) {
    return type == CU_MEMORYTYPE_HOST ? reinterpret_cast<uint64_t>(host) : device;
  };
  return {{c.dstMemoryType, base(c.dstMemoryType, c.dstHost, c.dstDevice), c.dstXInBytes, c.dstY, c.dstZ, c.dstLOD,
           c.dstPitch, c.dstHeight, c.dstContext},
          {c.srcMemoryType, base(c.srcMemoryType, c.srcHost, c.srcDevice), c.srcXInBytes, c.srcY, c.srcZ, c.srcLOD,
           c.srcPitch, c.srcHeight, c.srcContext}};
}

/// Fills in what may be left out, refuses what makes no sense, and finds out where the side lies.
CUresult complete(Side& side, const CUDA_MEMCPY3D_PEER& c) {
  if (side.type == CU_MEMORYTYPE_ARRAY) return CUDA_ERROR_NOT_SUPPORTED;
  if (side.type != CU_MEMORYTYPE_HOST && side.type != CU_MEMORYTYPE_DEVICE && side.type != CU_MEMORYTYPE_UNIFIED)
    return CUDA_ERROR_INVALID_VALUE;
  if (side.lod != 0 || side.base == 0) return CUDA_ERROR_INVALID_VALUE;
  if (side.pitch == 0 && c.Height <= 1 && c.Depth <= 1) side.pitch = side.x + c.WidthInBytes;
  if (side.rows == 0 && c.Depth <= 1) side.rows = side.y + c.Height;
  if (side.pitch < side.x + c.WidthInBytes || (c.Depth > 1 && side.rows < side.y + c.Height))
    return CUDA_ERROR_INVALID_VALUE;
  side.where = locate(side.address());
  if (side.type == CU_MEMORYTYPE_DEVICE && side.where.place == Place::pageable) side.where.place = Place::device;
  return CUDA_SUCCESS;
}

CUresult slice_by_slice(const Sides& sides, const CUDA_MEMCPY3D_PEER& c, CUstream stream, bool posted) {
  for (size_t slice = 0; slice < c.Depth; ++slice) {
    CUDA_MEMCPY2D rows = {};
    const auto offset = [slice](const Side& side) { return slice * side.rows * side.pitch; };
    // Unified: where the address lies says what it is.
    rows.dstMemoryType = rows.srcMemoryType = CU_MEMORYTYPE_UNIFIED;
    rows.dstDevice = sides.to.address() + offset(sides.to);
    rows.dstPitch = sides.to.pitch;
    rows.srcDevice = sides.from.address() + offset(sides.from);
    rows.srcPitch = sides.from.pitch;
    rows.WidthInBytes = c.WidthInBytes;
    rows.Height = c.Height;
    const CUresult result = posted ? cuMemcpy2DAsync_v2(&rows, stream) : cuMemcpy2D_v2(&rows);
    if (result != CUDA_SUCCESS) return result;
  }
  return CUDA_SUCCESS;
}

void put(Request& request, const Side& side) {
  const bool in_window = side.where.place == Place::pinned;
  request.body().put(in_window ? side.where.offset : side.address());
  request.body().put(static_cast<uint32_t>(in_window));
  request.put(side.context);
  request.body().put(static_cast<uint64_t>(side.pitch));
  request.body().put(static_cast<uint64_t>(side.rows));
  request.body().put(uint64_t{0});
}

CUresult copy(const CUDA_MEMCPY3D_PEER* description, CUstream stream, bool posted) {
  Request request(api::Op::copy_3d_peer, true);
  if (request.refusal() != CUDA_SUCCESS) return request.refusal();
  if (description == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const CUDA_MEMCPY3D_PEER& c = *description;
  Sides sides = sides_of(c);
  if (c.WidthInBytes == 0 || c.Height == 0 || c.Depth == 0) return CUDA_SUCCESS;
  for (Side* side : {&sides.to, &sides.from})
    if (const CUresult result = complete(*side, c); result != CUDA_SUCCESS) return result;
  if (sides.to.where.place == Place::pageable || sides.from.where.place == Place::pageable)
    return slice_by_slice(sides, c, stream, posted);
  for (const Side* side : {&sides.to, &sides.from}) {
    const Context* context = find_context(side->context);
    if (context == nullptr || !is_alive(*context)) return CUDA_ERROR_INVALID_CONTEXT;
    put(request, *side);
  }
  request.body().put(static_cast<uint64_t>(c.WidthInBytes));
  request.body().put(static_cast<uint64_t>(c.Height));
  request.body().put(static_cast<uint64_t>(c.Depth));
  request.body().put(static_cast<uint32_t>(!posted && means_legacy(stream)));
  request.put(stream);
  if (posted) return request.post();
  // With the window on a side the call ends when the copy has.
  const bool waits = sides.to.where.place == Place::pinned || sides.from.where.place == Place::pinned;
  const CUresult result = request.post();
  return result == CUDA_SUCCESS && waits ? synchronize_stream(stream) : result;
}

}  // namespace

CUresult cuMemcpy3DPeer(const CUDA_MEMCPY3D_PEER* pCopy) { return copy(pCopy, nullptr, false); }
CUresult cuMemcpy3DPeerAsync(const CUDA_MEMCPY3D_PEER* pCopy, CUstream hStream) { return copy(pCopy, hStream, true); }

}  // namespace vgpu::shim::calls
