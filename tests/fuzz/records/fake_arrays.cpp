// The fake driver's arrays, textures and what copies boxes: arrays and numbers that are used must be the client's.
#include "common/api/array_shape.hpp"
#include "tests/fuzz/records/fake_state.hpp"

namespace vgpu::fuzz {
namespace {

State& state = gpu_state();

template <typename Handle>
CUresult give_array(Handle* array, const CUDA_ARRAY3D_DESCRIPTOR& shape, uintptr_t parent) {
  const CUresult result = outcome();
  if (result != CUDA_SUCCESS) return result;
  *array = make_handle<Handle>(parent);
  state.shapes[number(*array)] = shape;
  return CUDA_SUCCESS;
}
CUresult create(CUarray* array, const CUDA_ARRAY_DESCRIPTOR* shape) {
  return give_array(array, {shape->Width, shape->Height, 0, shape->Format, shape->NumChannels, 0}, 0);
}
CUresult create_3d(CUarray* array, const CUDA_ARRAY3D_DESCRIPTOR* shape) { return give_array(array, *shape, 0); }
CUresult create_mipmap(CUmipmappedArray* array, const CUDA_ARRAY3D_DESCRIPTOR* shape, unsigned) {
  return give_array(array, *shape, 0);
}
CUresult plane(CUarray* part, CUarray array, unsigned which) {
  return which > 2 ? CUDA_ERROR_INVALID_VALUE : give_array(part, state.shapes[number(array)], number(array));
}
CUresult level(CUarray* part, CUmipmappedArray array, unsigned which) {
  return give_array(part, level_of(state.shapes[number(array)], which), number(array));
}
CUresult describe(CUDA_ARRAY3D_DESCRIPTOR* shape, CUarray array) {
  const CUresult result = outcome();
  if (result == CUDA_SUCCESS) *shape = state.shapes[number(array)];
  return result;
}
template <typename Handle>
CUresult destroy(Handle handle) {
  const CUresult result = outcome();
  if (result == CUDA_SUCCESS) state.handles.end(number(handle));
  return result;
}
CUresult reference_of(CUtexref* reference, CUmodule module, const char*) {
  const CUresult result = outcome();
  if (result == CUDA_SUCCESS) *reference = make_handle<CUtexref>(number(module));
  return result;
}
CUresult surface_of(CUsurfref* reference, CUmodule module, const char*) {
  const CUresult result = outcome();
  if (result == CUDA_SUCCESS) *reference = make_handle<CUsurfref>(number(module));
  return result;
}

void check_side(CUmemorytype type, const void* host, CUdeviceptr device, CUarray array, const uint64_t (&place)[3],
                uint64_t pitch, uint64_t rows, const CUDA_MEMCPY3D& copy, bool writes) {
  if (type == CU_MEMORYTYPE_ARRAY) {
    if (!state.handles.is_live(number(array))) found("a copy of an array that stands for nothing");
    if (!contains_box(state.shapes[number(array)], place[0], place[1], place[2], copy.WidthInBytes, copy.Height,
                      copy.Depth))
      found("a copy outside of an array");
    return;
  }
  if (place[0] != 0 || place[1] != 0 || place[2] != 0) found("memory that begins somewhere else");
  const uint64_t size = (copy.Depth - 1) * pitch * rows + (copy.Height - 1) * pitch + copy.WidthInBytes;
  if (type == CU_MEMORYTYPE_HOST)
    touch_host(host, size, writes);
  else
    check_device(device, size);
}

CUresult copy_box(const CUDA_MEMCPY3D* copy, CUstream) {
  const uint64_t to[] = {copy->dstXInBytes, copy->dstY, copy->dstZ};
  const uint64_t from[] = {copy->srcXInBytes, copy->srcY, copy->srcZ};
  check_side(copy->srcMemoryType, copy->srcHost, copy->srcDevice, copy->srcArray, from, copy->srcPitch, copy->srcHeight,
             *copy, false);
  check_side(copy->dstMemoryType, copy->dstHost, copy->dstDevice, copy->dstArray, to, copy->dstPitch, copy->dstHeight,
             *copy, true);
  return submitted();
}

void check_resource(const CUDA_RESOURCE_DESC& resource) {
  const auto& rows = resource.res.pitch2D;
  if (resource.resType == CU_RESOURCE_TYPE_ARRAY) {
    check_live(state.handles, resource.res.array);
  } else if (resource.resType == CU_RESOURCE_TYPE_MIPMAPPED_ARRAY) {
    check_live(state.handles, resource.res.mipmap);
  } else if (resource.resType == CU_RESOURCE_TYPE_LINEAR) {
    check_device(resource.res.linear.devPtr, resource.res.linear.sizeInBytes);
  } else {
    const uint64_t element = element_bytes(rows.format, rows.numChannels);
    check_device(rows.devPtr, (rows.height - 1) * rows.pitchInBytes + rows.width * (element != 0 ? element : 1));
  }
}
/// Numbers of each context, from one on.
CUresult give_number(unsigned long long* object, std::set<std::pair<uintptr_t, uint64_t>>& numbers) {
  const CUresult result = outcome();
  if (result != CUDA_SUCCESS) return result;
  *object = numbers.size() + 1;
  while (!numbers.emplace(state.current, *object).second) ++*object;
  return CUDA_SUCCESS;
}
CUresult take_number(uint64_t object, std::set<std::pair<uintptr_t, uint64_t>>& numbers) {
  const CUresult result = outcome();
  if (result == CUDA_SUCCESS && numbers.erase({state.current, object}) == 0) found("the end of an object that is none");
  return result;
}
CUresult create_texture(CUtexObject* object, const CUDA_RESOURCE_DESC* resource, const CUDA_TEXTURE_DESC*,
                        const CUDA_RESOURCE_VIEW_DESC*) {
  check_resource(*resource);
  return give_number(object, state.textures);
}
CUresult destroy_texture(CUtexObject object) { return take_number(object, state.textures); }
CUresult create_surface(CUsurfObject* object, const CUDA_RESOURCE_DESC* resource) {
  check_resource(*resource);
  return give_number(object, state.surfaces);
}
CUresult destroy_surface(CUsurfObject object) { return take_number(object, state.surfaces); }

CUresult set_address(size_t* offset, CUtexref, CUdeviceptr address, size_t size) {
  if (address != 0 || size != 0) check_device(address, size);
  *offset = 0;
  return outcome();
}
CUresult set_rows(CUtexref, const CUDA_ARRAY_DESCRIPTOR* shape, CUdeviceptr address, size_t pitch) {
  const uint64_t row = shape->Width * element_bytes(shape->Format, shape->NumChannels);
  check_device(address, (shape->Height - 1) * pitch + row);
  return outcome();
}

}  // namespace

void set_arrays(DriverTable& table) {
  table.cuArrayCreate_v2 = checked<create>;
  table.cuArray3DCreate_v2 = checked<create_3d>;
  table.cuMipmappedArrayCreate = checked<create_mipmap>;
  table.cuArrayGetPlane = checked<plane>;
  table.cuMipmappedArrayGetLevel = checked<level>;
  table.cuArray3DGetDescriptor_v2 = checked<describe>;
  table.cuArrayDestroy = checked<destroy<CUarray>>;
  table.cuMipmappedArrayDestroy = checked<destroy<CUmipmappedArray>>;
  table.cuTexRefDestroy = checked<destroy<CUtexref>>;
  table.cuModuleGetTexRef = checked<reference_of>;
  table.cuModuleGetSurfRef = checked<surface_of>;
  table.cuMemcpy3DAsync_v2 = checked<copy_box>;
  table.cuTexObjectCreate = checked<create_texture>;
  table.cuTexObjectDestroy = checked<destroy_texture>;
  table.cuSurfObjectCreate = checked<create_surface>;
  table.cuSurfObjectDestroy = checked<destroy_surface>;
  table.cuTexRefSetAddress_v2 = checked<set_address>;
  table.cuTexRefSetAddress2D_v2 = checked<set_rows>;
  table.cuTexRefSetAddress2D_v3 = checked<set_rows>;
}

}  // namespace vgpu::fuzz
