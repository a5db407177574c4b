// Texture and surface references: the way of programs older than texture objects. Most of their calls are forwarded;
// here are those that make, end or name references, or name memory.
#include <algorithm>
#include <cstring>
#include <string>

#include "shim/client/code_objects.hpp"
#include "shim/client/named_lookup.hpp"
#include "shim/client/request.hpp"
#include "shim/client/textures.hpp"
#include "shim/cuda/calls.gen.hpp"

namespace vgpu::shim::calls {
namespace {

template <typename T>
uint64_t number(T* handle) {
  return reinterpret_cast<uint64_t>(handle);
}

/// A reference that a module declares: asked for once, the same handle from then on. In the module's list of names it
/// stands with a word before its own, for a function may have that too.
template <typename Handle>
CUresult of_module(Handle* out, CUmodule module, const char* name, api::Op op, wire::Kind kind, const char* word) {
  if (out == nullptr || name == nullptr) return CUDA_ERROR_INVALID_VALUE;
  Request request(op, true);
  if (request.refusal() != CUDA_SUCCESS) return request.refusal();
  const uint64_t owner = number(module);
  if (wire::kind_of(owner) != wire::Kind::module || !code_objects::exists(owner)) return CUDA_ERROR_INVALID_HANDLE;
  const std::string listed = std::string(word) + name;
  uint64_t handle = code_objects::function_named(owner, listed);
  if (handle == 0) {
    NewHandle id(request, kind);
    if (id.value() == 0) return id.why();
    if (const CUresult result = ask_by_name(request, owner, id.value(), name); result != CUDA_SUCCESS) return result;
    textures::add_reference(id.value(), owner);
    handle = code_objects::remember_named(owner, listed, id.keep());
  }
  *out = reinterpret_cast<Handle>(handle);
  return CUDA_SUCCESS;
}

/// What kernels reach through a reference.
template <typename Handle>
CUresult bound_to(const void* out, Handle* reference, textures::Bound& bound) {
  if (const CUresult refused = Request(api::Op::pad, true).refusal(); refused != CUDA_SUCCESS) return refused;
  uint64_t module = 0;
  return out != nullptr && textures::find_reference(number(reference), bound, module) ? CUDA_SUCCESS
                                                                                      : CUDA_ERROR_INVALID_VALUE;
}

CUresult set_rows(CUtexref reference, const CUDA_ARRAY_DESCRIPTOR* shape, CUdeviceptr address, size_t pitch,
                  uint32_t revision) {
  using Op = api::ops::TexrefSetAddress2d;
  Request request(Op::kOp, Op::kNeedsContext);
  if (request.refusal() != CUDA_SUCCESS) return request.refusal();
  if (reference == nullptr || shape == nullptr) return CUDA_ERROR_INVALID_VALUE;
  Op{{number(reference)}, shape->Format, shape->NumChannels, shape->Width, shape->Height, address, pitch, revision}
      .encode(request.body());
  const CUresult result = request.call();
  if (result == CUDA_SUCCESS) textures::bind_reference(number(reference), {});
  return result;
}

}  // namespace

CUresult cuModuleGetTexRef(CUtexref* pTexRef, CUmodule hmod, const char* name) {
  return of_module(pTexRef, hmod, name, api::Op::module_get_texref, wire::Kind::texref, "texture ");
}

CUresult cuModuleGetSurfRef(CUsurfref* pSurfRef, CUmodule hmod, const char* name) {
  return of_module(pSurfRef, hmod, name, api::Op::module_get_surfref, wire::Kind::surfref, "surface ");
}

CUresult cuTexRefCreate(CUtexref* pTexRef) {
  using Op = api::ops::TexrefCreate;
  Request request(Op::kOp, Op::kNeedsContext);
  if (request.refusal() != CUDA_SUCCESS) return request.refusal();
  if (pTexRef == nullptr) return CUDA_ERROR_INVALID_VALUE;
  NewHandle id(request, wire::Kind::texref);
  if (id.value() == 0) return id.why();
  request.body().put(id.value());
  if (const CUresult result = request.call(); result != CUDA_SUCCESS) return result;
  textures::add_reference(id.value(), 0);
  *pTexRef = reinterpret_cast<CUtexref>(id.keep());
  return CUDA_SUCCESS;
}

CUresult cuTexRefDestroy(CUtexref hTexRef) {
  using Op = api::ops::TexrefDestroy;
  Request request(Op::kOp, Op::kNeedsContext);
  if (request.refusal() != CUDA_SUCCESS) return request.refusal();
  textures::Bound bound;
  uint64_t module = 0;
  if (!textures::find_reference(number(hTexRef), bound, module) || module != 0) return CUDA_ERROR_INVALID_VALUE;
  request.put(hTexRef);
  const CUresult result = request.call();
  if (request.took_effect()) textures::remove_reference(number(hTexRef));
  return result;
}

CUresult cuTexRefSetAddress_v2(size_t* ByteOffset, CUtexref hTexRef, CUdeviceptr dptr, size_t bytes) {
  using Op = api::ops::TexrefSetAddress;
  Request request(Op::kOp, Op::kNeedsContext);
  if (request.refusal() != CUDA_SUCCESS) return request.refusal();
  if (hTexRef == nullptr) return CUDA_ERROR_INVALID_VALUE;
  api::ops::TexrefSetAddressReply reply;
  const CUresult result = call(request, Op{{number(hTexRef)}, dptr, bytes}, reply);
  if (result != CUDA_SUCCESS) return result;
  textures::bind_reference(number(hTexRef), {});
  if (ByteOffset != nullptr) *ByteOffset = reply.offset;
  return CUDA_SUCCESS;
}

CUresult cuTexRefSetAddress2D_v2(CUtexref hTexRef, const CUDA_ARRAY_DESCRIPTOR* desc, CUdeviceptr dptr, size_t Pitch) {
  return set_rows(hTexRef, desc, dptr, Pitch, 2);
}

CUresult cuTexRefSetAddress2D_v3(CUtexref hTexRef, const CUDA_ARRAY_DESCRIPTOR* desc, CUdeviceptr dptr, size_t Pitch) {
  return set_rows(hTexRef, desc, dptr, Pitch, 3);
}

CUresult cuTexRefSetBorderColor(CUtexref hTexRef, float* pBorderColor) {
  using Op = api::ops::TexrefSetBorderColor;
  if (const CUresult refused = Request(Op::kOp, Op::kNeedsContext).refusal(); refused != CUDA_SUCCESS) return refused;
  if (hTexRef == nullptr || pBorderColor == nullptr) return CUDA_ERROR_INVALID_VALUE;
  return call(Op{{number(hTexRef)}, {reinterpret_cast<const uint8_t*>(pBorderColor), 4 * sizeof(float)}});
}

CUresult cuTexRefGetBorderColor(float* pBorderColor, CUtexref hTexRef) {
  using Op = api::ops::TexrefGetBorderColor;
  Request request(Op::kOp, Op::kNeedsContext);
  if (request.refusal() != CUDA_SUCCESS) return request.refusal();
  if (hTexRef == nullptr || pBorderColor == nullptr) return CUDA_ERROR_INVALID_VALUE;
  api::ops::TexrefGetBorderColorReply reply;
  const CUresult result = call(request, Op{{number(hTexRef)}}, reply);
  if (result == CUDA_SUCCESS)
    std::memcpy(pBorderColor, reply.color.data(), std::min(reply.color.size(), 4 * sizeof(float)));
  return result;
}

CUresult cuTexRefGetArray(CUarray* phArray, CUtexref hTexRef) {
  textures::Bound bound;
  if (const CUresult result = bound_to(phArray, hTexRef, bound); result != CUDA_SUCCESS) return result;
  if (bound.array == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *phArray = bound.array;
  return CUDA_SUCCESS;
}

CUresult cuTexRefGetMipmappedArray(CUmipmappedArray* phMipmappedArray, CUtexref hTexRef) {
  textures::Bound bound;
  if (const CUresult result = bound_to(phMipmappedArray, hTexRef, bound); result != CUDA_SUCCESS) return result;
  if (bound.mipmap == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *phMipmappedArray = bound.mipmap;
  return CUDA_SUCCESS;
}

CUresult cuSurfRefSetArray(CUsurfref hSurfRef, CUarray hArray, unsigned Flags) {
  using Op = api::ops::SurfrefSetArray;
  Request request(Op::kOp, Op::kNeedsContext);
  if (request.refusal() != CUDA_SUCCESS) return request.refusal();
  if (hSurfRef == nullptr) return CUDA_ERROR_INVALID_VALUE;
  Op{{number(hSurfRef)}, {number(hArray)}, Flags}.encode(request.body());
  const CUresult result = request.call();
  if (result == CUDA_SUCCESS) textures::bind_reference(number(hSurfRef), {hArray, nullptr});
  return result;
}

CUresult cuSurfRefGetArray(CUarray* phArray, CUsurfref hSurfRef) {
  textures::Bound bound;
  if (const CUresult result = bound_to(phArray, hSurfRef, bound); result != CUDA_SUCCESS) return result;
  if (bound.array == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *phArray = bound.array;
  return CUDA_SUCCESS;
}

}  // namespace vgpu::shim::calls
