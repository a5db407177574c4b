// Texture and surface objects. Their numbers are the driver's own: kernels take them as parameters.
#include "shim/client/textures.hpp"

#include "shim/client/request.hpp"
#include "shim/cuda/calls.gen.hpp"

namespace vgpu::shim::calls {
namespace {

using textures::Kind;
using textures::ObjectInfo;

template <typename T>
wire::Bytes bytes_of(const T& value) {
  return {reinterpret_cast<const uint8_t*>(&value), sizeof value};
}

CUresult destroy(Kind kind, api::Op op, uint64_t object) {
  Request request(op, true);
  if (request.refusal() != CUDA_SUCCESS) return request.refusal();
  ObjectInfo info;
  if (!textures::find(kind, object, info)) return CUDA_ERROR_INVALID_VALUE;
  // Off the list first: as soon as it is gone, another thread may be given the number.
  textures::remove(kind, object);
  request.body().put(object);
  const CUresult result = request.call();
  if (result != CUDA_SUCCESS && !request.took_effect()) textures::add(kind, object, info);
  return result;
}

CUresult look_at(Kind kind, const void* out, uint64_t object, ObjectInfo& info) {
  if (const CUresult refused = Request(api::Op::pad, true).refusal(); refused != CUDA_SUCCESS) return refused;
  return out != nullptr && textures::find(kind, object, info) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

}  // namespace

CUresult cuTexObjectCreate(CUtexObject* pTexObject, const CUDA_RESOURCE_DESC* pResDesc,
                           const CUDA_TEXTURE_DESC* pTexDesc, const CUDA_RESOURCE_VIEW_DESC* pResViewDesc) {
  using Op = api::ops::TextureCreate;
  Request request(Op::kOp, Op::kNeedsContext);
  if (request.refusal() != CUDA_SUCCESS) return request.refusal();
  if (pTexObject == nullptr || pResDesc == nullptr || pTexDesc == nullptr) return CUDA_ERROR_INVALID_VALUE;
  ObjectInfo info{*pResDesc, *pTexDesc, {}};
  if (pResViewDesc != nullptr) info.view = *pResViewDesc;
  api::ops::TextureCreateReply reply;
  const CUresult result = call(
      request, Op{bytes_of(info.resource), bytes_of(info.texture), info.view ? bytes_of(*info.view) : wire::Bytes()},
      reply);
  if (result != CUDA_SUCCESS) return result;
  textures::add(Kind::texture, reply.object, info);
  *pTexObject = reply.object;
  return CUDA_SUCCESS;
}

CUresult cuTexObjectDestroy(CUtexObject texObject) {
  return destroy(Kind::texture, api::Op::texture_destroy, texObject);
}

CUresult cuTexObjectGetResourceDesc(CUDA_RESOURCE_DESC* pResDesc, CUtexObject texObject) {
  ObjectInfo info;
  const CUresult result = look_at(Kind::texture, pResDesc, texObject, info);
  if (result == CUDA_SUCCESS) *pResDesc = info.resource;
  return result;
}

CUresult cuTexObjectGetTextureDesc(CUDA_TEXTURE_DESC* pTexDesc, CUtexObject texObject) {
  ObjectInfo info;
  const CUresult result = look_at(Kind::texture, pTexDesc, texObject, info);
  if (result == CUDA_SUCCESS) *pTexDesc = info.texture;
  return result;
}

CUresult cuTexObjectGetResourceViewDesc(CUDA_RESOURCE_VIEW_DESC* pResViewDesc, CUtexObject texObject) {
  ObjectInfo info;
  const CUresult result = look_at(Kind::texture, pResViewDesc, texObject, info);
  if (result != CUDA_SUCCESS) return result;
  if (!info.view) return CUDA_ERROR_INVALID_VALUE;  // it was made without
  *pResViewDesc = *info.view;
  return CUDA_SUCCESS;
}

CUresult cuSurfObjectCreate(CUsurfObject* pSurfObject, const CUDA_RESOURCE_DESC* pResDesc) {
  using Op = api::ops::SurfaceCreate;
  Request request(Op::kOp, Op::kNeedsContext);
  if (request.refusal() != CUDA_SUCCESS) return request.refusal();
  if (pSurfObject == nullptr || pResDesc == nullptr) return CUDA_ERROR_INVALID_VALUE;
  api::ops::SurfaceCreateReply reply;
  const CUresult result = call(request, Op{bytes_of(*pResDesc)}, reply);
  if (result != CUDA_SUCCESS) return result;
  textures::add(Kind::surface, reply.object, {*pResDesc, {}, {}});
  *pSurfObject = reply.object;
  return CUDA_SUCCESS;
}

CUresult cuSurfObjectDestroy(CUsurfObject surfObject) {
  return destroy(Kind::surface, api::Op::surface_destroy, surfObject);
}

CUresult cuSurfObjectGetResourceDesc(CUDA_RESOURCE_DESC* pResDesc, CUsurfObject surfObject) {
  ObjectInfo info;
  const CUresult result = look_at(Kind::surface, pResDesc, surfObject, info);
  if (result == CUDA_SUCCESS) *pResDesc = info.resource;
  return result;
}

}  // namespace vgpu::shim::calls
