// Copies of one dimension. Which operation a copy becomes depends on where its two sides lie:
// shim/staging/transfer.cpp.
#include "shim/cuda/calls.gen.hpp"
#include "shim/staging/transfer.hpp"

namespace vgpu::shim::calls {
namespace {

uint64_t number(const void* pointer) { return reinterpret_cast<uint64_t>(pointer); }

/// A side that the call's name says is device memory. A device pointer may be pinned memory's, whose addresses are the
/// same on both sides.
Where as_device(uint64_t address) {
  const Where where = locate(address);
  return where.place == Place::pageable ? Where{Place::device, 0} : where;
}

CUresult to_device(CUdeviceptr to, const void* from, size_t size, CUstream stream, bool posted) {
  return transfer({to, as_device(to), number(from), locate(number(from)), size, stream, posted});
}
CUresult to_host(void* to, CUdeviceptr from, size_t size, CUstream stream, bool posted) {
  return transfer({number(to), locate(number(to)), from, as_device(from), size, stream, posted});
}
CUresult on_device(CUdeviceptr to, CUdeviceptr from, size_t size, CUstream stream, bool posted) {
  return transfer({to, as_device(to), from, as_device(from), size, stream, posted});
}
CUresult anywhere(CUdeviceptr to, CUdeviceptr from, size_t size, CUstream stream, bool posted) {
  return transfer({to, locate(to), from, locate(from), size, stream, posted});
}

}  // namespace

CUresult cuMemcpy(CUdeviceptr dst, CUdeviceptr src, size_t ByteCount) {
  return anywhere(dst, src, ByteCount, nullptr, false);
}
CUresult cuMemcpyAsync(CUdeviceptr dst, CUdeviceptr src, size_t ByteCount, CUstream hStream) {
  return anywhere(dst, src, ByteCount, hStream, true);
}

CUresult cuMemcpyHtoD_v2(CUdeviceptr dstDevice, const void* srcHost, size_t ByteCount) {
  return to_device(dstDevice, srcHost, ByteCount, nullptr, false);
}
CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr dstDevice, const void* srcHost, size_t ByteCount, CUstream hStream) {
  return to_device(dstDevice, srcHost, ByteCount, hStream, true);
}
CUresult cuMemcpyDtoH_v2(void* dstHost, CUdeviceptr srcDevice, size_t ByteCount) {
  return to_host(dstHost, srcDevice, ByteCount, nullptr, false);
}
CUresult cuMemcpyDtoHAsync_v2(void* dstHost, CUdeviceptr srcDevice, size_t ByteCount, CUstream hStream) {
  return to_host(dstHost, srcDevice, ByteCount, hStream, true);
}
CUresult cuMemcpyDtoD_v2(CUdeviceptr dstDevice, CUdeviceptr srcDevice, size_t ByteCount) {
  return on_device(dstDevice, srcDevice, ByteCount, nullptr, false);
}
CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr dstDevice, CUdeviceptr srcDevice, size_t ByteCount, CUstream hStream) {
  return on_device(dstDevice, srcDevice, ByteCount, hStream, true);
}

}  // namespace vgpu::shim::calls
