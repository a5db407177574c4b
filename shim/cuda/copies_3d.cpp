// Copies of rectangles and boxes, and of arrays: descriptions of what shim/staging/box_copy.cpp does.
#include "shim/cuda/calls.gen.hpp"
#include "shim/staging/box_copy.hpp"

namespace vgpu::shim::calls {
namespace {

CUresult copy_described(const CUDA_MEMCPY3D* description, CUstream stream, bool posted) {
  if (description == nullptr) return CUDA_ERROR_INVALID_VALUE;
  BoxCopy copy;
  copy.stream = stream;
  copy.posted = posted;
  const CUresult result = describe(*description, copy);
  return result != CUDA_SUCCESS ? result : copy_box(copy);
}

CUresult copy_described(const CUDA_MEMCPY2D* description, CUstream stream, bool posted) {
  if (description == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const CUDA_MEMCPY2D& c = *description;
  CUDA_MEMCPY3D box{};
  box.srcXInBytes = c.srcXInBytes;
  box.srcY = c.srcY;
  box.srcMemoryType = c.srcMemoryType;
  box.srcHost = c.srcHost;
  box.srcDevice = c.srcDevice;
  box.srcArray = c.srcArray;
  box.srcPitch = c.srcPitch;
  box.dstXInBytes = c.dstXInBytes;
  box.dstY = c.dstY;
  box.dstMemoryType = c.dstMemoryType;
  box.dstHost = c.dstHost;
  box.dstDevice = c.dstDevice;
  box.dstArray = c.dstArray;
  box.dstPitch = c.dstPitch;
  box.WidthInBytes = c.WidthInBytes;
  box.Height = c.Height;
  box.Depth = 1;
  return copy_described(&box, stream, posted);
}

uint64_t number(const void* pointer) { return reinterpret_cast<uint64_t>(pointer); }

/// One side of a copy of so many bytes.
BoxSide host_side(const void* host) {
  BoxSide side;
  side.address = number(host);
  side.where = locate(side.address);
  return side;
}
BoxSide device_side(CUdeviceptr device) {
  BoxSide side;
  side.address = device;
  side.where = locate(device);
  if (side.where.place == Place::pageable) side.where.place = Place::device;
  return side;
}
struct InArray {
  CUarray array;
  size_t offset;
};

CUresult fill_in(const BoxSide& memory, const BoxCopy& copy, BoxSide& side) {
  side = memory;
  side.pitch = copy.width;
  side.rows = 1;
  return memory.address != 0 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}
CUresult fill_in(const InArray& place, const BoxCopy& copy, BoxSide& side) {
  return describe_array(place.array, place.offset, 0, 0, copy, side);
}

/// Arrays of one dimension, from an offset in bytes on.
template <typename To, typename From>
CUresult copy_bytes(const To& to, const From& from, size_t size, CUstream stream, bool posted) {
  BoxCopy copy;
  copy.width = size;
  copy.stream = stream;
  copy.posted = posted;
  if (size == 0) return copy_box(copy);
  if (const CUresult result = fill_in(to, copy, copy.to); result != CUDA_SUCCESS) return result;
  const CUresult result = fill_in(from, copy, copy.from);
  return result != CUDA_SUCCESS ? result : copy_box(copy);
}

}  // namespace

CUresult cuMemcpy2D_v2(const CUDA_MEMCPY2D* pCopy) { return copy_described(pCopy, nullptr, false); }
CUresult cuMemcpy2DUnaligned_v2(const CUDA_MEMCPY2D* pCopy) { return copy_described(pCopy, nullptr, false); }
CUresult cuMemcpy2DAsync_v2(const CUDA_MEMCPY2D* pCopy, CUstream hStream) {
  return copy_described(pCopy, hStream, true);
}

CUresult cuMemcpy3D_v2(const CUDA_MEMCPY3D* pCopy) { return copy_described(pCopy, nullptr, false); }
CUresult cuMemcpy3DAsync_v2(const CUDA_MEMCPY3D* pCopy, CUstream hStream) {
  return copy_described(pCopy, hStream, true);
}

CUresult cuMemcpyAtoA_v2(CUarray dstArray, size_t dstOffset, CUarray srcArray, size_t srcOffset, size_t ByteCount) {
  return copy_bytes(InArray{dstArray, dstOffset}, InArray{srcArray, srcOffset}, ByteCount, nullptr, false);
}
CUresult cuMemcpyAtoD_v2(CUdeviceptr dstDevice, CUarray srcArray, size_t srcOffset, size_t ByteCount) {
  return copy_bytes(device_side(dstDevice), InArray{srcArray, srcOffset}, ByteCount, nullptr, false);
}
CUresult cuMemcpyDtoA_v2(CUarray dstArray, size_t dstOffset, CUdeviceptr srcDevice, size_t ByteCount) {
  return copy_bytes(InArray{dstArray, dstOffset}, device_side(srcDevice), ByteCount, nullptr, false);
}
CUresult cuMemcpyAtoH_v2(void* dstHost, CUarray srcArray, size_t srcOffset, size_t ByteCount) {
  return copy_bytes(host_side(dstHost), InArray{srcArray, srcOffset}, ByteCount, nullptr, false);
}
CUresult cuMemcpyAtoHAsync_v2(void* dstHost, CUarray srcArray, size_t srcOffset, size_t ByteCount, CUstream hStream) {
  return copy_bytes(host_side(dstHost), InArray{srcArray, srcOffset}, ByteCount, hStream, true);
}
CUresult cuMemcpyHtoA_v2(CUarray dstArray, size_t dstOffset, const void* srcHost, size_t ByteCount) {
  return copy_bytes(InArray{dstArray, dstOffset}, host_side(srcHost), ByteCount, nullptr, false);
}
CUresult cuMemcpyHtoAAsync_v2(CUarray dstArray, size_t dstOffset, const void* srcHost, size_t ByteCount,
                              CUstream hStream) {
  return copy_bytes(InArray{dstArray, dstOffset}, host_side(srcHost), ByteCount, hStream, true);
}

}  // namespace vgpu::shim::calls
