// Copies and fills, synchronous and asynchronous.
#include <cstring>
#include <limits>

#include "worker/sim/api/tasks.hpp"

using namespace vgpu::sim::api;
using vgpu::sim::device::Area;
using vgpu::sim::device::copy_work;
using vgpu::sim::device::fill_work;
using vgpu::sim::device::is_refused;
using vgpu::sim::device::Place;
using vgpu::sim::device::place_of;

VGPU_SIM_EXPORT(cuMemcpy);
VGPU_SIM_EXPORT(cuMemcpyAsync);
VGPU_SIM_EXPORT(cuMemcpyHtoD_v2);
VGPU_SIM_EXPORT(cuMemcpyDtoH_v2);
VGPU_SIM_EXPORT(cuMemcpyDtoD_v2);
VGPU_SIM_EXPORT(cuMemcpyHtoDAsync_v2);
VGPU_SIM_EXPORT(cuMemcpyDtoHAsync_v2);
VGPU_SIM_EXPORT(cuMemcpyDtoDAsync_v2);
VGPU_SIM_EXPORT(cuMemcpy2D_v2);
VGPU_SIM_EXPORT(cuMemcpy2DUnaligned_v2);
VGPU_SIM_EXPORT(cuMemcpy2DAsync_v2);
VGPU_SIM_EXPORT(cuMemsetD8_v2);
VGPU_SIM_EXPORT(cuMemsetD16_v2);
VGPU_SIM_EXPORT(cuMemsetD32_v2);
VGPU_SIM_EXPORT(cuMemsetD8Async);
VGPU_SIM_EXPORT(cuMemsetD16Async);
VGPU_SIM_EXPORT(cuMemsetD32Async);
VGPU_SIM_EXPORT(cuMemsetD2D8_v2);
VGPU_SIM_EXPORT(cuMemsetD2D16_v2);
VGPU_SIM_EXPORT(cuMemsetD2D32_v2);
VGPU_SIM_EXPORT(cuMemsetD2D8Async);
VGPU_SIM_EXPORT(cuMemsetD2D16Async);
VGPU_SIM_EXPORT(cuMemsetD2D32Async);

namespace {

/// From this size on a copy out of pageable memory is not staged: the call waits for it.
constexpr std::uint64_t largest_staged = 4u << 20;

struct Copy {
  Area to;
  Area from;
  std::uint64_t width = 0;
  std::uint64_t height = 1;

  bool is_empty() const { return width == 0 || height == 0; }
  /// Bytes from the first to the last of an area.
  std::uint64_t extent(const Area& area) const { return (height - 1) * area.pitch + width; }
};

std::uint64_t address(const void* at) { return reinterpret_cast<std::uint64_t>(at); }

/// What must the ends be? `any`: cuMemcpy and its like find out themselves.
enum class Wanted { any, device };

CUresult check(const Copy& copy, Wanted to, Wanted from) {
  if (copy.is_empty()) return CUDA_SUCCESS;
  std::uint64_t span = 0;
  for (const Area& area : {copy.to, copy.from}) {
    if (area.address == 0 || __builtin_mul_overflow(copy.height - 1, area.pitch, &span) ||
        __builtin_add_overflow(span, copy.width, &span))
      return CUDA_ERROR_INVALID_VALUE;
    if (area.address > std::numeric_limits<std::uint64_t>::max() - span || is_refused(area.address, copy.extent(area)))
      return CUDA_ERROR_INVALID_VALUE;
  }
  if (to == Wanted::device && place_of(copy.to.address) == Place::pageable) return CUDA_ERROR_INVALID_VALUE;
  if (from == Wanted::device && place_of(copy.from.address) == Place::pageable) return CUDA_ERROR_INVALID_VALUE;
  return CUDA_SUCCESS;
}

Work work_of(const Copy& copy) { return copy_work(copy.to, copy.from, copy.width, copy.height); }

CUresult copy_now(const Copy& copy, Wanted to, Wanted from) {
  return with_context([&](const ContextPtr& context) {
    if (const CUresult result = check(copy, to, from); result != CUDA_SUCCESS || copy.is_empty()) return result;
    const bool on_device = place_of(copy.to.address) == Place::device && place_of(copy.from.address) == Place::device;
    return run_on_legacy(context, work_of(copy), !on_device);
  });
}

/// The rows of a pageable source, copied out now, since the caller may change them once the call has returned.
Work staged(const Copy& copy) {
  auto rows = std::make_shared<std::vector<std::byte>>(copy.width * copy.height);
  for (std::uint64_t row = 0; row < copy.height; ++row) {
    std::memcpy(rows->data() + row * copy.width,
                reinterpret_cast<const void*>(copy.from.address + row * copy.from.pitch), copy.width);
  }
  const Work inner = copy_work(copy.to, {address(rows->data()), copy.width}, copy.width, copy.height);
  return [rows, inner](Context& context) { inner(context); };
}

CUresult copy_later(const Copy& copy, CUstream handle, Wanted to, Wanted from) {
  return with_context([&](const ContextPtr& context) {
    StreamPtr stream;
    if (const CUresult result = find_stream(context, handle, stream); result != CUDA_SUCCESS) return result;
    if (const CUresult result = check(copy, to, from); result != CUDA_SUCCESS || copy.is_empty()) return result;
    Submission submission;
    const bool to_pageable = place_of(copy.to.address) == Place::pageable;
    const bool from_pageable = place_of(copy.from.address) == Place::pageable;
    const std::uint64_t bytes = copy.width * copy.height;
    if (!to_pageable && from_pageable && bytes < largest_staged && !is_capturing(*stream)) {
      submission.task.work = staged(copy);
      submission.staging = bytes;
    } else {
      submission.task = {NodeType::copy, work_of(copy), describe_copy(copy.to, copy.from, copy.width, copy.height)};
      submission.wait = to_pageable || from_pageable;
    }
    return enqueue(stream, std::move(submission));
  });
}

/// One end of a two-dimensional copy, from the fields of the structure.
CUresult end_of(CUmemorytype type, const void* host, CUdeviceptr device, std::size_t x, std::size_t y,
                std::size_t pitch, std::size_t width, Area& out, Wanted& wanted) {
  if (type != CU_MEMORYTYPE_HOST && type != CU_MEMORYTYPE_DEVICE && type != CU_MEMORYTYPE_UNIFIED) {
    return type == CU_MEMORYTYPE_ARRAY ? CUDA_ERROR_NOT_SUPPORTED : CUDA_ERROR_INVALID_VALUE;
  }
  std::uint64_t offset = 0;
  if (pitch != 0 && pitch < x + width) return CUDA_ERROR_INVALID_VALUE;
  if (__builtin_mul_overflow(y, pitch, &offset) || __builtin_add_overflow(offset, x, &offset))
    return CUDA_ERROR_INVALID_VALUE;
  const std::uint64_t base = type == CU_MEMORYTYPE_HOST ? address(host) : device;
  if (base == 0) return CUDA_ERROR_INVALID_VALUE;
  out = {base + offset, pitch != 0 ? pitch : width};
  wanted = type == CU_MEMORYTYPE_DEVICE ? Wanted::device : Wanted::any;
  return CUDA_SUCCESS;
}

struct Copy2D {
  Copy copy;
  Wanted to = Wanted::any;
  Wanted from = Wanted::any;
};

CUresult read(const CUDA_MEMCPY2D* in, Copy2D& out) {
  if (in == nullptr) return CUDA_ERROR_INVALID_VALUE;
  out.copy.width = in->WidthInBytes;
  out.copy.height = in->Height;
  if (out.copy.is_empty()) return CUDA_SUCCESS;
  CUresult result = end_of(in->dstMemoryType, in->dstHost, in->dstDevice, in->dstXInBytes, in->dstY, in->dstPitch,
                           in->WidthInBytes, out.copy.to, out.to);
  if (result != CUDA_SUCCESS) return result;
  return end_of(in->srcMemoryType, in->srcHost, in->srcDevice, in->srcXInBytes, in->srcY, in->srcPitch,
                in->WidthInBytes, out.copy.from, out.from);
}

struct Fill {
  Area to;
  std::uint32_t value;
  std::uint32_t element;
  std::uint64_t width;
  std::uint64_t height = 1;
};

CUresult check(const Fill& fill) {
  if (fill.width == 0 || fill.height == 0) return CUDA_SUCCESS;
  std::uint64_t row = 0, span = 0;
  if (fill.to.address % fill.element != 0 || __builtin_mul_overflow(fill.width, fill.element, &row))
    return CUDA_ERROR_INVALID_VALUE;
  if (fill.height > 1 && (fill.to.pitch < row || fill.to.pitch % fill.element != 0)) return CUDA_ERROR_INVALID_VALUE;
  if (__builtin_mul_overflow(fill.height - 1, fill.to.pitch, &span) || __builtin_add_overflow(span, row, &span))
    return CUDA_ERROR_INVALID_VALUE;
  if (is_refused(fill.to.address, span) || place_of(fill.to.address) == Place::pageable)
    return CUDA_ERROR_INVALID_VALUE;
  return CUDA_SUCCESS;
}

Work work_of(const Fill& fill) { return fill_work(fill.to, fill.value, fill.element, fill.width, fill.height); }

CUresult fill_now(const Fill& fill) {
  return with_context([&](const ContextPtr& context) {
    if (const CUresult result = check(fill); result != CUDA_SUCCESS || fill.width == 0 || fill.height == 0)
      return result;
    return run_on_legacy(context, work_of(fill), place_of(fill.to.address) != Place::device);
  });
}

CUresult fill_later(const Fill& fill, CUstream handle) {
  return with_context([&](const ContextPtr& context) {
    StreamPtr stream;
    if (const CUresult result = find_stream(context, handle, stream); result != CUDA_SUCCESS) return result;
    if (const CUresult result = check(fill); result != CUDA_SUCCESS || fill.width == 0 || fill.height == 0)
      return result;
    const CUDA_MEMSET_NODE_PARAMS described{fill.to.address, fill.to.pitch, fill.value,
                                            fill.element,    fill.width,    fill.height};
    return enqueue(stream, {.task = {NodeType::set, work_of(fill), described}});
  });
}

Copy plain(std::uint64_t to, std::uint64_t from, std::size_t size) { return {{to, 0}, {from, 0}, size, 1}; }

}  // namespace

CUresult cuMemcpy(CUdeviceptr to, CUdeviceptr from, std::size_t size) {
  return copy_now(plain(to, from, size), Wanted::any, Wanted::any);
}
CUresult cuMemcpyAsync(CUdeviceptr to, CUdeviceptr from, std::size_t size, CUstream stream) {
  return copy_later(plain(to, from, size), stream, Wanted::any, Wanted::any);
}
CUresult cuMemcpyHtoD_v2(CUdeviceptr to, const void* from, std::size_t size) {
  return copy_now(plain(to, address(from), size), Wanted::device, Wanted::any);
}
CUresult cuMemcpyDtoH_v2(void* to, CUdeviceptr from, std::size_t size) {
  return copy_now(plain(address(to), from, size), Wanted::any, Wanted::device);
}
CUresult cuMemcpyDtoD_v2(CUdeviceptr to, CUdeviceptr from, std::size_t size) {
  return copy_now(plain(to, from, size), Wanted::device, Wanted::device);
}
CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void* from, std::size_t size, CUstream stream) {
  return copy_later(plain(to, address(from), size), stream, Wanted::device, Wanted::any);
}
CUresult cuMemcpyDtoHAsync_v2(void* to, CUdeviceptr from, std::size_t size, CUstream stream) {
  return copy_later(plain(address(to), from, size), stream, Wanted::any, Wanted::device);
}
CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr to, CUdeviceptr from, std::size_t size, CUstream stream) {
  return copy_later(plain(to, from, size), stream, Wanted::device, Wanted::device);
}

CUresult cuMemcpy2D_v2(const CUDA_MEMCPY2D* in) {
  Copy2D copy;
  if (const CUresult result = read(in, copy); result != CUDA_SUCCESS) return result;
  return copy_now(copy.copy, copy.to, copy.from);
}
CUresult cuMemcpy2DUnaligned_v2(const CUDA_MEMCPY2D* in) { return cuMemcpy2D_v2(in); }
CUresult cuMemcpy2DAsync_v2(const CUDA_MEMCPY2D* in, CUstream stream) {
  Copy2D copy;
  if (const CUresult result = read(in, copy); result != CUDA_SUCCESS) return result;
  return copy_later(copy.copy, stream, copy.to, copy.from);
}

CUresult cuMemsetD8_v2(CUdeviceptr to, unsigned char value, std::size_t count) {
  return fill_now({{to, 0}, value, 1, count});
}
CUresult cuMemsetD16_v2(CUdeviceptr to, unsigned short value, std::size_t count) {
  return fill_now({{to, 0}, value, 2, count});
}
CUresult cuMemsetD32_v2(CUdeviceptr to, unsigned value, std::size_t count) {
  return fill_now({{to, 0}, value, 4, count});
}
CUresult cuMemsetD8Async(CUdeviceptr to, unsigned char value, std::size_t count, CUstream stream) {
  return fill_later({{to, 0}, value, 1, count}, stream);
}
CUresult cuMemsetD16Async(CUdeviceptr to, unsigned short value, std::size_t count, CUstream stream) {
  return fill_later({{to, 0}, value, 2, count}, stream);
}
CUresult cuMemsetD32Async(CUdeviceptr to, unsigned value, std::size_t count, CUstream stream) {
  return fill_later({{to, 0}, value, 4, count}, stream);
}
CUresult cuMemsetD2D8_v2(CUdeviceptr to, std::size_t pitch, unsigned char value, std::size_t width,
                         std::size_t height) {
  return fill_now({{to, pitch}, value, 1, width, height});
}
CUresult cuMemsetD2D16_v2(CUdeviceptr to, std::size_t pitch, unsigned short value, std::size_t width,
                          std::size_t height) {
  return fill_now({{to, pitch}, value, 2, width, height});
}
CUresult cuMemsetD2D32_v2(CUdeviceptr to, std::size_t pitch, unsigned value, std::size_t width, std::size_t height) {
  return fill_now({{to, pitch}, value, 4, width, height});
}
CUresult cuMemsetD2D8Async(CUdeviceptr to, std::size_t pitch, unsigned char value, std::size_t width,
                           std::size_t height, CUstream stream) {
  return fill_later({{to, pitch}, value, 1, width, height}, stream);
}
CUresult cuMemsetD2D16Async(CUdeviceptr to, std::size_t pitch, unsigned short value, std::size_t width,
                            std::size_t height, CUstream stream) {
  return fill_later({{to, pitch}, value, 2, width, height}, stream);
}
CUresult cuMemsetD2D32Async(CUdeviceptr to, std::size_t pitch, unsigned value, std::size_t width, std::size_t height,
                            CUstream stream) {
  return fill_later({{to, pitch}, value, 4, width, height}, stream);
}
