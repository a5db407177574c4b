// Arrays and mipmapped arrays: memory of the device in rows of slices. Formats of equal channels only.
#include <algorithm>

#include "common/api/array_shape.hpp"
#include "worker/sim/api/enqueue.hpp"

using namespace vgpu::sim::api;
namespace device = vgpu::sim::device;
namespace exec = vgpu::sim::exec;

VGPU_SIM_EXPORT(cuArrayCreate_v2);
VGPU_SIM_EXPORT(cuArray3DCreate_v2);
VGPU_SIM_EXPORT(cuArrayGetDescriptor_v2);
VGPU_SIM_EXPORT(cuArray3DGetDescriptor_v2);
VGPU_SIM_EXPORT(cuArrayDestroy);
VGPU_SIM_EXPORT(cuArrayGetPlane);
VGPU_SIM_EXPORT(cuArrayGetSparseProperties);
VGPU_SIM_EXPORT(cuMipmappedArrayCreate);
VGPU_SIM_EXPORT(cuMipmappedArrayDestroy);
VGPU_SIM_EXPORT(cuMipmappedArrayGetLevel);
VGPU_SIM_EXPORT(cuMipmappedArrayGetSparseProperties);
VGPU_SIM_EXPORT(cuDeviceGetTexture1DLinearMaxWidth);

namespace {

using ArrayPtr = std::shared_ptr<device::Array>;

// Extents that compute capability 9.0 allows.
constexpr std::size_t most_1d = 131072, most_2d = 131072, most_rows_2d = 65536, most_3d = 16384, most_layers = 2048;
constexpr std::size_t most_linear_texels = 1u << 28;

bool is_within(std::size_t size, std::size_t most) { return size <= most; }

/// What the documentation allows of sizes and flags.
CUresult check_shape(const CUDA_ARRAY3D_DESCRIPTOR& shape) {
  constexpr unsigned known = CUDA_ARRAY3D_LAYERED | CUDA_ARRAY3D_SURFACE_LDST | CUDA_ARRAY3D_CUBEMAP |
                             CUDA_ARRAY3D_TEXTURE_GATHER | CUDA_ARRAY3D_DEPTH_TEXTURE;
  const bool layered = (shape.Flags & CUDA_ARRAY3D_LAYERED) != 0;
  const bool cubemap = (shape.Flags & CUDA_ARRAY3D_CUBEMAP) != 0;
  if (element_bytes(shape) == 0 || shape.Width == 0 || (shape.Flags & ~known) != 0) return CUDA_ERROR_INVALID_VALUE;
  if (cubemap &&
      (shape.Width != shape.Height || shape.Depth == 0 || shape.Depth % 6 != 0 || (!layered && shape.Depth != 6)))
    return CUDA_ERROR_INVALID_VALUE;
  if (layered && shape.Depth == 0) return CUDA_ERROR_INVALID_VALUE;
  if (!layered && shape.Height == 0 && shape.Depth != 0) return CUDA_ERROR_INVALID_VALUE;
  const bool has_slices = shape.Depth != 0 && !layered && !cubemap;
  const bool fits = has_slices ? is_within(shape.Width, most_3d) && is_within(shape.Height, most_3d) &&
                                     is_within(shape.Depth, most_3d)
                    : shape.Height != 0 ? is_within(shape.Width, most_2d) && is_within(shape.Height, most_rows_2d)
                                        : is_within(shape.Width, most_1d);
  return fits && (has_slices || is_within(shape.Depth, most_layers)) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

/// An array with memory of its own. The program's allocations wait while the driver is held up.
CUresult make_array(const ContextPtr& context, const CUDA_ARRAY3D_DESCRIPTOR& shape, ArrayPtr& out) {
  auto array = std::make_shared<device::Array>();
  exec::Texels& texels = array->texels;
  texels.format = shape.Format;
  texels.channels = shape.NumChannels;
  texels.element = static_cast<std::uint32_t>(element_bytes(shape));
  texels.width = static_cast<std::uint32_t>(shape.Width);
  texels.height = static_cast<std::uint32_t>(rows_of(shape));
  texels.depth = static_cast<std::uint32_t>(slices_of(shape));
  texels.pitch = texels.row_bytes();
  texels.slice = texels.pitch * texels.height;
  auto& arena = Simulator::get().arena;
  const auto allocation =
      arena.allocate(texels.slice * texels.depth, context->id(), false, static_cast<unsigned>(context->device()));
  if (!allocation) return CUDA_ERROR_OUT_OF_MEMORY;
  arena.set_live(*allocation, true);
  texels.address = allocation->address;
  array->handle = device::next_handle();
  array->context_id = context->id();
  array->shape = shape;
  Simulator::get().arrays.add(array->handle, array);
  out = std::move(array);
  return CUDA_SUCCESS;
}

void end_array(const device::Array& array) {
  Simulator::get().arrays.take(as_handle<const void*>(array.handle));
  auto& arena = Simulator::get().arena;
  if (const auto allocation = arena.find(array.texels.address)) arena.set_live(*allocation, false);
  arena.release(array.texels.address);
}

/// Creations wait for whoever holds the driver or the allocations.
template <typename Make>
CUresult create(const ContextPtr& context, Make make) {
  if (const CUresult result = check_unsafe(*context); result != CUDA_SUCCESS) return result;
  const std::shared_lock gate(Simulator::get().gate);
  const std::lock_guard allocations(Simulator::get().allocation_gate);
  return make();
}

CUresult create_array(CUarray* out, const CUDA_ARRAY3D_DESCRIPTOR& shape) {
  return with_context([&](const ContextPtr& context) {
    if (const CUresult result = check_shape(shape); result != CUDA_SUCCESS) return result;
    return create(context, [&] {
      ArrayPtr array;
      const CUresult result = make_array(context, shape, array);
      if (result == CUDA_SUCCESS) *out = as_handle<CUarray>(array->handle);
      return result;
    });
  });
}

}  // namespace

CUresult cuArrayCreate_v2(CUarray* out, const CUDA_ARRAY_DESCRIPTOR* given) {
  if (out == nullptr || given == nullptr)
    return with_context([](const ContextPtr&) { return CUDA_ERROR_INVALID_VALUE; });
  return create_array(out, {given->Width, given->Height, 0, given->Format, given->NumChannels, 0});
}

CUresult cuArray3DCreate_v2(CUarray* out, const CUDA_ARRAY3D_DESCRIPTOR* given) {
  if (out == nullptr || given == nullptr)
    return with_context([](const ContextPtr&) { return CUDA_ERROR_INVALID_VALUE; });
  return create_array(out, *given);
}

CUresult cuArrayGetDescriptor_v2(CUDA_ARRAY_DESCRIPTOR* out, CUarray handle) {
  return with_context([&](const ContextPtr&) {
    const auto array = Simulator::get().arrays.find(handle);
    if (out == nullptr) return CUDA_ERROR_INVALID_VALUE;
    if (array == nullptr) return CUDA_ERROR_INVALID_HANDLE;
    *out = {array->shape.Width, array->shape.Height, array->shape.Format, array->shape.NumChannels};
    return CUDA_SUCCESS;
  });
}

CUresult cuArray3DGetDescriptor_v2(CUDA_ARRAY3D_DESCRIPTOR* out, CUarray handle) {
  return with_context([&](const ContextPtr&) {
    const auto array = Simulator::get().arrays.find(handle);
    if (out == nullptr) return CUDA_ERROR_INVALID_VALUE;
    if (array == nullptr) return CUDA_ERROR_INVALID_HANDLE;
    *out = array->shape;
    return CUDA_SUCCESS;
  });
}

CUresult cuArrayDestroy(CUarray handle) {
  return with_context([&](const ContextPtr& context) {
    const auto array = Simulator::get().arrays.find(handle);
    if (array == nullptr || array->is_level) return CUDA_ERROR_INVALID_HANDLE;
    if (const CUresult result = check_unsafe(*context); result != CUDA_SUCCESS) return result;
    if (const CUresult result = wait_exclusively(context); result != CUDA_SUCCESS) return result;
    end_array(*array);
    return CUDA_SUCCESS;
  });
}

// None of the formats here has planes, and no array here is sparse.
CUresult cuArrayGetPlane(CUarray* out, CUarray handle, unsigned) {
  return with_context([&](const ContextPtr&) {
    if (out == nullptr || Simulator::get().arrays.find(handle) != nullptr) return CUDA_ERROR_INVALID_VALUE;
    return CUDA_ERROR_INVALID_HANDLE;
  });
}
CUresult cuArrayGetSparseProperties(CUDA_ARRAY_SPARSE_PROPERTIES*, CUarray) {
  return with_context([](const ContextPtr&) { return CUDA_ERROR_INVALID_VALUE; });
}
CUresult cuMipmappedArrayGetSparseProperties(CUDA_ARRAY_SPARSE_PROPERTIES*, CUmipmappedArray) {
  return with_context([](const ContextPtr&) { return CUDA_ERROR_INVALID_VALUE; });
}

CUresult cuMipmappedArrayCreate(CUmipmappedArray* out, const CUDA_ARRAY3D_DESCRIPTOR* given, unsigned wanted) {
  return with_context([&](const ContextPtr& context) {
    if (out == nullptr || given == nullptr) return CUDA_ERROR_INVALID_VALUE;
    if (const CUresult result = check_shape(*given); result != CUDA_SUCCESS) return result;
    return create(context, [&] {
      auto made = std::make_shared<device::MipmappedArray>();
      const unsigned levels = std::clamp(wanted, 1U, most_levels(*given));
      for (unsigned level = 0; level < levels; ++level) {
        ArrayPtr array;
        if (const CUresult result = make_array(context, level_of(*given, level), array); result != CUDA_SUCCESS) {
          for (const ArrayPtr& earlier : made->levels) end_array(*earlier);
          return result;
        }
        array->is_level = true;
        made->levels.push_back(std::move(array));
      }
      made->handle = device::next_handle();
      made->context_id = context->id();
      Simulator::get().mipmapped_arrays.add(made->handle, made);
      *out = as_handle<CUmipmappedArray>(made->handle);
      return CUDA_SUCCESS;
    });
  });
}

CUresult cuMipmappedArrayDestroy(CUmipmappedArray handle) {
  return with_context([&](const ContextPtr& context) {
    if (Simulator::get().mipmapped_arrays.find(handle) == nullptr) return CUDA_ERROR_INVALID_HANDLE;
    if (const CUresult result = check_unsafe(*context); result != CUDA_SUCCESS) return result;
    if (const CUresult result = wait_exclusively(context); result != CUDA_SUCCESS) return result;
    if (const auto gone = Simulator::get().mipmapped_arrays.take(handle))
      for (const ArrayPtr& level : gone->levels) end_array(*level);
    return CUDA_SUCCESS;
  });
}

CUresult cuMipmappedArrayGetLevel(CUarray* out, CUmipmappedArray handle, unsigned level) {
  return with_context([&](const ContextPtr&) {
    const auto mipmap = Simulator::get().mipmapped_arrays.find(handle);
    if (out == nullptr) return CUDA_ERROR_INVALID_VALUE;
    if (mipmap == nullptr) return CUDA_ERROR_INVALID_HANDLE;
    if (level >= mipmap->levels.size()) return CUDA_ERROR_INVALID_VALUE;
    *out = as_handle<CUarray>(mipmap->levels[level]->handle);
    return CUDA_SUCCESS;
  });
}

CUresult cuDeviceGetTexture1DLinearMaxWidth(std::size_t* out, CUarray_format format, unsigned channels,
                                            CUdevice device) {
  return without_context([&] {
    if (out == nullptr || element_bytes(format, channels) == 0) return CUDA_ERROR_INVALID_VALUE;
    if (!Simulator::get().has(device)) return CUDA_ERROR_INVALID_DEVICE;
    *out = most_linear_texels;
    return CUDA_SUCCESS;
  });
}
