// Several contexts and devices: access to each other's memory, and copies that name the contexts of both sides.
#include "common/api/array_shape.hpp"
#include "worker/handlers/handlers.gen.hpp"
#include "worker/session.hpp"

namespace vgpu::worker::handlers {
namespace {

/// A side of a copy as the guest named it: device memory, rows of the window, or an array.
enum class PlaceKind : uint32_t { device, window, array };

struct PeerSide {
  uint64_t address = 0;  ///< of an array: its handle
  CUcontext context = nullptr;
  PlaceKind kind = PlaceKind::device;
  uint64_t pitch = 0;  ///< of an array: the byte of a row where the copy begins
  uint64_t rows = 0;   ///< of an array: the row
  uint64_t slice = 0;  ///< of an array only
  CUarray array = nullptr;
};

CUcontext real_context(Session& session, uint64_t handle) {
  const ContextState* found = session.contexts().find(handle);
  return found == nullptr ? nullptr : found->real;
}

/// From the first byte to behind the last one of `depth` slices; false if that overflows or if rows overlap.
bool extent_of(const PeerSide& side, uint64_t width, uint64_t height, uint64_t depth, uint64_t& size) {
  uint64_t slice = 0, slices = 0, rows = 0;
  if ((height > 1 && side.pitch < width) || (depth > 1 && side.rows < height)) return false;
  return !__builtin_mul_overflow(side.pitch, side.rows, &slice) && !__builtin_mul_overflow(slice, depth - 1, &slices) &&
         !__builtin_mul_overflow(side.pitch, height - 1, &rows) && !__builtin_add_overflow(slices, rows, &size) &&
         !__builtin_add_overflow(size, width, &size);
}

/// Counts a copy in all contexts whose work it waits for and holds up.
template <typename Op>
void count_copy(Session& session, const Op& op) {
  session.dispatcher().count(op.on.value);
  if (op.serial == 0) return;
  constexpr uint64_t kLegacy = 1;
  session.dispatcher().count_in(op.to_context.value, kLegacy);
  session.dispatcher().count_in(op.from_context.value, kLegacy);
}

/// The context that a copy names, or if the program left it out, that of the memory.
uint64_t context_meant(Session& session, uint64_t named, uint64_t address) {
  if (named != 0) return named;
  const Allocations::Range* range = session.allocations().holding(address);
  return range != nullptr && range->context != 0 ? range->context : session.context_handle();
}

template <typename Op>
CUresult copy(Session& session, Op op) {
  const DriverTable& driver = session.driver();
  CUstream stream = nullptr;
  if (driver.cuMemcpyPeer == nullptr || driver.cuMemcpyPeerAsync == nullptr) return CUDA_ERROR_NOT_SUPPORTED;
  if (!session.objects().find(op.on.value, stream)) return CUDA_ERROR_INVALID_HANDLE;
  op.to_context.value = context_meant(session, op.to_context.value, op.to);
  op.from_context.value = context_meant(session, op.from_context.value, op.from);
  const CUcontext to = real_context(session, op.to_context.value);
  const CUcontext from = real_context(session, op.from_context.value);
  if (to == nullptr || from == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
  if (!session.allocations().covers(op.to, op.size) || !session.allocations().covers(op.from, op.size))
    return CUDA_ERROR_INVALID_VALUE;
  const CUresult result = op.serial != 0 ? driver.cuMemcpyPeer(op.to, to, op.from, from, op.size)
                                         : driver.cuMemcpyPeerAsync(op.to, to, op.from, from, op.size, stream);
  if (result == CUDA_SUCCESS) count_copy(session, op);
  return result;
}

CUresult resolve_array(Session& session, PeerSide& side, const api::ops::Copy3dPeer& op) {
  const Array* array = session.objects().arrays.arrays.find(side.address);
  if (array == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  side.array = array->real;
  return contains_box(array->shape, side.pitch, side.rows, side.slice, op.width, op.height, op.depth)
             ? CUDA_SUCCESS
             : CUDA_ERROR_INVALID_VALUE;
}

/// Looks a side up and checks all of what the copy touches there.
CUresult resolve(Session& session, PeerSide& side, uint64_t context, const api::ops::Copy3dPeer& op) {
  side.context = real_context(session, context);
  if (side.context == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
  if (side.kind == PlaceKind::array) return resolve_array(session, side, op);
  uint64_t size = 0;
  if (!extent_of(side, op.width, op.height, op.depth, size)) return CUDA_ERROR_INVALID_VALUE;
  if (side.kind == PlaceKind::window) {
    if (!session.window().heap_contains(side.address, size))
      return session.violation("a copy outside the window's heap");
    side.address += session.window().base();
  } else if (side.kind != PlaceKind::device) {
    return CUDA_ERROR_NOT_SUPPORTED;
  }
  return session.allocations().covers(side.address, size) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUmemorytype type_of(const PeerSide& side) {
  if (side.kind == PlaceKind::array) return CU_MEMORYTYPE_ARRAY;
  return side.kind == PlaceKind::window ? CU_MEMORYTYPE_HOST : CU_MEMORYTYPE_DEVICE;
}

CUDA_MEMCPY3D_PEER describe(const PeerSide& to, const PeerSide& from, const api::ops::Copy3dPeer& op) {
  CUDA_MEMCPY3D_PEER what{};
  what.srcMemoryType = type_of(from);
  what.srcContext = from.context;
  if (from.kind == PlaceKind::array) {
    what.srcArray = from.array;
    what.srcXInBytes = from.pitch;
    what.srcY = from.rows;
    what.srcZ = from.slice;
  } else {
    what.srcHost = reinterpret_cast<const void*>(from.address);
    what.srcDevice = from.address;
    what.srcPitch = from.pitch;
    what.srcHeight = from.rows;
  }
  what.dstMemoryType = type_of(to);
  what.dstContext = to.context;
  if (to.kind == PlaceKind::array) {
    what.dstArray = to.array;
    what.dstXInBytes = to.pitch;
    what.dstY = to.rows;
    what.dstZ = to.slice;
  } else {
    what.dstHost = reinterpret_cast<void*>(to.address);
    what.dstDevice = to.address;
    what.dstPitch = to.pitch;
    what.dstHeight = to.rows;
  }
  what.WidthInBytes = op.width;
  what.Height = op.height;
  what.Depth = op.depth;
  return what;
}

CUresult copy_slices(Session& session, const api::ops::Copy3dPeer& op) {
  const DriverTable& driver = session.driver();
  CUstream stream = nullptr;
  if (driver.cuMemcpy3DPeer == nullptr || driver.cuMemcpy3DPeerAsync == nullptr) return CUDA_ERROR_NOT_SUPPORTED;
  if (!session.objects().find(op.on.value, stream)) return CUDA_ERROR_INVALID_HANDLE;
  if (op.width == 0 || op.height == 0 || op.depth == 0) return CUDA_SUCCESS;
  PeerSide to{op.to, nullptr, static_cast<PlaceKind>(op.to_kind), op.to_pitch, op.to_rows, op.to_slice};
  PeerSide from{op.from, nullptr, static_cast<PlaceKind>(op.from_kind), op.from_pitch, op.from_rows, op.from_slice};
  CUresult result = resolve(session, to, op.to_context.value, op);
  if (result == CUDA_SUCCESS) result = resolve(session, from, op.from_context.value, op);
  if (result != CUDA_SUCCESS) return result;
  const CUDA_MEMCPY3D_PEER what = describe(to, from, op);
  result = op.serial != 0 ? driver.cuMemcpy3DPeer(&what) : driver.cuMemcpy3DPeerAsync(&what, stream);
  if (result == CUDA_SUCCESS) count_copy(session, op);
  return result;
}

}  // namespace

void peer_enable(Session& session, const api::ops::PeerEnable& op, Call& call) {
  const auto enable = session.driver().cuCtxEnablePeerAccess;
  const CUcontext peer = real_context(session, op.peer.value);
  if (enable == nullptr) return call.finish(CUDA_ERROR_NOT_SUPPORTED);
  if (peer == nullptr) return call.finish(CUDA_ERROR_INVALID_CONTEXT);
  const CUresult result = enable(peer, op.flags);
  if (result == CUDA_SUCCESS) session.contexts().note_sharing();
  call.finish(result);
}

void peer_disable(Session& session, const api::ops::PeerDisable& op, Call& call) {
  const auto disable = session.driver().cuCtxDisablePeerAccess;
  const CUcontext peer = real_context(session, op.peer.value);
  if (disable == nullptr) return call.finish(CUDA_ERROR_NOT_SUPPORTED);
  call.finish(peer == nullptr ? CUDA_ERROR_INVALID_CONTEXT : disable(peer));
}

void copy_peer(Session& session, const api::ops::CopyPeer& op, Call& call) { call.finish(copy(session, op)); }

void copy_peer_sync(Session& session, const api::ops::CopyPeerSync& op, Call& call) { call.finish(copy(session, op)); }

void copy_3d_peer(Session& session, const api::ops::Copy3dPeer& op, Call& call) {
  call.finish(copy_slices(session, op));
}

}  // namespace vgpu::worker::handlers
