// Arrays and mipmapped arrays. What an array looks like goes back with its handle, so that the guest answers what
// programs ask of it later.
#include "common/api/array_shape.hpp"
#include "worker/handlers/handlers.gen.hpp"
#include "worker/handlers/new_handle.hpp"
#include "worker/session.hpp"

namespace vgpu::worker::handlers {
namespace {

/// Memory for these would be mapped piece by piece (cuMemMapArrayAsync), which is not supported; the device says so.
constexpr unsigned kMappedLater = CUDA_ARRAY3D_SPARSE | CUDA_ARRAY3D_DEFERRED_MAPPING;

template <typename Op>
CUDA_ARRAY3D_DESCRIPTOR shape_in(const Op& op) {
  return {op.width, op.height, op.depth, op.format, op.channels, op.flags};
}

CUresult check_shape(const CUDA_ARRAY3D_DESCRIPTOR& shape) {
  if ((shape.Flags & kMappedLater) != 0) return CUDA_ERROR_NOT_SUPPORTED;
  return array_bytes(shape) == ~uint64_t{0} ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

CUresult check_handle(Session& session, uint64_t handle) {
  return check_new(session, session.objects().arrays.arrays, handle, "an array handle that cannot be made");
}

/// What the driver says of an array that it has made; `given` where it cannot.
CUDA_ARRAY3D_DESCRIPTOR shape_of(Session& session, CUarray array, CUDA_ARRAY3D_DESCRIPTOR given) {
  const auto get = session.driver().cuArray3DGetDescriptor_v2;
  CUDA_ARRAY3D_DESCRIPTOR shape{};
  return get != nullptr && get(&shape, array) == CUDA_SUCCESS ? shape : given;
}

template <typename Reply>
void finish_with_shape(Call& call, CUresult result, const CUDA_ARRAY3D_DESCRIPTOR& shape) {
  Reply{shape.Width, shape.Height, shape.Depth, shape.Format, shape.NumChannels, shape.Flags}.encode(call.reply());
  call.finish(result);
}

CUresult create(Session& session, uint32_t dimensions, const CUDA_ARRAY3D_DESCRIPTOR& shape, CUarray& array) {
  const DriverTable& driver = session.driver();
  if (dimensions == 3)
    return driver.cuArray3DCreate_v2 == nullptr ? CUDA_ERROR_NOT_SUPPORTED : driver.cuArray3DCreate_v2(&array, &shape);
  const CUDA_ARRAY_DESCRIPTOR flat{shape.Width, shape.Height, shape.Format, shape.NumChannels};
  return driver.cuArrayCreate_v2 == nullptr ? CUDA_ERROR_NOT_SUPPORTED : driver.cuArrayCreate_v2(&array, &flat);
}

/// An array inside another, or inside a mipmapped array: its memory is counted there.
CUDA_ARRAY3D_DESCRIPTOR bind_part(Session& session, uint64_t handle, CUarray real, uint64_t owner, uint64_t context) {
  const CUDA_ARRAY3D_DESCRIPTOR shape = shape_of(session, real, {});
  session.objects().arrays.arrays.bind(handle, {real, context, owner, 0, shape});
  return shape;
}

/// Calls the driver's question about arrays or the one about mipmapped arrays, whichever the handle is of.
template <typename OfArray, typename OfMipmap>
CUresult ask(Session& session, uint64_t handle, OfArray of_array, OfMipmap of_mipmap) {
  CUarray array = nullptr;
  CUmipmappedArray mipmap = nullptr;
  if (session.objects().find(handle, array)) return of_array(array);
  if (session.objects().find(handle, mipmap)) return of_mipmap(mipmap);
  return CUDA_ERROR_INVALID_HANDLE;
}

}  // namespace

void array_create(Session& session, const api::ops::ArrayCreate& op, Call& call) {
  CUDA_ARRAY3D_DESCRIPTOR shape = shape_in(op);
  if (const CUresult refused = check_handle(session, op.made.value); refused != CUDA_SUCCESS)
    return call.finish(refused);
  if (const CUresult refused = check_shape(shape); refused != CUDA_SUCCESS) return call.finish(refused);
  CUarray array = nullptr;
  const CUresult result = create(session, op.dimensions, shape, array);
  if (result != CUDA_SUCCESS) return call.finish(result);
  const uint64_t charged = array_bytes(shape);
  shape = shape_of(session, array, shape);
  session.objects().arrays.arrays.bind(op.made.value, {array, session.context_handle(), 0, charged, shape});
  session.allocations().charge(session.contexts().device_of(session.context_handle()), charged);
  finish_with_shape<api::ops::ArrayCreateReply>(call, result, shape);
}

void array_destroy(Session& session, const api::ops::ArrayDestroy& op, Call& call) {
  const Array* array = session.objects().arrays.arrays.find(op.id.value);
  const auto destroy = session.driver().cuArrayDestroy;
  if (array == nullptr || array->owner != 0 || destroy == nullptr) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  const uint64_t charged = array->charged;
  const unsigned device = session.contexts().device_of(array->context);
  const CUresult result = destroy(array->real);
  if (result == CUDA_SUCCESS) {
    session.objects().arrays.drop(op.id.value);
    session.allocations().discharge(device, charged);
  }
  call.finish(result);
}

void array_plane(Session& session, const api::ops::ArrayPlane& op, Call& call) {
  const auto get = session.driver().cuArrayGetPlane;
  const Array* array = session.objects().arrays.arrays.find(op.of.value);
  CUarray plane = nullptr;
  if (get == nullptr) return call.finish(CUDA_ERROR_NOT_SUPPORTED);
  if (array == nullptr) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  if (const CUresult refused = check_handle(session, op.made.value); refused != CUDA_SUCCESS)
    return call.finish(refused);
  const CUresult result = get(&plane, array->real, op.plane);
  if (result != CUDA_SUCCESS) return call.finish(result);
  // It goes with the whole, be that a mipmapped array.
  const uint64_t owner = array->owner != 0 ? array->owner : op.of.value;
  const uint64_t context = array->context;
  finish_with_shape<api::ops::ArrayPlaneReply>(call, result, bind_part(session, op.made.value, plane, owner, context));
}

void array_memory_requirements(Session& session, const api::ops::ArrayMemoryRequirements& op, Call& call) {
  const DriverTable& driver = session.driver();
  CUDA_ARRAY_MEMORY_REQUIREMENTS needs{};
  if (driver.cuArrayGetMemoryRequirements == nullptr || driver.cuMipmappedArrayGetMemoryRequirements == nullptr)
    return call.finish(CUDA_ERROR_NOT_SUPPORTED);
  const CUresult result = ask(
      session, op.of, [&](CUarray array) { return driver.cuArrayGetMemoryRequirements(&needs, array, op.device); },
      [&](CUmipmappedArray array) { return driver.cuMipmappedArrayGetMemoryRequirements(&needs, array, op.device); });
  api::ops::ArrayMemoryRequirementsReply{needs.size, needs.alignment}.encode(call.reply());
  call.finish(result);
}

void array_sparse_properties(Session& session, const api::ops::ArraySparseProperties& op, Call& call) {
  const DriverTable& driver = session.driver();
  CUDA_ARRAY_SPARSE_PROPERTIES found{};
  if (driver.cuArrayGetSparseProperties == nullptr || driver.cuMipmappedArrayGetSparseProperties == nullptr)
    return call.finish(CUDA_ERROR_NOT_SUPPORTED);
  const CUresult result = ask(
      session, op.of, [&](CUarray array) { return driver.cuArrayGetSparseProperties(&found, array); },
      [&](CUmipmappedArray array) { return driver.cuMipmappedArrayGetSparseProperties(&found, array); });
  api::ops::ArraySparsePropertiesReply{found.tileExtent[0],     found.tileExtent[1], found.tileExtent[2],
                                       found.miptailFirstLevel, found.miptailSize,   found.flags}
      .encode(call.reply());
  call.finish(result);
}

void mipmap_create(Session& session, const api::ops::MipmapCreate& op, Call& call) {
  const auto make = session.driver().cuMipmappedArrayCreate;
  const CUDA_ARRAY3D_DESCRIPTOR shape = shape_in(op);
  if (make == nullptr) return call.finish(CUDA_ERROR_NOT_SUPPORTED);
  if (const CUresult refused = check_new(session, session.objects().arrays.mipmaps, op.made.value,
                                         "a mipmapped array's handle that cannot be made");
      refused != CUDA_SUCCESS)
    return call.finish(refused);
  if (const CUresult refused = check_shape(shape); refused != CUDA_SUCCESS) return call.finish(refused);
  CUmipmappedArray mipmap = nullptr;
  const CUresult result = make(&mipmap, &shape, op.levels);
  if (result != CUDA_SUCCESS) return call.finish(result);
  uint64_t charged = 0;
  const unsigned levels = std::min(op.levels, most_levels(shape));
  for (unsigned level = 0; level < levels; ++level) charged += array_bytes(level_of(shape, level));
  session.objects().arrays.mipmaps.bind(op.made.value, {mipmap, session.context_handle(), charged});
  session.allocations().charge(session.contexts().device_of(session.context_handle()), charged);
  call.finish(result);
}

void mipmap_destroy(Session& session, const api::ops::MipmapDestroy& op, Call& call) {
  const Mipmap* mipmap = session.objects().arrays.mipmaps.find(op.id.value);
  const auto destroy = session.driver().cuMipmappedArrayDestroy;
  if (mipmap == nullptr || destroy == nullptr) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  const uint64_t charged = mipmap->charged;
  const unsigned device = session.contexts().device_of(mipmap->context);
  const CUresult result = destroy(mipmap->real);
  if (result == CUDA_SUCCESS) {
    session.objects().arrays.drop(op.id.value);
    session.allocations().discharge(device, charged);
  }
  call.finish(result);
}

void mipmap_level(Session& session, const api::ops::MipmapLevel& op, Call& call) {
  const auto get = session.driver().cuMipmappedArrayGetLevel;
  const Mipmap* mipmap = session.objects().arrays.mipmaps.find(op.of.value);
  CUarray level = nullptr;
  if (get == nullptr) return call.finish(CUDA_ERROR_NOT_SUPPORTED);
  if (mipmap == nullptr) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  if (const CUresult refused = check_handle(session, op.made.value); refused != CUDA_SUCCESS)
    return call.finish(refused);
  const CUresult result = get(&level, mipmap->real, op.level);
  if (result != CUDA_SUCCESS) return call.finish(result);
  finish_with_shape<api::ops::MipmapLevelReply>(call, result,
                                                bind_part(session, op.made.value, level, op.of.value, mipmap->context));
}

}  // namespace vgpu::worker::handlers
