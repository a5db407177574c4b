// Texture and surface objects: what they look at is found once, when they are made.
#include <cstring>

#include "common/api/array_shape.hpp"
#include "worker/sim/api/entry.hpp"

using namespace vgpu::sim::api;
namespace device = vgpu::sim::device;
namespace exec = vgpu::sim::exec;

VGPU_SIM_EXPORT(cuTexObjectCreate);
VGPU_SIM_EXPORT(cuTexObjectDestroy);
VGPU_SIM_EXPORT(cuTexObjectGetResourceDesc);
VGPU_SIM_EXPORT(cuTexObjectGetTextureDesc);
VGPU_SIM_EXPORT(cuTexObjectGetResourceViewDesc);
VGPU_SIM_EXPORT(cuSurfObjectCreate);
VGPU_SIM_EXPORT(cuSurfObjectDestroy);
VGPU_SIM_EXPORT(cuSurfObjectGetResourceDesc);

namespace {

CUresult from_array(CUarray handle, exec::Texture& out) {
  const auto array = Simulator::get().arrays.find(handle);
  if (array == nullptr) return handle == nullptr ? CUDA_ERROR_INVALID_VALUE : CUDA_ERROR_INVALID_HANDLE;
  out.levels.push_back(array->texels);
  return CUDA_SUCCESS;
}

CUresult from_mipmap(CUmipmappedArray handle, exec::Texture& out) {
  const auto mipmap = Simulator::get().mipmapped_arrays.find(handle);
  if (mipmap == nullptr) return handle == nullptr ? CUDA_ERROR_INVALID_VALUE : CUDA_ERROR_INVALID_HANDLE;
  for (const auto& level : mipmap->levels) out.levels.push_back(level->texels);
  return CUDA_SUCCESS;
}

exec::Texels flat(CUdeviceptr address, unsigned format, unsigned channels) {
  exec::Texels texels;
  texels.address = address;
  texels.format = format;
  texels.channels = channels;
  texels.element = static_cast<std::uint32_t>(element_bytes(format, channels));
  return texels;
}

/// Memory that a texture looks at must begin at a multiple of this.
constexpr std::uint64_t texture_alignment = 512, pitch_alignment = 32;

CUresult from_linear(const CUDA_RESOURCE_DESC& given, exec::Texture& out) {
  const auto& memory = given.res.linear;
  exec::Texels texels = flat(memory.devPtr, memory.format, memory.numChannels);
  if (texels.element == 0 || memory.devPtr == 0 || memory.devPtr % texture_alignment != 0 ||
      memory.sizeInBytes < texels.element)
    return CUDA_ERROR_INVALID_VALUE;
  texels.width = static_cast<std::uint32_t>(memory.sizeInBytes / texels.element);
  out.linear = true;
  out.levels.push_back(texels);
  return CUDA_SUCCESS;
}

CUresult from_rows(const CUDA_RESOURCE_DESC& given, exec::Texture& out) {
  const auto& rows = given.res.pitch2D;
  exec::Texels texels = flat(rows.devPtr, rows.format, rows.numChannels);
  if (texels.element == 0 || rows.devPtr == 0 || rows.devPtr % texture_alignment != 0 || rows.width == 0 ||
      rows.height == 0 || rows.pitchInBytes % pitch_alignment != 0 || rows.pitchInBytes < rows.width * texels.element)
    return CUDA_ERROR_INVALID_VALUE;
  texels.width = static_cast<std::uint32_t>(rows.width);
  texels.height = static_cast<std::uint32_t>(rows.height);
  texels.pitch = rows.pitchInBytes;
  out.levels.push_back(texels);
  return CUDA_SUCCESS;
}

CUresult read(const CUDA_RESOURCE_DESC& given, exec::Texture& out) {
  if (given.flags != 0) return CUDA_ERROR_INVALID_VALUE;
  switch (given.resType) {
    case CU_RESOURCE_TYPE_ARRAY:
      return from_array(given.res.array, out);
    case CU_RESOURCE_TYPE_MIPMAPPED_ARRAY:
      return from_mipmap(given.res.mipmap, out);
    case CU_RESOURCE_TYPE_LINEAR:
      return from_linear(given, out);
    case CU_RESOURCE_TYPE_PITCH2D:
      return from_rows(given, out);
    default:
      return CUDA_ERROR_INVALID_VALUE;
  }
}

bool is_sound(const CUDA_TEXTURE_DESC& how) {
  for (const auto mode : how.addressMode)
    if (mode > CU_TR_ADDRESS_MODE_BORDER) return false;
  return how.filterMode <= CU_TR_FILTER_MODE_LINEAR && how.mipmapFilterMode <= CU_TR_FILTER_MODE_LINEAR;
}

}  // namespace

CUresult cuTexObjectCreate(CUtexObject* out, const CUDA_RESOURCE_DESC* resource, const CUDA_TEXTURE_DESC* how,
                           const CUDA_RESOURCE_VIEW_DESC* view) {
  return with_context([&](const ContextPtr& context) {
    if (out == nullptr || resource == nullptr || how == nullptr || !is_sound(*how)) return CUDA_ERROR_INVALID_VALUE;
    if (view != nullptr) return CUDA_ERROR_NOT_SUPPORTED;
    exec::Texture texture;
    texture.how = *how;
    if (const CUresult result = read(*resource, texture); result != CUDA_SUCCESS) return result;
    texture.resource = *resource;
    *out = Simulator::get().images.textures.add(context->id(), std::move(texture));
    return CUDA_SUCCESS;
  });
}

CUresult cuTexObjectDestroy(CUtexObject object) {
  return with_context([&](const ContextPtr&) {
    return Simulator::get().images.textures.remove(object) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
  });
}

CUresult cuTexObjectGetResourceDesc(CUDA_RESOURCE_DESC* out, CUtexObject object) {
  return with_context([&](const ContextPtr&) {
    const auto texture = Simulator::get().images.textures.find(object);
    if (out == nullptr || texture == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *out = texture->resource;
    return CUDA_SUCCESS;
  });
}

CUresult cuTexObjectGetTextureDesc(CUDA_TEXTURE_DESC* out, CUtexObject object) {
  return with_context([&](const ContextPtr&) {
    const auto texture = Simulator::get().images.textures.find(object);
    if (out == nullptr || texture == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *out = texture->how;
    return CUDA_SUCCESS;
  });
}

// No texture here has a view.
CUresult cuTexObjectGetResourceViewDesc(CUDA_RESOURCE_VIEW_DESC*, CUtexObject) {
  return with_context([](const ContextPtr&) { return CUDA_ERROR_INVALID_VALUE; });
}

CUresult cuSurfObjectCreate(CUsurfObject* out, const CUDA_RESOURCE_DESC* resource) {
  return with_context([&](const ContextPtr& context) {
    if (out == nullptr || resource == nullptr || resource->resType != CU_RESOURCE_TYPE_ARRAY || resource->flags != 0)
      return CUDA_ERROR_INVALID_VALUE;
    const auto array = Simulator::get().arrays.find(resource->res.array);
    if (array == nullptr) return resource->res.array == nullptr ? CUDA_ERROR_INVALID_VALUE : CUDA_ERROR_INVALID_HANDLE;
    if ((array->shape.Flags & CUDA_ARRAY3D_SURFACE_LDST) == 0) return CUDA_ERROR_INVALID_VALUE;
    const exec::Surface surface{array->texels, *resource};
    *out = Simulator::get().images.surfaces.add(context->id(), surface);
    return CUDA_SUCCESS;
  });
}

CUresult cuSurfObjectDestroy(CUsurfObject object) {
  return with_context([&](const ContextPtr&) {
    return Simulator::get().images.surfaces.remove(object) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
  });
}

CUresult cuSurfObjectGetResourceDesc(CUDA_RESOURCE_DESC* out, CUsurfObject object) {
  return with_context([&](const ContextPtr&) {
    const auto surface = Simulator::get().images.surfaces.find(object);
    if (out == nullptr || surface == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *out = surface->resource;
    return CUDA_SUCCESS;
  });
}
