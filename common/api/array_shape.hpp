// What follows from the description of an array: how large its elements and it are.
#pragma once

#include <algorithm>
#include <cstdint>

#include "common/api/cuda_types.hpp"

namespace vgpu::cuda {

/// Bytes of one element; 0 for formats that are not so many equal channels (compressed, of several planes).
inline uint64_t element_bytes(CUarray_format format, unsigned channels) {
  uint64_t channel = 0;
  switch (format) {
    case CU_AD_FORMAT_UNSIGNED_INT8:
    case CU_AD_FORMAT_SIGNED_INT8:
      channel = 1;
      break;
    case CU_AD_FORMAT_UNSIGNED_INT16:
    case CU_AD_FORMAT_SIGNED_INT16:
    case CU_AD_FORMAT_HALF:
      channel = 2;
      break;
    case CU_AD_FORMAT_UNSIGNED_INT32:
    case CU_AD_FORMAT_SIGNED_INT32:
    case CU_AD_FORMAT_FLOAT:
      channel = 4;
      break;
    default:
      break;
  }
  return channels == 1 || channels == 2 || channels == 4 ? channel * channels : 0;
}
inline uint64_t element_bytes(const CUDA_ARRAY3D_DESCRIPTOR& array) {
  return element_bytes(array.Format, array.NumChannels);
}

/// Rows of a slice and slices: of dimensions that an array has not, one.
inline uint64_t rows_of(const CUDA_ARRAY3D_DESCRIPTOR& array) { return std::max<uint64_t>(array.Height, 1); }
inline uint64_t slices_of(const CUDA_ARRAY3D_DESCRIPTOR& array) { return std::max<uint64_t>(array.Depth, 1); }

/// True if a box that begins at (x bytes, y, z) and is so large lies in the array. Of formats whose elements have no
/// size nothing is known: the driver looks at them.
inline bool contains_box(const CUDA_ARRAY3D_DESCRIPTOR& array, uint64_t x, uint64_t y, uint64_t z, uint64_t width,
                         uint64_t height, uint64_t depth) {
  const auto fits = [](uint64_t at, uint64_t size, uint64_t whole) { return size <= whole && at <= whole - size; };
  const uint64_t element = element_bytes(array);
  if (element == 0) return true;
  uint64_t row = 0;
  if (__builtin_mul_overflow(element, uint64_t{array.Width}, &row) || x % element != 0 || width % element != 0)
    return false;
  return fits(x, width, row) && fits(y, height, rows_of(array)) && fits(z, depth, slices_of(array));
}

/// Bytes that an array takes at least: what a quota counts. All ones if that is no number.
inline uint64_t array_bytes(const CUDA_ARRAY3D_DESCRIPTOR& array) {
  constexpr uint64_t kMostOfElement = 16;
  const uint64_t element = element_bytes(array) != 0 ? element_bytes(array) : kMostOfElement;
  uint64_t size = 0;
  const bool fits = !__builtin_mul_overflow(element, uint64_t{array.Width}, &size) &&
                    !__builtin_mul_overflow(size, rows_of(array), &size) &&
                    !__builtin_mul_overflow(size, slices_of(array), &size);
  return fits ? size : ~uint64_t{0};
}

/// The description of a level of a mipmapped array. Layers and faces stay as many as they are.
inline CUDA_ARRAY3D_DESCRIPTOR level_of(CUDA_ARRAY3D_DESCRIPTOR array, unsigned level) {
  const auto halved = [level](size_t size) {
    return size == 0 ? 0 : std::max<size_t>(level < 64 ? size >> level : 0, 1);
  };
  array.Width = halved(array.Width);
  array.Height = halved(array.Height);
  if ((array.Flags & (CUDA_ARRAY3D_LAYERED | CUDA_ARRAY3D_CUBEMAP)) == 0) array.Depth = halved(array.Depth);
  return array;
}

/// The most levels that a mipmapped array of this size has.
inline unsigned most_levels(const CUDA_ARRAY3D_DESCRIPTOR& array) {
  uint64_t longest = std::max<uint64_t>(array.Width, array.Height);
  if ((array.Flags & (CUDA_ARRAY3D_LAYERED | CUDA_ARRAY3D_CUBEMAP)) == 0)
    longest = std::max<uint64_t>(longest, array.Depth);
  unsigned levels = 1;
  for (; longest > 1; longest >>= 1) ++levels;
  return levels;
}

}  // namespace vgpu::cuda
