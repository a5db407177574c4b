#include "worker/sim/api/box_copies.hpp"

#include <cstring>

#include "common/api/array_shape.hpp"
#include "worker/sim/api/tasks.hpp"

using namespace vgpu::sim::api;
using vgpu::sim::device::Area;
using vgpu::sim::device::Place;
using vgpu::sim::device::place_of;

VGPU_SIM_EXPORT(cuMemcpy3D_v2);
VGPU_SIM_EXPORT(cuMemcpy3DAsync_v2);
VGPU_SIM_EXPORT(cuMemcpyAtoA_v2);
VGPU_SIM_EXPORT(cuMemcpyAtoD_v2);
VGPU_SIM_EXPORT(cuMemcpyDtoA_v2);
VGPU_SIM_EXPORT(cuMemcpyAtoH_v2);
VGPU_SIM_EXPORT(cuMemcpyHtoA_v2);
VGPU_SIM_EXPORT(cuMemcpyAtoHAsync_v2);
VGPU_SIM_EXPORT(cuMemcpyHtoAAsync_v2);

namespace {

/// From this size on a copy out of pageable memory is not staged: the call waits for it.
constexpr std::uint64_t largest_staged = 4u << 20;

/// A pageable source, copied out now, since the caller may change it once the call has returned.
Work staged(const BoxCopy& copy) {
  const BoxSize& size = copy.size;
  auto bytes = std::make_shared<std::vector<std::byte>>(size.width * size.height * size.depth);
  std::byte* to = bytes->data();
  for (std::uint64_t z = 0; z < size.depth; ++z) {
    for (std::uint64_t y = 0; y < size.height; ++y, to += size.width) {
      const Area slice = copy.from.at(z);
      std::memcpy(to, reinterpret_cast<const void*>(slice.address + y * slice.pitch), size.width);
    }
  }
  const Box packed{{reinterpret_cast<std::uint64_t>(bytes->data()), size.width}, size.width * size.height};
  const Work inner = box_work(copy.to, packed, size);
  return [bytes, inner](Context& context) { inner(context); };
}

CUDA_MEMCPY3D bytes_of(std::size_t size) {
  CUDA_MEMCPY3D copy{};
  copy.WidthInBytes = size;
  copy.Height = copy.Depth = 1;
  return copy;
}
void set_target(CUDA_MEMCPY3D& copy, CUarray array, std::size_t offset) {
  copy.dstMemoryType = CU_MEMORYTYPE_ARRAY;
  copy.dstArray = array;
  copy.dstXInBytes = offset;
}
void set_source(CUDA_MEMCPY3D& copy, CUarray array, std::size_t offset) {
  copy.srcMemoryType = CU_MEMORYTYPE_ARRAY;
  copy.srcArray = array;
  copy.srcXInBytes = offset;
}
void set_target(CUDA_MEMCPY3D& copy, void* host) {
  copy.dstMemoryType = CU_MEMORYTYPE_HOST;
  copy.dstHost = host;
}
void set_source(CUDA_MEMCPY3D& copy, const void* host) {
  copy.srcMemoryType = CU_MEMORYTYPE_HOST;
  copy.srcHost = host;
}

}  // namespace

namespace vgpu::sim::api {

CUresult copy_box_now(const CUDA_MEMCPY3D& given) {
  return with_context([&](const ContextPtr& context) {
    BoxCopy copy;
    if (const CUresult result = read_box_copy(given, copy); result != CUDA_SUCCESS) return result;
    if (copy.size.is_empty()) return CUDA_SUCCESS;
    const bool on_device =
        place_of(copy.to.rows.address) == Place::device && place_of(copy.from.rows.address) == Place::device;
    return run_on_legacy(context, box_work(copy.to, copy.from, copy.size), !on_device);
  });
}

CUresult copy_box_later(const CUDA_MEMCPY3D& given, CUstream handle) {
  return with_context([&](const ContextPtr& context) {
    StreamPtr stream;
    if (const CUresult result = find_stream(context, handle, stream); result != CUDA_SUCCESS) return result;
    BoxCopy copy;
    if (const CUresult result = read_box_copy(given, copy); result != CUDA_SUCCESS) return result;
    if (copy.size.is_empty()) return CUDA_SUCCESS;
    const bool to_pageable = place_of(copy.to.rows.address) == Place::pageable;
    const bool from_pageable = place_of(copy.from.rows.address) == Place::pageable;
    const std::uint64_t bytes = copy.size.width * copy.size.height * copy.size.depth;
    Submission submission;
    if (!to_pageable && from_pageable && bytes < largest_staged && !is_capturing(*stream)) {
      submission.task.work = staged(copy);
      submission.staging = bytes;
    } else {
      submission.task = {NodeType::copy, box_work(copy.to, copy.from, copy.size), given};
      submission.wait = to_pageable || from_pageable;
    }
    return enqueue(stream, std::move(submission));
  });
}

}  // namespace vgpu::sim::api

CUresult cuMemcpy3D_v2(const CUDA_MEMCPY3D* in) { return in == nullptr ? CUDA_ERROR_INVALID_VALUE : copy_box_now(*in); }
CUresult cuMemcpy3DAsync_v2(const CUDA_MEMCPY3D* in, CUstream stream) {
  return in == nullptr ? CUDA_ERROR_INVALID_VALUE : copy_box_later(*in, stream);
}

CUresult cuMemcpyAtoA_v2(CUarray to, std::size_t to_offset, CUarray from, std::size_t from_offset, std::size_t size) {
  CUDA_MEMCPY3D copy = bytes_of(size);
  set_target(copy, to, to_offset);
  set_source(copy, from, from_offset);
  return copy_box_now(copy);
}
CUresult cuMemcpyAtoD_v2(CUdeviceptr to, CUarray from, std::size_t offset, std::size_t size) {
  CUDA_MEMCPY3D copy = bytes_of(size);
  copy.dstMemoryType = CU_MEMORYTYPE_DEVICE;
  copy.dstDevice = to;
  set_source(copy, from, offset);
  return copy_box_now(copy);
}
CUresult cuMemcpyDtoA_v2(CUarray to, std::size_t offset, CUdeviceptr from, std::size_t size) {
  CUDA_MEMCPY3D copy = bytes_of(size);
  set_target(copy, to, offset);
  copy.srcMemoryType = CU_MEMORYTYPE_DEVICE;
  copy.srcDevice = from;
  return copy_box_now(copy);
}
CUresult cuMemcpyAtoH_v2(void* to, CUarray from, std::size_t offset, std::size_t size) {
  CUDA_MEMCPY3D copy = bytes_of(size);
  set_target(copy, to);
  set_source(copy, from, offset);
  return copy_box_now(copy);
}
CUresult cuMemcpyHtoA_v2(CUarray to, std::size_t offset, const void* from, std::size_t size) {
  CUDA_MEMCPY3D copy = bytes_of(size);
  set_target(copy, to, offset);
  set_source(copy, from);
  return copy_box_now(copy);
}
CUresult cuMemcpyAtoHAsync_v2(void* to, CUarray from, std::size_t offset, std::size_t size, CUstream stream) {
  CUDA_MEMCPY3D copy = bytes_of(size);
  set_target(copy, to);
  set_source(copy, from, offset);
  return copy_box_later(copy, stream);
}
CUresult cuMemcpyHtoAAsync_v2(CUarray to, std::size_t offset, const void* from, std::size_t size, CUstream stream) {
  CUDA_MEMCPY3D copy = bytes_of(size);
  set_target(copy, to, offset);
  set_source(copy, from);
  return copy_box_later(copy, stream);
}
