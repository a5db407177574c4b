// Tensor maps: the driver encodes them, for what is in the 128 bytes is its own secret. It reads the arrays, and no
// memory behind the address.
#include <array>
#include <cstring>

#include "worker/handlers/handlers.gen.hpp"
#include "worker/session.hpp"

namespace vgpu::worker::handlers {
namespace {

constexpr uint32_t kMostDimensions = 5;

/// An array of the guest's, filled up with zeros: the driver must not read beyond what came.
template <typename T, size_t N>
std::array<T, N> array_of(wire::Bytes bytes) {
  std::array<T, N> values{};
  std::memcpy(values.data(), bytes.data(), std::min(bytes.size(), sizeof values));
  return values;
}

template <typename Reply>
void finish_with_map(Call& call, CUresult result, const CUtensorMap& map) {
  Reply{wire::Bytes(reinterpret_cast<const uint8_t*>(&map), sizeof map)}.encode(call.reply());
  call.finish(result);
}

}  // namespace

void tensor_map_tiled(Session& session, const api::ops::TensorMapTiled& op, Call& call) {
  const auto encode = session.driver().cuTensorMapEncodeTiled;
  if (encode == nullptr) return call.finish(CUDA_ERROR_NOT_SUPPORTED);
  if (op.rank > kMostDimensions) return call.finish(CUDA_ERROR_INVALID_VALUE);
  const auto dimensions = array_of<cuuint64_t, kMostDimensions>(op.dimensions);
  const auto strides = array_of<cuuint64_t, kMostDimensions - 1>(op.strides);
  const auto box = array_of<cuuint32_t, kMostDimensions>(op.box);
  const auto element_strides = array_of<cuuint32_t, kMostDimensions>(op.element_strides);
  CUtensorMap map{};
  const CUresult result =
      encode(&map, op.type, op.rank, reinterpret_cast<void*>(op.address), dimensions.data(), strides.data(), box.data(),
             element_strides.data(), op.interleave, op.swizzle, op.promotion, op.fill);
  finish_with_map<api::ops::TensorMapTiledReply>(call, result, map);
}

void tensor_map_im2col(Session& session, const api::ops::TensorMapIm2col& op, Call& call) {
  const auto encode = session.driver().cuTensorMapEncodeIm2col;
  if (encode == nullptr) return call.finish(CUDA_ERROR_NOT_SUPPORTED);
  if (op.rank > kMostDimensions) return call.finish(CUDA_ERROR_INVALID_VALUE);
  const auto dimensions = array_of<cuuint64_t, kMostDimensions>(op.dimensions);
  const auto strides = array_of<cuuint64_t, kMostDimensions - 1>(op.strides);
  const auto lower = array_of<int, kMostDimensions - 2>(op.lower);
  const auto upper = array_of<int, kMostDimensions - 2>(op.upper);
  const auto element_strides = array_of<cuuint32_t, kMostDimensions>(op.element_strides);
  CUtensorMap map{};
  const CUresult result = encode(&map, op.type, op.rank, reinterpret_cast<void*>(op.address), dimensions.data(),
                                 strides.data(), lower.data(), upper.data(), op.channels, op.pixels,
                                 element_strides.data(), op.interleave, op.swizzle, op.promotion, op.fill);
  finish_with_map<api::ops::TensorMapIm2colReply>(call, result, map);
}

void tensor_map_im2col_wide(Session& session, const api::ops::TensorMapIm2colWide& op, Call& call) {
  const auto encode = session.driver().cuTensorMapEncodeIm2colWide;
  if (encode == nullptr) return call.finish(CUDA_ERROR_NOT_SUPPORTED);
  if (op.rank > kMostDimensions) return call.finish(CUDA_ERROR_INVALID_VALUE);
  const auto dimensions = array_of<cuuint64_t, kMostDimensions>(op.dimensions);
  const auto strides = array_of<cuuint64_t, kMostDimensions - 1>(op.strides);
  const auto element_strides = array_of<cuuint32_t, kMostDimensions>(op.element_strides);
  CUtensorMap map{};
  const CUresult result = encode(&map, op.type, op.rank, reinterpret_cast<void*>(op.address), dimensions.data(),
                                 strides.data(), op.lower, op.upper, op.channels, op.pixels, element_strides.data(),
                                 op.interleave, op.mode, op.swizzle, op.promotion, op.fill);
  finish_with_map<api::ops::TensorMapIm2colWideReply>(call, result, map);
}

void tensor_map_replace(Session& session, const api::ops::TensorMapReplace& op, Call& call) {
  const auto replace = session.driver().cuTensorMapReplaceAddress;
  CUtensorMap map{};
  if (replace == nullptr) return call.finish(CUDA_ERROR_NOT_SUPPORTED);
  if (op.map.size() != sizeof map) return call.finish(session.violation("a tensor map of another size"));
  std::memcpy(&map, op.map.data(), sizeof map);
  const CUresult result = replace(&map, reinterpret_cast<void*>(op.address));
  finish_with_map<api::ops::TensorMapReplaceReply>(call, result, map);
}

}  // namespace vgpu::worker::handlers
