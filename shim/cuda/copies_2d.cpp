// Copies of rows. Device memory and the window go to the copy engine as they are; rows of pageable memory are packed
// into staging.
#include <algorithm>
#include <cstring>

#include "shim/client/device_memory.hpp"
#include "shim/client/request.hpp"
#include "shim/cuda/calls.gen.hpp"
#include "shim/staging/staging.hpp"
#include "shim/staging/transfer.hpp"

namespace vgpu::shim::calls {
namespace {

struct Side {
  uint64_t address;  // of the first byte copied
  uint64_t pitch;
  Where where;
};

struct Rows {
  Side to;
  Side from;
  size_t width;
  size_t height;
  CUstream stream;
  bool posted;
};

/// The number that copy_2d takes for a side: an offset in the window, or a device address.
uint64_t wire_address(const Side& side) { return side.where.place == Place::pinned ? side.where.offset : side.address; }

CUresult send(const Side& to, const Side& from, size_t width, size_t height, CUstream stream) {
  Request request(api::Op::copy_2d, true);
  request.body().put(wire_address(to));
  request.body().put(static_cast<uint32_t>(to.where.place == Place::pinned));
  request.body().put(to.pitch);
  request.body().put(wire_address(from));
  request.body().put(static_cast<uint32_t>(from.where.place == Place::pinned));
  request.body().put(from.pitch);
  request.body().put(static_cast<uint64_t>(width));
  request.body().put(static_cast<uint64_t>(height));
  request.put(stream);
  return request.post();
}

CUresult row_by_row(const Rows& rows) {
  for (size_t row = 0; row < rows.height; ++row) {
    const uint64_t to = rows.to.address + row * rows.to.pitch;
    const uint64_t from = rows.from.address + row * rows.from.pitch;
    const Where to_where{rows.to.where.place, rows.to.where.offset + row * rows.to.pitch};
    const Where from_where{rows.from.where.place, rows.from.where.offset + row * rows.from.pitch};
    const CUresult result = transfer({to, to_where, from, from_where, rows.width, rows.stream, rows.posted});
    if (result != CUDA_SUCCESS) return result;
  }
  return CUDA_SUCCESS;
}

void copy_rows(uint8_t* to, size_t to_pitch, const uint8_t* from, size_t from_pitch, size_t width, size_t height) {
  for (size_t row = 0; row < height; ++row) std::memcpy(to + row * to_pitch, from + row * from_pitch, width);
}

CUresult packed_to_device(const Rows& rows) {
  Staging& staging = this_thread_staging();
  const size_t batch = Staging::kChunkData / rows.width;
  for (size_t row = 0; row < rows.height; row += batch) {
    const size_t count = std::min(batch, rows.height - row);
    Chunk* chunk = nullptr;
    if (const CUresult result = staging.acquire(chunk); result != CUDA_SUCCESS) return result;
    copy_rows(Staging::data_of(*chunk), rows.width,
              reinterpret_cast<const uint8_t*>(rows.from.address) + row * rows.from.pitch, rows.from.pitch, rows.width,
              count);
    Side to = rows.to;
    to.address += row * to.pitch;
    to.where.offset += row * to.pitch;
    const CUresult result =
        send(to, {0, rows.width, {Place::pinned, Staging::offset_of(*chunk)}}, rows.width, count, rows.stream);
    if (result != CUDA_SUCCESS) return result;
    if (const CUresult marked = staging.mark(*chunk, rows.stream); marked != CUDA_SUCCESS) return marked;
  }
  return rows.posted ? CUDA_SUCCESS : synchronize_stream(rows.stream);
}

CUresult packed_to_host(const Rows& rows) {
  Staging& staging = this_thread_staging();
  const size_t batch = Staging::kChunkData / rows.width;
  for (size_t row = 0; row < rows.height; row += batch) {
    const size_t count = std::min(batch, rows.height - row);
    Chunk* chunk = nullptr;
    if (const CUresult result = staging.acquire(chunk); result != CUDA_SUCCESS) return result;
    Side from = rows.from;
    from.address += row * from.pitch;
    from.where.offset += row * from.pitch;
    const CUresult result =
        send({0, rows.width, {Place::pinned, Staging::offset_of(*chunk)}}, from, rows.width, count, rows.stream);
    if (result != CUDA_SUCCESS) return result;
    if (const CUresult waited = synchronize_stream(rows.stream); waited != CUDA_SUCCESS) return waited;
    copy_rows(reinterpret_cast<uint8_t*>(rows.to.address) + row * rows.to.pitch, rows.to.pitch,
              Staging::data_of(*chunk), rows.width, rows.width, count);
  }
  return CUDA_SUCCESS;
}

CUresult copy(const Rows& rows) {
  const Request probe(api::Op::copy_2d, true);
  if (probe.refusal() != CUDA_SUCCESS) return probe.refusal();
  if (rows.width == 0 || rows.height == 0) return CUDA_SUCCESS;
  const bool to_pageable = rows.to.where.place == Place::pageable;
  const bool from_pageable = rows.from.where.place == Place::pageable;
  if ((to_pageable || from_pageable) && is_capturing(rows.stream)) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  if (to_pageable && from_pageable) {
    if (const CUresult result = synchronize_stream(rows.stream); result != CUDA_SUCCESS) return result;
    copy_rows(reinterpret_cast<uint8_t*>(rows.to.address), rows.to.pitch,
              reinterpret_cast<const uint8_t*>(rows.from.address), rows.from.pitch, rows.width, rows.height);
    return CUDA_SUCCESS;
  }
  if ((to_pageable || from_pageable) && rows.width > Staging::kChunkData) return row_by_row(rows);
  if (from_pageable) return packed_to_device(rows);
  if (to_pageable) return packed_to_host(rows);
  const CUresult result = send(rows.to, rows.from, rows.width, rows.height, rows.stream);
  if (result != CUDA_SUCCESS || rows.posted) return result;
  return synchronize_stream(rows.stream);
}

/// One side of the program's description; false if it makes no sense.
CUresult describe(CUmemorytype type, uint64_t host, CUdeviceptr device, size_t x, size_t y, size_t pitch,
                  const CUDA_MEMCPY2D& copy, Side& side) {
  if (type == CU_MEMORYTYPE_ARRAY) return CUDA_ERROR_NOT_SUPPORTED;
  if (type != CU_MEMORYTYPE_HOST && type != CU_MEMORYTYPE_DEVICE && type != CU_MEMORYTYPE_UNIFIED)
    return CUDA_ERROR_INVALID_VALUE;
  if (pitch == 0 && copy.Height <= 1) pitch = x + copy.WidthInBytes;
  if (pitch < x + copy.WidthInBytes) return CUDA_ERROR_INVALID_VALUE;
  const uint64_t base = type == CU_MEMORYTYPE_HOST ? host : device;
  if (base == 0) return CUDA_ERROR_INVALID_VALUE;
  side.address = base + y * pitch + x;
  side.pitch = pitch;
  side.where = locate(side.address);
  if (type == CU_MEMORYTYPE_DEVICE && side.where.place == Place::pageable) side.where.place = Place::device;
  return CUDA_SUCCESS;
}

CUresult copy_described(const CUDA_MEMCPY2D* description, CUstream stream, bool posted) {
  if (description == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const CUDA_MEMCPY2D& c = *description;
  Rows rows{{}, {}, c.WidthInBytes, c.Height, stream, posted};
  if (rows.width == 0 || rows.height == 0) return copy(rows);
  CUresult result = describe(c.dstMemoryType, reinterpret_cast<uint64_t>(c.dstHost), c.dstDevice, c.dstXInBytes, c.dstY,
                             c.dstPitch, c, rows.to);
  if (result != CUDA_SUCCESS) return result;
  result = describe(c.srcMemoryType, reinterpret_cast<uint64_t>(c.srcHost), c.srcDevice, c.srcXInBytes, c.srcY,
                    c.srcPitch, c, rows.from);
  return result != CUDA_SUCCESS ? result : copy(rows);
}

}  // namespace

CUresult cuMemcpy2D_v2(const CUDA_MEMCPY2D* pCopy) { return copy_described(pCopy, nullptr, false); }
CUresult cuMemcpy2DUnaligned_v2(const CUDA_MEMCPY2D* pCopy) { return copy_described(pCopy, nullptr, false); }
CUresult cuMemcpy2DAsync_v2(const CUDA_MEMCPY2D* pCopy, CUstream hStream) {
  return copy_described(pCopy, hStream, true);
}

}  // namespace vgpu::shim::calls
