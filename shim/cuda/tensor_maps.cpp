// Tensor maps: descriptions of arrays, which the driver on the host encodes.
#include <algorithm>
#include <cstring>

#include "shim/client/request.hpp"
#include "shim/cuda/calls.gen.hpp"

namespace vgpu::shim::calls {
namespace {

constexpr cuuint32_t kMostDimensions = 5;
constexpr cuuint32_t kLeastOfImages = 3;  // a batch of images of channels

/// So many elements of a program's array.
template <typename T>
wire::Bytes bytes_of(const T* array, cuuint32_t count) {
  return {reinterpret_cast<const uint8_t*>(array), count * sizeof(T)};
}

/// What any map must fulfil before its arrays can be read.
bool is_readable(const CUtensorMap* map, cuuint32_t rank, const cuuint64_t* dimensions, const cuuint64_t* strides,
                 const cuuint32_t* element_strides) {
  return map != nullptr && reinterpret_cast<uintptr_t>(map) % alignof(CUtensorMap) == 0 && rank != 0 &&
         rank <= kMostDimensions && dimensions != nullptr && (strides != nullptr || rank == 1) &&
         element_strides != nullptr;
}

template <typename Reply, typename Op>
CUresult encode(const Op& op, CUtensorMap* map) {
  Request request(Op::kOp, Op::kNeedsContext);
  Reply reply;
  const CUresult result = call(request, op, reply);
  if (result == CUDA_SUCCESS) std::memcpy(map, reply.map.data(), std::min(reply.map.size(), sizeof *map));
  return result;
}

}  // namespace

CUresult cuTensorMapEncodeTiled(CUtensorMap* tensorMap, CUtensorMapDataType tensorDataType, cuuint32_t tensorRank,
                                void* globalAddress, const cuuint64_t* globalDim, const cuuint64_t* globalStrides,
                                const cuuint32_t* boxDim, const cuuint32_t* elementStrides,
                                CUtensorMapInterleave interleave, CUtensorMapSwizzle swizzle,
                                CUtensorMapL2promotion l2Promotion, CUtensorMapFloatOOBfill oobFill) {
  using Op = api::ops::TensorMapTiled;
  if (const CUresult refused = refusal<Op>(); refused != CUDA_SUCCESS) return refused;
  if (!is_readable(tensorMap, tensorRank, globalDim, globalStrides, elementStrides) || boxDim == nullptr)
    return CUDA_ERROR_INVALID_VALUE;
  return encode<api::ops::TensorMapTiledReply>(
      Op{tensorDataType, tensorRank, reinterpret_cast<uint64_t>(globalAddress), bytes_of(globalDim, tensorRank),
         bytes_of(globalStrides, tensorRank - 1), bytes_of(boxDim, tensorRank), bytes_of(elementStrides, tensorRank),
         interleave, swizzle, l2Promotion, oobFill},
      tensorMap);
}

CUresult cuTensorMapEncodeIm2col(CUtensorMap* tensorMap, CUtensorMapDataType tensorDataType, cuuint32_t tensorRank,
                                 void* globalAddress, const cuuint64_t* globalDim, const cuuint64_t* globalStrides,
                                 const int* pixelBoxLowerCorner, const int* pixelBoxUpperCorner,
                                 cuuint32_t channelsPerPixel, cuuint32_t pixelsPerColumn,
                                 const cuuint32_t* elementStrides, CUtensorMapInterleave interleave,
                                 CUtensorMapSwizzle swizzle, CUtensorMapL2promotion l2Promotion,
                                 CUtensorMapFloatOOBfill oobFill) {
  using Op = api::ops::TensorMapIm2col;
  if (const CUresult refused = refusal<Op>(); refused != CUDA_SUCCESS) return refused;
  if (!is_readable(tensorMap, tensorRank, globalDim, globalStrides, elementStrides) || tensorRank < kLeastOfImages ||
      pixelBoxLowerCorner == nullptr || pixelBoxUpperCorner == nullptr)
    return CUDA_ERROR_INVALID_VALUE;
  return encode<api::ops::TensorMapIm2colReply>(
      Op{tensorDataType, tensorRank, reinterpret_cast<uint64_t>(globalAddress), bytes_of(globalDim, tensorRank),
         bytes_of(globalStrides, tensorRank - 1), bytes_of(pixelBoxLowerCorner, tensorRank - 2),
         bytes_of(pixelBoxUpperCorner, tensorRank - 2), channelsPerPixel, pixelsPerColumn,
         bytes_of(elementStrides, tensorRank), interleave, swizzle, l2Promotion, oobFill},
      tensorMap);
}

CUresult cuTensorMapEncodeIm2colWide(CUtensorMap* tensorMap, CUtensorMapDataType tensorDataType, cuuint32_t tensorRank,
                                     void* globalAddress, const cuuint64_t* globalDim, const cuuint64_t* globalStrides,
                                     int pixelBoxLowerCornerWidth, int pixelBoxUpperCornerWidth,
                                     cuuint32_t channelsPerPixel, cuuint32_t pixelsPerColumn,
                                     const cuuint32_t* elementStrides, CUtensorMapInterleave interleave,
                                     CUtensorMapIm2ColWideMode mode, CUtensorMapSwizzle swizzle,
                                     CUtensorMapL2promotion l2Promotion, CUtensorMapFloatOOBfill oobFill) {
  using Op = api::ops::TensorMapIm2colWide;
  if (const CUresult refused = Request(Op::kOp, Op::kNeedsContext).refusal(); refused != CUDA_SUCCESS) return refused;
  if (!is_readable(tensorMap, tensorRank, globalDim, globalStrides, elementStrides) || tensorRank < kLeastOfImages)
    return CUDA_ERROR_INVALID_VALUE;
  return encode<api::ops::TensorMapIm2colWideReply>(
      Op{tensorDataType, tensorRank, reinterpret_cast<uint64_t>(globalAddress), bytes_of(globalDim, tensorRank),
         bytes_of(globalStrides, tensorRank - 1), pixelBoxLowerCornerWidth, pixelBoxUpperCornerWidth, channelsPerPixel,
         pixelsPerColumn, bytes_of(elementStrides, tensorRank), interleave, mode, swizzle, l2Promotion, oobFill},
      tensorMap);
}

CUresult cuTensorMapReplaceAddress(CUtensorMap* tensorMap, void* globalAddress) {
  using Op = api::ops::TensorMapReplace;
  if (const CUresult refused = refusal<Op>(); refused != CUDA_SUCCESS) return refused;
  if (tensorMap == nullptr) return CUDA_ERROR_INVALID_VALUE;
  return encode<api::ops::TensorMapReplaceReply>(
      Op{bytes_of(reinterpret_cast<const uint8_t*>(tensorMap), sizeof *tensorMap),
         reinterpret_cast<uint64_t>(globalAddress)},
      tensorMap);
}

}  // namespace vgpu::shim::calls
