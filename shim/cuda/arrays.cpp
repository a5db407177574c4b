// Arrays and mipmapped arrays. The worker says what an array looks like when it makes it, so questions are answered
// here.
#include "shim/client/arrays.hpp"

#include "shim/client/capture_state.hpp"
#include "shim/client/named_lookup.hpp"
#include "shim/client/request.hpp"
#include "shim/cuda/calls.gen.hpp"

namespace vgpu::shim::calls {
namespace {

uint64_t number(const void* handle) { return reinterpret_cast<uint64_t>(handle); }

/// What refuses any question about arrays.
CUresult refusal() { return Request(api::Op::pad, true).refusal(); }

template <typename Reply>
CUDA_ARRAY3D_DESCRIPTOR shape_in(const Reply& reply) {
  return {reply.width, reply.height, reply.depth, reply.format, reply.channels, reply.flags};
}

CUresult create(CUarray* array, uint32_t dimensions, const CUDA_ARRAY3D_DESCRIPTOR& shape) {
  using Op = api::ops::ArrayCreate;
  Request request(Op::kOp, Op::kNeedsContext);
  if (const CUresult refused = refuse_if_capturing(); refused != CUDA_SUCCESS) return refused;
  NewHandle id(request, wire::Kind::array);
  if (id.value() == 0) return id.why();
  api::ops::ArrayCreateReply reply;
  const CUresult result = call(request,
                               Op{{id.value()},
                                  dimensions,
                                  shape.Width,
                                  shape.Height,
                                  shape.Depth,
                                  shape.Format,
                                  shape.NumChannels,
                                  shape.Flags},
                               reply);
  if (result != CUDA_SUCCESS) return result;
  arrays::add(id.value(), shape_in(reply));
  *array = reinterpret_cast<CUarray>(id.keep());
  return CUDA_SUCCESS;
}

/// An array or mipmapped array; not one that is a part of another.
template <typename Op>
CUresult destroy(uint64_t handle, wire::Kind kind) {
  Request request(Op::kOp, Op::kNeedsContext);
  if (request.refusal() != CUDA_SUCCESS) return request.refusal();
  arrays::ArrayInfo info;
  if (wire::kind_of(handle) != kind || !arrays::find(handle, info) || info.owner != 0) return CUDA_ERROR_INVALID_HANDLE;
  if (const CUresult refused = refuse_if_capturing(); refused != CUDA_SUCCESS) return refused;
  request.body().put(handle);
  const CUresult result = request.call();
  if (request.took_effect()) arrays::remove(handle);
  return result;
}

/// A plane or level: asked for once, the same handle from then on.
template <typename Op, typename Reply>
CUresult part(CUarray* out, uint64_t owner, wire::Kind kind, unsigned index) {
  Request request(Op::kOp, Op::kNeedsContext);
  if (request.refusal() != CUDA_SUCCESS) return request.refusal();
  arrays::ArrayInfo info;
  if (out == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (wire::kind_of(owner) != kind || !arrays::find(owner, info)) return CUDA_ERROR_INVALID_HANDLE;
  if (const uint64_t known = arrays::part_of(owner, index); known != 0) {
    *out = reinterpret_cast<CUarray>(known);
    return CUDA_SUCCESS;
  }
  NewHandle id(request, wire::Kind::array);
  if (id.value() == 0) return id.why();
  Reply reply;
  const CUresult result = call(request, Op{{owner}, {id.value()}, index}, reply);
  if (result != CUDA_SUCCESS) return result;
  *out = reinterpret_cast<CUarray>(arrays::add_part(owner, index, id.keep(), shape_in(reply)));
  return CUDA_SUCCESS;
}

CUresult memory_requirements(CUDA_ARRAY_MEMORY_REQUIREMENTS* out, uint64_t of, CUdevice device) {
  using Op = api::ops::ArrayMemoryRequirements;
  Request request(Op::kOp, Op::kNeedsContext);
  if (request.refusal() != CUDA_SUCCESS) return request.refusal();
  if (out == nullptr) return CUDA_ERROR_INVALID_VALUE;
  api::ops::ArrayMemoryRequirementsReply reply;
  const CUresult result = call(request, Op{of, device}, reply);
  if (result == CUDA_SUCCESS) *out = {reply.size, reply.alignment, {}};
  return result;
}

CUresult sparse_properties(CUDA_ARRAY_SPARSE_PROPERTIES* out, uint64_t of) {
  using Op = api::ops::ArraySparseProperties;
  Request request(Op::kOp, Op::kNeedsContext);
  if (request.refusal() != CUDA_SUCCESS) return request.refusal();
  if (out == nullptr) return CUDA_ERROR_INVALID_VALUE;
  api::ops::ArraySparsePropertiesReply reply;
  const CUresult result = call(request, Op{of}, reply);
  if (result == CUDA_SUCCESS)
    *out = {
        {reply.tile_width, reply.tile_height, reply.tile_depth}, reply.tail_level, reply.tail_size, reply.flags, {}};
  return result;
}

/// What an array looks like.
CUresult look_at(const void* out, CUarray array, arrays::ArrayInfo& info) {
  if (const CUresult refused = refusal(); refused != CUDA_SUCCESS) return refused;
  if (out == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const bool known = wire::kind_of(number(array)) == wire::Kind::array && arrays::find(number(array), info);
  return known ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

}  // namespace

CUresult cuArrayCreate_v2(CUarray* pHandle, const CUDA_ARRAY_DESCRIPTOR* pAllocateArray) {
  if (const CUresult refused = refusal(); refused != CUDA_SUCCESS) return refused;
  if (pHandle == nullptr || pAllocateArray == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const CUDA_ARRAY_DESCRIPTOR& flat = *pAllocateArray;
  return create(pHandle, 2, {flat.Width, flat.Height, 0, flat.Format, flat.NumChannels, 0});
}

CUresult cuArray3DCreate_v2(CUarray* pHandle, const CUDA_ARRAY3D_DESCRIPTOR* pAllocateArray) {
  if (const CUresult refused = refusal(); refused != CUDA_SUCCESS) return refused;
  if (pHandle == nullptr || pAllocateArray == nullptr) return CUDA_ERROR_INVALID_VALUE;
  return create(pHandle, 3, *pAllocateArray);
}

CUresult cuArrayGetDescriptor_v2(CUDA_ARRAY_DESCRIPTOR* pArrayDescriptor, CUarray hArray) {
  arrays::ArrayInfo info;
  if (const CUresult result = look_at(pArrayDescriptor, hArray, info); result != CUDA_SUCCESS) return result;
  *pArrayDescriptor = {info.shape.Width, info.shape.Height, info.shape.Format, info.shape.NumChannels};
  return CUDA_SUCCESS;
}

CUresult cuArray3DGetDescriptor_v2(CUDA_ARRAY3D_DESCRIPTOR* pArrayDescriptor, CUarray hArray) {
  arrays::ArrayInfo info;
  if (const CUresult result = look_at(pArrayDescriptor, hArray, info); result != CUDA_SUCCESS) return result;
  *pArrayDescriptor = info.shape;
  return CUDA_SUCCESS;
}

CUresult cuArrayDestroy(CUarray hArray) { return destroy<api::ops::ArrayDestroy>(number(hArray), wire::Kind::array); }

CUresult cuArrayGetPlane(CUarray* pPlaneArray, CUarray hArray, unsigned planeIdx) {
  return part<api::ops::ArrayPlane, api::ops::ArrayPlaneReply>(pPlaneArray, number(hArray), wire::Kind::array,
                                                               planeIdx);
}

CUresult cuArrayGetMemoryRequirements(CUDA_ARRAY_MEMORY_REQUIREMENTS* memoryRequirements, CUarray array,
                                      CUdevice device) {
  return memory_requirements(memoryRequirements, number(array), device);
}

CUresult cuArrayGetSparseProperties(CUDA_ARRAY_SPARSE_PROPERTIES* sparseProperties, CUarray array) {
  return sparse_properties(sparseProperties, number(array));
}

CUresult cuMipmappedArrayCreate(CUmipmappedArray* pHandle, const CUDA_ARRAY3D_DESCRIPTOR* pMipmappedArrayDesc,
                                unsigned numMipmapLevels) {
  using Op = api::ops::MipmapCreate;
  Request request(Op::kOp, Op::kNeedsContext);
  if (request.refusal() != CUDA_SUCCESS) return request.refusal();
  if (pHandle == nullptr || pMipmappedArrayDesc == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (const CUresult refused = refuse_if_capturing(); refused != CUDA_SUCCESS) return refused;
  NewHandle id(request, wire::Kind::mipmap);
  if (id.value() == 0) return id.why();
  const CUDA_ARRAY3D_DESCRIPTOR& shape = *pMipmappedArrayDesc;
  Op{{id.value()}, shape.Width,       shape.Height, shape.Depth,
     shape.Format, shape.NumChannels, shape.Flags,  numMipmapLevels}
      .encode(request.body());
  if (const CUresult result = request.call(); result != CUDA_SUCCESS) return result;
  arrays::add(id.value(), shape);
  *pHandle = reinterpret_cast<CUmipmappedArray>(id.keep());
  return CUDA_SUCCESS;
}

CUresult cuMipmappedArrayDestroy(CUmipmappedArray hMipmappedArray) {
  return destroy<api::ops::MipmapDestroy>(number(hMipmappedArray), wire::Kind::mipmap);
}

CUresult cuMipmappedArrayGetLevel(CUarray* pLevelArray, CUmipmappedArray hMipmappedArray, unsigned level) {
  return part<api::ops::MipmapLevel, api::ops::MipmapLevelReply>(pLevelArray, number(hMipmappedArray),
                                                                 wire::Kind::mipmap, level);
}

CUresult cuMipmappedArrayGetMemoryRequirements(CUDA_ARRAY_MEMORY_REQUIREMENTS* memoryRequirements,
                                               CUmipmappedArray mipmap, CUdevice device) {
  return memory_requirements(memoryRequirements, number(mipmap), device);
}

CUresult cuMipmappedArrayGetSparseProperties(CUDA_ARRAY_SPARSE_PROPERTIES* sparseProperties, CUmipmappedArray mipmap) {
  return sparse_properties(sparseProperties, number(mipmap));
}

}  // namespace vgpu::shim::calls
