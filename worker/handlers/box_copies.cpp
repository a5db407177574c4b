// Copies of boxes between memory and arrays. Host memory is the window's, registered with the driver, so none of them
// waits in it.
#include "common/api/array_shape.hpp"
#include "worker/handlers/handlers.gen.hpp"
#include "worker/session.hpp"

namespace vgpu::worker::handlers {
namespace {

enum SideKind : uint32_t { kDevice = 0, kWindow = 1, kArray = 2 };

struct Side {
  uint32_t kind = 0;
  uint64_t at = 0;  ///< as the kind says; of memory, its address once checked
  uint64_t pitch = 0, rows = 0;
  uint64_t x = 0, y = 0, z = 0;
  CUarray array = nullptr;
};

struct Box {
  uint64_t width = 0, height = 0, depth = 0;
};

/// Bytes from the first to the last that the box touches; false if that is no number or rows would overlap.
bool extent_of(const Side& side, const Box& box, uint64_t& size) {
  if (box.width == 0 || box.height == 0 || box.depth == 0) return false;
  if ((box.height > 1 && side.pitch < box.width) || (box.depth > 1 && side.rows < box.height)) return false;
  uint64_t slice = 0, slices = 0, rows = 0;
  return !__builtin_mul_overflow(side.pitch, side.rows, &slice) &&
         !__builtin_mul_overflow(slice, box.depth - 1, &slices) &&
         !__builtin_mul_overflow(side.pitch, box.height - 1, &rows) && !__builtin_add_overflow(slices, rows, &size) &&
         !__builtin_add_overflow(size, box.width, &size);
}

CUresult check_array(Session& session, Side& side, const Box& box) {
  const Array* array = session.objects().arrays.arrays.find(side.at);
  if (array == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  side.array = array->real;
  return contains_box(array->shape, side.x, side.y, side.z, box.width, box.height, box.depth)
             ? CUDA_SUCCESS
             : CUDA_ERROR_INVALID_VALUE;
}

CUresult check_side(Session& session, Side& side, const Box& box) {
  if (side.kind == kArray) return check_array(session, side, box);
  if (side.kind != kDevice && side.kind != kWindow) return session.violation("a copy of an unknown kind of memory");
  uint64_t size = 0;
  if (!extent_of(side, box, size)) return CUDA_ERROR_INVALID_VALUE;
  if (side.kind == kWindow) {
    if (!session.window().heap_contains(side.at, size)) return session.violation("a copy outside the window's heap");
    // Window memory is reached by its device address, which equals its host address.
    side.at += session.window().base();
  }
  return session.allocations().covers(side.at, size) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUmemorytype type_of(const Side& side) {
  if (side.kind == kArray) return CU_MEMORYTYPE_ARRAY;
  return side.kind == kWindow ? CU_MEMORYTYPE_HOST : CU_MEMORYTYPE_DEVICE;
}

CUDA_MEMCPY3D describe(const Side& to, const Side& from, const Box& box) {
  CUDA_MEMCPY3D what{};
  what.dstMemoryType = type_of(to);
  what.dstXInBytes = to.x;
  what.dstY = to.y;
  what.dstZ = to.z;
  if (to.kind == kWindow) what.dstHost = reinterpret_cast<void*>(to.at);
  if (to.kind == kDevice) what.dstDevice = to.at;
  what.dstArray = to.array;
  what.dstPitch = to.pitch;
  what.dstHeight = to.rows;
  what.srcMemoryType = type_of(from);
  what.srcXInBytes = from.x;
  what.srcY = from.y;
  what.srcZ = from.z;
  if (from.kind == kWindow) what.srcHost = reinterpret_cast<const void*>(from.at);
  if (from.kind == kDevice) what.srcDevice = from.at;
  what.srcArray = from.array;
  what.srcPitch = from.pitch;
  what.srcHeight = from.rows;
  what.WidthInBytes = box.width;
  what.Height = box.height;
  what.Depth = box.depth;
  return what;
}

}  // namespace

void copy_box(Session& session, const api::ops::CopyBox& op, Call& call) {
  const auto copy = session.driver().cuMemcpy3DAsync_v2;
  CUstream stream = nullptr;
  if (copy == nullptr) return call.finish(CUDA_ERROR_NOT_SUPPORTED);
  if (!session.objects().find(op.on.value, stream)) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  const Box box{op.width, op.height, op.depth};
  Side to{op.to_kind, op.to, op.to_pitch, op.to_rows, op.to_x, op.to_y, op.to_z};
  Side from{op.from_kind, op.from, op.from_pitch, op.from_rows, op.from_x, op.from_y, op.from_z};
  // Of memory it is told where the box begins; a number beside that would move it.
  for (Side* side : {&to, &from})
    if (side->kind != kArray) side->x = side->y = side->z = 0;
  if (const CUresult result = check_side(session, to, box); result != CUDA_SUCCESS) return call.finish(result);
  if (const CUresult result = check_side(session, from, box); result != CUDA_SUCCESS) return call.finish(result);
  const CUDA_MEMCPY3D what = describe(to, from, box);
  const CUresult result = copy(&what, stream);
  if (result == CUDA_SUCCESS) session.dispatcher().count(op.on.value);
  call.finish(result);
}

}  // namespace vgpu::worker::handlers
