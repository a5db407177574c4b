#include "shim/staging/box_copy.hpp"

#include <algorithm>
#include <cstring>

#include "common/api/array_shape.hpp"
#include "shim/client/arrays.hpp"
#include "shim/client/request.hpp"
#include "shim/staging/staging.hpp"
#include "shim/staging/transfer.hpp"

namespace vgpu::shim {
namespace {

// Kinds of sides, as they travel.
constexpr uint32_t kDevice = 0, kWindow = 1, kArray = 2;

uint32_t kind_of(const BoxSide& side) {
  if (side.array != 0) return kArray;
  return side.where.place == Place::pinned ? kWindow : kDevice;
}

uint64_t wire_address(const BoxSide& side) {
  if (side.array != 0) return side.array;
  return side.where.place == Place::pinned ? side.where.offset : side.address;
}

/// Whether the driver has nothing to object to where this side lies. What it would refuse it refuses at once.
bool is_beyond_doubt(const BoxSide& side, const BoxCopy& box) {
  if (side.array != 0 || side.where.place != Place::device) return true;
  const uint64_t slices = (box.depth - 1) * side.rows + box.height - 1;
  return is_program_memory(side.address, slices * side.pitch + box.width);
}

/// Rows of linear memory: an operation that older hosts know too.
void put_rows(Request& request, const BoxCopy& box) {
  for (const BoxSide* side : {&box.to, &box.from}) {
    request.body().put(wire_address(*side));
    request.body().put(kind_of(*side));
    request.body().put(side->pitch);
  }
  request.body().put(uint64_t{box.width});
  request.body().put(uint64_t{box.height});
  request.put(box.stream);
}

void put_box(Request& request, const BoxCopy& box) {
  for (const BoxSide* side : {&box.to, &box.from}) {
    request.body().put(kind_of(*side));
    for (const uint64_t number : {wire_address(*side), side->pitch, side->rows, side->x, side->y, side->z})
      request.body().put(number);
  }
  for (const size_t extent : {box.width, box.height, box.depth}) request.body().put(uint64_t{extent});
  request.put(box.stream);
}

/// A box that the copy engine reaches on both sides.
CUresult send(const BoxCopy& box) {
  const bool is_rows = box.depth == 1 && box.to.array == 0 && box.from.array == 0;
  Request request(is_rows ? api::Op::copy_2d : api::Op::copy_box, true);
  if (is_rows)
    put_rows(request, box);
  else
    put_box(request, box);
  return is_beyond_doubt(box.to, box) && is_beyond_doubt(box.from, box) ? request.post() : request.call();
}

void copy_on_host(const BoxSide& to, const BoxSide& from, const BoxCopy& box) {
  for (size_t slice = 0; slice < box.depth; ++slice)
    for (size_t row = 0; row < box.height; ++row)
      std::memcpy(reinterpret_cast<void*>(to.at(0, row, slice).address),
                  reinterpret_cast<const void*>(from.at(0, row, slice).address), box.width);
}

/// The part of a box that one chunk of staging holds, and where it begins.
struct Piece {
  size_t x = 0, row = 0, slice = 0;
  size_t width = 0, height = 0, depth = 0;
};

/// Cuts a box into pieces of whole slices, of whole rows, or of parts of a row: as large as fit.
template <typename Visit>
CUresult for_each_piece(const BoxCopy& box, Visit visit) {
  constexpr size_t kMost = Staging::kChunkData;
  const size_t width = std::min(box.width, kMost);
  const size_t height = std::min(box.height, width < box.width ? 1 : kMost / width);
  const size_t depth = std::min(box.depth, height < box.height || width < box.width ? 1 : kMost / (width * height));
  for (size_t slice = 0; slice < box.depth; slice += depth)
    for (size_t row = 0; row < box.height; row += height)
      for (size_t x = 0; x < box.width; x += width) {
        const Piece piece{x,
                          row,
                          slice,
                          std::min(width, box.width - x),
                          std::min(height, box.height - row),
                          std::min(depth, box.depth - slice)};
        if (const CUresult result = visit(piece); result != CUDA_SUCCESS) return result;
      }
  return CUDA_SUCCESS;
}

/// The piece, packed in a chunk.
BoxSide packed(const Chunk& chunk, const Piece& piece) {
  BoxSide side;
  side.address = reinterpret_cast<uint64_t>(Staging::data_of(chunk));
  side.where = {Place::pinned, Staging::offset_of(chunk)};
  side.pitch = piece.width;
  side.rows = piece.height;
  return side;
}

BoxCopy part_of(const BoxCopy& box, const Piece& piece) {
  return {box.to.at(piece.x, piece.row, piece.slice),
          box.from.at(piece.x, piece.row, piece.slice),
          piece.width,
          piece.height,
          piece.depth,
          box.stream,
          box.posted};
}

CUresult from_pageable(const BoxCopy& box) {
  Staging& staging = this_thread_staging();
  const CUresult result = for_each_piece(box, [&](const Piece& piece) {
    Chunk* chunk = nullptr;
    if (const CUresult acquired = staging.acquire(chunk); acquired != CUDA_SUCCESS) return acquired;
    BoxCopy part = part_of(box, piece);
    const BoxSide between = packed(*chunk, piece);
    copy_on_host(between, part.from, part);
    part.from = between;
    const CUresult sent = send(part);
    return sent != CUDA_SUCCESS ? sent : staging.mark(*chunk, box.stream);
  });
  return result != CUDA_SUCCESS || box.posted ? result : synchronize_stream(box.stream);
}

CUresult to_pageable(const BoxCopy& box) {
  Staging& staging = this_thread_staging();
  return for_each_piece(box, [&](const Piece& piece) {
    Chunk* chunk = nullptr;
    if (const CUresult acquired = staging.acquire(chunk); acquired != CUDA_SUCCESS) return acquired;
    BoxCopy part = part_of(box, piece);
    const BoxSide target = part.to;
    part.to = packed(*chunk, piece);
    if (const CUresult sent = send(part); sent != CUDA_SUCCESS) return sent;
    if (const CUresult waited = synchronize_stream(box.stream); waited != CUDA_SUCCESS) return waited;
    copy_on_host(target, part.to, part);
    return CUDA_SUCCESS;
  });
}

/// The fields of a description that belong to a side.
struct Described {
  CUmemorytype type;
  uint64_t host;
  CUdeviceptr device;
  CUarray array;
  size_t x, y, z, pitch, rows;
};

CUresult describe_side(const Described& what, const BoxCopy& box, BoxSide& side) {
  if (what.type == CU_MEMORYTYPE_ARRAY) return describe_array(what.array, what.x, what.y, what.z, box, side);
  if (what.type != CU_MEMORYTYPE_HOST && what.type != CU_MEMORYTYPE_DEVICE && what.type != CU_MEMORYTYPE_UNIFIED)
    return CUDA_ERROR_INVALID_VALUE;
  const bool one_row = box.height <= 1 && box.depth <= 1;
  side.pitch = what.pitch == 0 && one_row ? what.x + box.width : what.pitch;
  side.rows = what.rows == 0 && box.depth <= 1 ? what.y + box.height : what.rows;
  if (side.pitch < what.x + box.width || (box.depth > 1 && side.rows < what.y + box.height))
    return CUDA_ERROR_INVALID_VALUE;
  const uint64_t base = what.type == CU_MEMORYTYPE_HOST ? what.host : what.device;
  if (base == 0) return CUDA_ERROR_INVALID_VALUE;
  side.address = base + (what.z * side.rows + what.y) * side.pitch + what.x;
  side.where = locate(side.address);
  if (what.type == CU_MEMORYTYPE_DEVICE && side.where.place == Place::pageable) side.where.place = Place::device;
  return CUDA_SUCCESS;
}

uint64_t number(const void* pointer) { return reinterpret_cast<uint64_t>(pointer); }

}  // namespace

BoxSide BoxSide::at(uint64_t bytes, uint64_t row, uint64_t slice) const {
  BoxSide moved = *this;
  const uint64_t distance = (slice * rows + row) * pitch + bytes;
  if (array == 0) {
    moved.address += distance;
    moved.where.offset += distance;
  } else {
    moved.x += bytes;
    moved.y += row;
    moved.z += slice;
  }
  return moved;
}

CUresult copy_box(const BoxCopy& copy) {
  const Request probe(api::Op::pad, true);
  if (probe.refusal() != CUDA_SUCCESS) return probe.refusal();
  if (copy.width == 0 || copy.height == 0 || copy.depth == 0) return CUDA_SUCCESS;
  const bool to_is_pageable = copy.to.is_pageable(), from_is_pageable = copy.from.is_pageable();
  if ((to_is_pageable || from_is_pageable) && is_capturing(copy.stream)) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  if (to_is_pageable && from_is_pageable) {
    if (const CUresult result = synchronize_stream(copy.stream); result != CUDA_SUCCESS) return result;
    copy_on_host(copy.to, copy.from, copy);
    return CUDA_SUCCESS;
  }
  if (from_is_pageable) return from_pageable(copy);
  if (to_is_pageable) return to_pageable(copy);
  const CUresult result = send(copy);
  return result != CUDA_SUCCESS || copy.posted ? result : synchronize_stream(copy.stream);
}

CUresult describe_array(CUarray array, uint64_t x, uint64_t y, uint64_t z, const BoxCopy& copy, BoxSide& side) {
  arrays::ArrayInfo info;
  if (array == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (wire::kind_of(number(array)) != wire::Kind::array || !arrays::find(number(array), info))
    return CUDA_ERROR_INVALID_HANDLE;
  if (!contains_box(info.shape, x, y, z, copy.width, copy.height, copy.depth)) return CUDA_ERROR_INVALID_VALUE;
  side = {};
  side.array = number(array);
  side.x = x;
  side.y = y;
  side.z = z;
  return CUDA_SUCCESS;
}

CUresult describe(const CUDA_MEMCPY3D& c, BoxCopy& copy) {
  copy.width = c.WidthInBytes;
  copy.height = c.Height;
  copy.depth = c.Depth;
  if (copy.width == 0 || copy.height == 0 || copy.depth == 0) return CUDA_SUCCESS;
  const Described to{c.dstMemoryType, number(c.dstHost), c.dstDevice, c.dstArray, c.dstXInBytes, c.dstY,
                     c.dstZ,          c.dstPitch,        c.dstHeight};
  const Described from{c.srcMemoryType, number(c.srcHost), c.srcDevice, c.srcArray, c.srcXInBytes, c.srcY,
                       c.srcZ,          c.srcPitch,        c.srcHeight};
  if (const CUresult result = describe_side(to, copy, copy.to); result != CUDA_SUCCESS) return result;
  return describe_side(from, copy, copy.from);
}

}  // namespace vgpu::shim
