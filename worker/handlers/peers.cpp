// Several contexts and devices: access to each other's memory, and copies that name the contexts of both sides.
#include "worker/handlers/handlers.gen.hpp"
#include "worker/session.hpp"

namespace vgpu::worker::handlers {
namespace {

/// A side of a copy as the guest named it: device memory, or rows of the window.
enum class PlaceKind : uint32_t { device, window };

struct PeerSide {
  uint64_t address = 0;
  CUcontext context = nullptr;
  PlaceKind kind = PlaceKind::device;
  uint64_t pitch = 0;
  uint64_t rows = 0;
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

template <typename Op>
CUresult copy(Session& session, const Op& op) {
  const DriverTable& driver = session.driver();
  CUstream stream = nullptr;
  if (driver.cuMemcpyPeer == nullptr || driver.cuMemcpyPeerAsync == nullptr) return CUDA_ERROR_NOT_SUPPORTED;
  if (!session.objects().find(op.on.value, stream)) return CUDA_ERROR_INVALID_HANDLE;
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

/// Looks a side up and checks all of what the copy touches there.
CUresult resolve(Session& session, PeerSide& side, uint64_t context, const api::ops::Copy3dPeer& op) {
  side.context = real_context(session, context);
  if (side.context == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
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

CUDA_MEMCPY3D_PEER describe(const PeerSide& to, const PeerSide& from, const api::ops::Copy3dPeer& op) {
  CUDA_MEMCPY3D_PEER what{};
  what.srcMemoryType = from.kind == PlaceKind::window ? CU_MEMORYTYPE_HOST : CU_MEMORYTYPE_DEVICE;
  what.srcHost = reinterpret_cast<const void*>(from.address);
  what.srcDevice = from.address;
  what.srcContext = from.context;
  what.srcPitch = from.pitch;
  what.srcHeight = from.rows;
  what.dstMemoryType = to.kind == PlaceKind::window ? CU_MEMORYTYPE_HOST : CU_MEMORYTYPE_DEVICE;
  what.dstHost = reinterpret_cast<void*>(to.address);
  what.dstDevice = to.address;
  what.dstContext = to.context;
  what.dstPitch = to.pitch;
  what.dstHeight = to.rows;
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
  PeerSide to{op.to, nullptr, static_cast<PlaceKind>(op.to_kind), op.to_pitch, op.to_rows};
  PeerSide from{op.from, nullptr, static_cast<PlaceKind>(op.from_kind), op.from_pitch, op.from_rows};
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
  if (result == CUDA_SUCCESS) session.contexts().note_peers();
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
