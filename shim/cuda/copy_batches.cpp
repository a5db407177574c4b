// Batches of copies: their copies one after the other, which is one of the orders that CUDA allows. Everything that is
// described is looked at before the first copy begins.
#include <cstdint>

#include "common/api/array_shape.hpp"
#include "shim/client/arrays.hpp"
#include "shim/client/default_stream.hpp"
#include "shim/client/request.hpp"
#include "shim/cuda/calls.gen.hpp"
#include "shim/staging/box_copy.hpp"
#include "shim/staging/transfer.hpp"

namespace vgpu::shim::calls {
namespace {

bool is_sound(CUmemcpySrcAccessOrder order, unsigned flags) {
  return order >= CU_MEMCPY_SRC_ACCESS_ORDER_STREAM && order <= CU_MEMCPY_SRC_ACCESS_ORDER_ANY &&
         (flags & ~unsigned{CU_MEMCPY_FLAG_PREFER_OVERLAP_WITH_COMPUTE}) == 0;
}

/// Batches go to streams, never to the legacy one.
CUresult check_stream(CUstream stream) {
  if (const CUresult refused = Request(api::Op::pad, true).refusal(); refused != CUDA_SUCCESS) return refused;
  return means_legacy(stream) ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

struct Attributes {
  const CUmemcpyAttributes* all;
  const size_t* first;  // copy that each of them is for
  size_t count;
};

/// Each copy has attributes, and they are such as there are.
bool is_sound(const Attributes& attributes, size_t copies) {
  if (attributes.all == nullptr || attributes.first == nullptr || attributes.count == 0 || attributes.count > copies ||
      attributes.first[0] != 0)
    return false;
  for (size_t i = 0; i < attributes.count; ++i) {
    if (attributes.first[i] >= copies || (i > 0 && attributes.first[i] <= attributes.first[i - 1])) return false;
    if (!is_sound(attributes.all[i].srcAccessOrder, attributes.all[i].flags)) return false;
  }
  return true;
}

/// How many bytes an element has: that of the array on either side, else one.
CUresult element_of(const CUmemcpy3DOperand& operand, uint64_t& element) {
  if (operand.type == CU_MEMCPY_OPERAND_TYPE_POINTER) return CUDA_SUCCESS;
  arrays::ArrayInfo info;
  const auto handle = reinterpret_cast<uint64_t>(operand.op.array.array);
  if (operand.type != CU_MEMCPY_OPERAND_TYPE_ARRAY || handle == 0) return CUDA_ERROR_INVALID_VALUE;
  if (wire::kind_of(handle) != wire::Kind::array || !arrays::find(handle, info)) return CUDA_ERROR_INVALID_HANDLE;
  const uint64_t found = element_bytes(info.shape);
  if (found == 0) return CUDA_ERROR_NOT_SUPPORTED;
  if (element != 0 && element != found) return CUDA_ERROR_INVALID_VALUE;
  element = found;
  return CUDA_SUCCESS;
}

CUresult describe(const CUmemcpy3DOperand& operand, const size_t (&extent)[3], uint64_t element, const BoxCopy& copy,
                  BoxSide& side) {
  if (operand.type == CU_MEMCPY_OPERAND_TYPE_ARRAY) {
    const auto& place = operand.op.array;
    return describe_array(place.array, place.offset[0] * element, place.offset[1], place.offset[2], copy, side);
  }
  const auto& memory = operand.op.ptr;
  const bool fits = (memory.rowLength == 0 || memory.rowLength >= extent[0]) &&
                    (memory.layerHeight == 0 || memory.layerHeight >= extent[1]);
  if (memory.ptr == 0 || !fits) return CUDA_ERROR_INVALID_VALUE;
  side.address = memory.ptr;
  side.where = locate(memory.ptr);
  side.pitch = (memory.rowLength != 0 ? memory.rowLength : extent[0]) * element;
  side.rows = memory.layerHeight != 0 ? memory.layerHeight : extent[1];
  return CUDA_SUCCESS;
}

CUresult describe(const CUDA_MEMCPY3D_BATCH_OP& op, BoxCopy& copy) {
  if (op.extent[0] == 0 || op.extent[1] == 0 || op.extent[2] == 0 || !is_sound(op.srcAccessOrder, op.flags))
    return CUDA_ERROR_INVALID_VALUE;
  uint64_t element = 0;
  if (const CUresult result = element_of(op.src, element); result != CUDA_SUCCESS) return result;
  if (const CUresult result = element_of(op.dst, element); result != CUDA_SUCCESS) return result;
  if (element == 0) element = 1;
  if (__builtin_mul_overflow(op.extent[0], element, &copy.width)) return CUDA_ERROR_INVALID_VALUE;
  copy.height = op.extent[1];
  copy.depth = op.extent[2];
  if (const CUresult result = describe(op.dst, op.extent, element, copy, copy.to); result != CUDA_SUCCESS)
    return result;
  return describe(op.src, op.extent, element, copy, copy.from);
}

/// Calls step(i) for each copy until one fails, and says which.
template <typename Step>
CUresult for_each_copy(size_t count, size_t* failed, Step step) {
  for (size_t i = 0; i < count; ++i) {
    const CUresult result = step(i);
    if (result == CUDA_SUCCESS) continue;
    if (failed != nullptr) *failed = i;
    return result;
  }
  return CUDA_SUCCESS;
}

/// In failIdx: what failed is no single copy.
void note_no_copy(size_t* failed) {
  if (failed != nullptr) *failed = SIZE_MAX;
}

}  // namespace

CUresult cuMemcpyBatchAsync(CUdeviceptr* dsts, CUdeviceptr* srcs, size_t* sizes, size_t count,
                            CUmemcpyAttributes* attrs, size_t* attrsIdxs, size_t numAttrs, size_t* failIdx,
                            CUstream hStream) {
  note_no_copy(failIdx);
  if (const CUresult result = check_stream(hStream); result != CUDA_SUCCESS) return result;
  if (dsts == nullptr || srcs == nullptr || sizes == nullptr || count == 0 ||
      !is_sound(Attributes{attrs, attrsIdxs, numAttrs}, count))
    return CUDA_ERROR_INVALID_VALUE;
  return for_each_copy(count, failIdx, [&](size_t i) {
    return transfer({dsts[i], locate(dsts[i]), srcs[i], locate(srcs[i]), sizes[i], hStream, true});
  });
}

CUresult cuMemcpyBatchAsync_v2(CUdeviceptr* dsts, CUdeviceptr* srcs, size_t* sizes, size_t count,
                               CUmemcpyAttributes* attrs, size_t* attrsIdxs, size_t numAttrs, CUstream hStream) {
  return cuMemcpyBatchAsync(dsts, srcs, sizes, count, attrs, attrsIdxs, numAttrs, nullptr, hStream);
}

CUresult cuMemcpy3DBatchAsync(size_t numOps, CUDA_MEMCPY3D_BATCH_OP* opList, size_t* failIdx, unsigned long long flags,
                              CUstream hStream) {
  note_no_copy(failIdx);
  if (const CUresult result = check_stream(hStream); result != CUDA_SUCCESS) return result;
  if (numOps == 0 || opList == nullptr || flags != 0) return CUDA_ERROR_INVALID_VALUE;
  const CUresult described = for_each_copy(numOps, failIdx, [&](size_t i) {
    BoxCopy copy;
    return describe(opList[i], copy);
  });
  if (described != CUDA_SUCCESS) return described;
  return for_each_copy(numOps, failIdx, [&](size_t i) {
    BoxCopy copy;
    copy.stream = hStream;
    copy.posted = true;
    const CUresult result = describe(opList[i], copy);
    return result != CUDA_SUCCESS ? result : copy_box(copy);
  });
}

CUresult cuMemcpy3DBatchAsync_v2(size_t numOps, CUDA_MEMCPY3D_BATCH_OP* opList, unsigned long long flags,
                                 CUstream hStream) {
  return cuMemcpy3DBatchAsync(numOps, opList, nullptr, flags, hStream);
}

}  // namespace vgpu::shim::calls
