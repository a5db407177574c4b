// Fills. The synchronous ones are answered when submitted, as the driver does for device memory.
#include "shim/client/device_memory.hpp"
#include "shim/client/request.hpp"
#include "shim/client/sync_memops.hpp"
#include "shim/cuda/calls.gen.hpp"
#include "shim/staging/transfer.hpp"

namespace vgpu::shim::calls {
namespace {

struct Area {
  CUdeviceptr to;
  size_t pitch;  // bytes from row to row
  size_t width;  // elements
  size_t height;
};

CUresult fill(const Area& area, uint32_t value, uint32_t element, CUstream stream, bool posted) {
  Request request(posted ? api::Op::fill : api::Op::fill_sync, true);
  if (request.refusal() != CUDA_SUCCESS) return request.refusal();
  if (area.width == 0 || area.height == 0) return CUDA_SUCCESS;
  const bool overflows = area.width > ~size_t{0} / element;
  const bool rows_overlap = area.height > 1 && area.pitch < area.width * element;
  const bool misaligned = area.to % element != 0 || (area.height > 1 && area.pitch % element != 0);
  if (area.to == 0 || overflows || rows_overlap || misaligned) return CUDA_ERROR_INVALID_VALUE;
  if (!is_program_memory(area.to, (area.height - 1) * area.pitch + area.width * element))
    return CUDA_ERROR_INVALID_VALUE;
  request.body().put(static_cast<uint64_t>(area.to));
  request.body().put(static_cast<uint64_t>(area.pitch));
  request.body().put(value);
  request.body().put(element);
  request.body().put(static_cast<uint64_t>(area.width));
  request.body().put(static_cast<uint64_t>(area.height));
  request.put(stream);
  if (posted) return request.post();
  const CUresult result = request.call();
  return result == CUDA_SUCCESS && must_synchronize(area.to) ? synchronize_stream(stream) : result;
}

}  // namespace

CUresult cuMemsetD8_v2(CUdeviceptr dstDevice, unsigned char uc, size_t N) {
  return fill({dstDevice, 0, N, 1}, uc, 1, nullptr, false);
}
CUresult cuMemsetD16_v2(CUdeviceptr dstDevice, unsigned short us, size_t N) {
  return fill({dstDevice, 0, N, 1}, us, 2, nullptr, false);
}
CUresult cuMemsetD32_v2(CUdeviceptr dstDevice, unsigned ui, size_t N) {
  return fill({dstDevice, 0, N, 1}, ui, 4, nullptr, false);
}

CUresult cuMemsetD2D8_v2(CUdeviceptr dstDevice, size_t dstPitch, unsigned char uc, size_t Width, size_t Height) {
  return fill({dstDevice, dstPitch, Width, Height}, uc, 1, nullptr, false);
}
CUresult cuMemsetD2D16_v2(CUdeviceptr dstDevice, size_t dstPitch, unsigned short us, size_t Width, size_t Height) {
  return fill({dstDevice, dstPitch, Width, Height}, us, 2, nullptr, false);
}
CUresult cuMemsetD2D32_v2(CUdeviceptr dstDevice, size_t dstPitch, unsigned ui, size_t Width, size_t Height) {
  return fill({dstDevice, dstPitch, Width, Height}, ui, 4, nullptr, false);
}

CUresult cuMemsetD8Async(CUdeviceptr dstDevice, unsigned char uc, size_t N, CUstream hStream) {
  return fill({dstDevice, 0, N, 1}, uc, 1, hStream, true);
}
CUresult cuMemsetD16Async(CUdeviceptr dstDevice, unsigned short us, size_t N, CUstream hStream) {
  return fill({dstDevice, 0, N, 1}, us, 2, hStream, true);
}
CUresult cuMemsetD32Async(CUdeviceptr dstDevice, unsigned ui, size_t N, CUstream hStream) {
  return fill({dstDevice, 0, N, 1}, ui, 4, hStream, true);
}

CUresult cuMemsetD2D8Async(CUdeviceptr dstDevice, size_t dstPitch, unsigned char uc, size_t Width, size_t Height,
                           CUstream hStream) {
  return fill({dstDevice, dstPitch, Width, Height}, uc, 1, hStream, true);
}
CUresult cuMemsetD2D16Async(CUdeviceptr dstDevice, size_t dstPitch, unsigned short us, size_t Width, size_t Height,
                            CUstream hStream) {
  return fill({dstDevice, dstPitch, Width, Height}, us, 2, hStream, true);
}
CUresult cuMemsetD2D32Async(CUdeviceptr dstDevice, size_t dstPitch, unsigned ui, size_t Width, size_t Height,
                            CUstream hStream) {
  return fill({dstDevice, dstPitch, Width, Height}, ui, 4, hStream, true);
}

}  // namespace vgpu::shim::calls
