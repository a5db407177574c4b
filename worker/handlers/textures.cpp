// Texture and surface objects. Kernels take their numbers as parameters, so the client gets the driver's own; they are
// looked up when they come back. What a description names must be the client's.
#include <cstring>

#include "common/api/array_shape.hpp"
#include "worker/handlers/handlers.gen.hpp"
#include "worker/session.hpp"

namespace vgpu::worker::handlers {
namespace {

template <typename T>
bool take(wire::Bytes bytes, T& out) {
  if (bytes.size() != sizeof out) return false;
  std::memcpy(&out, bytes.data(), sizeof out);
  return true;
}

CUresult check_linear(Session& session, const CUDA_RESOURCE_DESC& asked, CUDA_RESOURCE_DESC& out) {
  out.res.linear = asked.res.linear;
  return session.allocations().covers(asked.res.linear.devPtr, asked.res.linear.sizeInBytes) ? CUDA_SUCCESS
                                                                                             : CUDA_ERROR_INVALID_VALUE;
}

CUresult check_rows(Session& session, const CUDA_RESOURCE_DESC& asked, CUDA_RESOURCE_DESC& out) {
  const auto& rows = asked.res.pitch2D;
  out.res.pitch2D = rows;
  constexpr uint64_t kMostOfElement = 16;
  const uint64_t element = element_bytes(rows.format, rows.numChannels);
  uint64_t width = 0, size = 0;
  const bool fits = rows.height != 0 &&
                    !__builtin_mul_overflow(element != 0 ? element : kMostOfElement, uint64_t{rows.width}, &width) &&
                    width <= rows.pitchInBytes &&
                    !__builtin_mul_overflow(uint64_t{rows.pitchInBytes}, rows.height - 1, &size) &&
                    !__builtin_add_overflow(size, width, &size);
  return fits && session.allocations().covers(rows.devPtr, size) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

/// The description as the driver takes it: with its own array, and nothing of what the client put beside it.
CUresult check_resource(Session& session, const CUDA_RESOURCE_DESC& asked, CUDA_RESOURCE_DESC& out) {
  out = {};
  out.resType = asked.resType;
  out.flags = asked.flags;
  switch (asked.resType) {
    case CU_RESOURCE_TYPE_ARRAY:
      return session.objects().find(reinterpret_cast<uint64_t>(asked.res.array), out.res.array)
                 ? CUDA_SUCCESS
                 : CUDA_ERROR_INVALID_HANDLE;
    case CU_RESOURCE_TYPE_MIPMAPPED_ARRAY:
      return session.objects().find(reinterpret_cast<uint64_t>(asked.res.mipmap), out.res.mipmap)
                 ? CUDA_SUCCESS
                 : CUDA_ERROR_INVALID_HANDLE;
    case CU_RESOURCE_TYPE_LINEAR:
      return check_linear(session, asked, out);
    case CU_RESOURCE_TYPE_PITCH2D:
      return check_rows(session, asked, out);
    default:
      return CUDA_ERROR_INVALID_VALUE;
  }
}

template <typename Destroy>
CUresult destroy_object(ObjectNumbers& objects, uint64_t context, uint64_t object, Destroy destroy) {
  if (destroy == nullptr || !objects.contains(context, object)) return CUDA_ERROR_INVALID_VALUE;
  const CUresult result = destroy(object);
  if (result == CUDA_SUCCESS) objects.remove(context, object);
  return result;
}

}  // namespace

void texture_create(Session& session, const api::ops::TextureCreate& op, Call& call) {
  const auto create = session.driver().cuTexObjectCreate;
  CUDA_RESOURCE_DESC asked{}, resource{};
  CUDA_TEXTURE_DESC texture{};
  CUDA_RESOURCE_VIEW_DESC view{};
  if (create == nullptr) return call.finish(CUDA_ERROR_NOT_SUPPORTED);
  if (!take(op.resource, asked) || !take(op.texture, texture) || (!op.view.empty() && !take(op.view, view)))
    return call.finish(session.violation("a texture's description of another size"));
  if (session.objects().textures.is_full()) return call.finish(CUDA_ERROR_OUT_OF_MEMORY);
  if (const CUresult refused = check_resource(session, asked, resource); refused != CUDA_SUCCESS)
    return call.finish(refused);
  CUtexObject object = 0;
  const CUresult result = create(&object, &resource, &texture, op.view.empty() ? nullptr : &view);
  if (result == CUDA_SUCCESS) session.objects().textures.add(session.context_handle(), object);
  api::ops::TextureCreateReply{object}.encode(call.reply());
  call.finish(result);
}

void texture_destroy(Session& session, const api::ops::TextureDestroy& op, Call& call) {
  call.finish(destroy_object(session.objects().textures, session.context_handle(), op.object,
                             session.driver().cuTexObjectDestroy));
}

void surface_create(Session& session, const api::ops::SurfaceCreate& op, Call& call) {
  const auto create = session.driver().cuSurfObjectCreate;
  CUDA_RESOURCE_DESC asked{}, resource{};
  if (create == nullptr) return call.finish(CUDA_ERROR_NOT_SUPPORTED);
  if (!take(op.resource, asked)) return call.finish(session.violation("a surface's description of another size"));
  if (session.objects().surfaces.is_full()) return call.finish(CUDA_ERROR_OUT_OF_MEMORY);
  if (const CUresult refused = check_resource(session, asked, resource); refused != CUDA_SUCCESS)
    return call.finish(refused);
  CUsurfObject object = 0;
  const CUresult result = create(&object, &resource);
  if (result == CUDA_SUCCESS) session.objects().surfaces.add(session.context_handle(), object);
  api::ops::SurfaceCreateReply{object}.encode(call.reply());
  call.finish(result);
}

void surface_destroy(Session& session, const api::ops::SurfaceDestroy& op, Call& call) {
  call.finish(destroy_object(session.objects().surfaces, session.context_handle(), op.object,
                             session.driver().cuSurfObjectDestroy));
}

}  // namespace vgpu::worker::handlers
