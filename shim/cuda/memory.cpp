// Device memory: allocation and release. The guest keeps a map of what it owns, so that frees and copies know what an
// address is.
#include "shim/client/capture_state.hpp"
#include "shim/client/contexts.hpp"
#include "shim/client/current_pools.hpp"
#include "shim/client/device_memory.hpp"
#include "shim/client/request.hpp"
#include "shim/client/stream_table.hpp"
#include "shim/cuda/calls.gen.hpp"
#include "shim/staging/pinned_memory.hpp"

namespace vgpu::shim::calls {
namespace {

/// Whether what is put into the stream becomes part of a graph.
bool is_captured(CUstream stream) {
  CUstreamCaptureStatus status = CU_STREAM_CAPTURE_STATUS_NONE;
  return capture::open_captures.load(std::memory_order_relaxed) != 0 &&
         cuStreamIsCapturing(stream, &status) == CUDA_SUCCESS && status != CU_STREAM_CAPTURE_STATUS_NONE;
}

CUresult allocate_from(CUdeviceptr* dptr, size_t bytesize, CUmemoryPool pool, CUstream stream,
                       Context* owner = nullptr) {
  Request request(api::Op::memory_alloc_async, true);
  if (request.refusal() != CUDA_SUCCESS) return request.refusal();
  if (dptr == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (bytesize == 0) {
    *dptr = 0;
    return CUDA_SUCCESS;
  }
  request.body().put(static_cast<uint64_t>(bytesize));
  request.put(stream);
  request.put(pool);  // 0: the device's own
  const CUresult result = request.call();
  if (result != CUDA_SUCCESS) return result;
  *dptr = request.reply().take<uint64_t>();
  if (is_captured(stream))
    remember_graph_memory(*dptr, bytesize);
  else
    remember_device_memory(*dptr, bytesize, DeviceMemoryKind::pool, pool, owner);
  return CUDA_SUCCESS;
}

/// The context of a stream where that is not the current one; else null.
Context* foreign_owner(CUstream stream) {
  if (!has_several_contexts()) return nullptr;
  Context* const owner = owner_of(stream);
  return owner == current_context() ? nullptr : owner;
}

}  // namespace

CUresult cuMemAlloc_v2(CUdeviceptr* dptr, size_t bytesize) {
  Request request(api::ops::MemoryAlloc::kOp, api::ops::MemoryAlloc::kNeedsContext);
  if (request.refusal() != CUDA_SUCCESS) return request.refusal();
  if (dptr == nullptr || bytesize == 0) return CUDA_ERROR_INVALID_VALUE;
  if (const CUresult refused = refuse_if_capturing(); refused != CUDA_SUCCESS) return refused;
  api::ops::MemoryAllocReply reply;
  if (const CUresult result = call(request, api::ops::MemoryAlloc{bytesize}, reply); result != CUDA_SUCCESS)
    return result;
  *dptr = reply.address;
  remember_device_memory(reply.address, bytesize, DeviceMemoryKind::allocation);
  return CUDA_SUCCESS;
}

CUresult cuMemAllocPitch_v2(CUdeviceptr* dptr, size_t* pPitch, size_t WidthInBytes, size_t Height,
                            unsigned ElementSizeBytes) {
  Request request(api::ops::MemoryAllocPitch::kOp, api::ops::MemoryAllocPitch::kNeedsContext);
  if (request.refusal() != CUDA_SUCCESS) return request.refusal();
  const bool element_known = ElementSizeBytes == 4 || ElementSizeBytes == 8 || ElementSizeBytes == 16;
  if (dptr == nullptr || pPitch == nullptr || WidthInBytes == 0 || Height == 0 || !element_known)
    return CUDA_ERROR_INVALID_VALUE;
  if (const CUresult refused = refuse_if_capturing(); refused != CUDA_SUCCESS) return refused;
  api::ops::MemoryAllocPitchReply reply;
  const CUresult result = call(request, api::ops::MemoryAllocPitch{WidthInBytes, Height, ElementSizeBytes}, reply);
  if (result != CUDA_SUCCESS) return result;
  *dptr = reply.address;
  *pPitch = reply.pitch;
  remember_device_memory(reply.address, reply.pitch * Height, DeviceMemoryKind::allocation);
  return CUDA_SUCCESS;
}

CUresult cuMemFree_v2(CUdeviceptr dptr) {
  Request request(api::ops::MemoryFree::kOp, api::ops::MemoryFree::kNeedsContext);
  DeviceAllocation owned;  // a thread without a context of its own frees in that of the memory
  if (request.refusal() == CUDA_ERROR_INVALID_CONTEXT && dptr != 0) {
    if (!find_device_memory(dptr, owned) || owned.context == nullptr) return CUDA_ERROR_INVALID_VALUE;
    request.use_context(*owned.context);
  }
  if (request.refusal() != CUDA_SUCCESS) return request.refusal();
  if (dptr == 0) return CUDA_SUCCESS;
  if (const CUresult refused = refuse_if_capturing(); refused != CUDA_SUCCESS) return refused;
  // Off the map first: as soon as the worker has freed it, another thread may be given the address.
  DeviceAllocation allocation;
  if (!take_device_memory(dptr, allocation)) return CUDA_ERROR_INVALID_VALUE;
  // Another context's memory: it is that one's work that must be over.
  if (allocation.context != nullptr && is_alive(*allocation.context)) request.use_context(*allocation.context);
  api::ops::MemoryFree{dptr}.encode(request.body());
  const CUresult result = request.call();
  if (result != CUDA_SUCCESS) put_back_device_memory(allocation);
  return result;
}

CUresult cuMemAllocAsync(CUdeviceptr* dptr, size_t bytesize, CUstream hStream) {
  Context* owner = foreign_owner(hStream);
  const Context* context = owner != nullptr ? owner : current_context();
  return allocate_from(dptr, bytesize, context == nullptr ? nullptr : chosen_pool(device_of(*context)), hStream, owner);
}

CUresult cuMemAllocFromPoolAsync(CUdeviceptr* dptr, size_t bytesize, CUmemoryPool pool, CUstream hStream) {
  if (pool == nullptr) return CUDA_ERROR_INVALID_VALUE;
  return allocate_from(dptr, bytesize, pool, hStream);
}

CUresult cuMemFreeAsync(CUdeviceptr dptr, CUstream hStream) {
  Request request(api::Op::memory_free_async, true);
  request.body().put(static_cast<uint64_t>(dptr));
  request.put(hStream);
  if (request.refusal() != CUDA_SUCCESS) return request.refusal();
  DeviceAllocation allocation;
  if (!take_device_memory(dptr, allocation)) return CUDA_ERROR_INVALID_VALUE;
  // Whether memory of a graph is there just now, and whether a graph under capture may free this, the driver knows.
  if (allocation.kind != DeviceMemoryKind::graph && !is_captured(hStream)) return request.post();
  const CUresult result = request.call();
  if (result != CUDA_SUCCESS) put_back_device_memory(allocation);
  return result;
}

CUresult cuMemGetAddressRange_v2(CUdeviceptr* pbase, size_t* psize, CUdeviceptr dptr) {
  const Request request(api::ops::MemoryRange::kOp, api::ops::MemoryRange::kNeedsContext);
  if (request.refusal() != CUDA_SUCCESS) return request.refusal();
  DeviceAllocation device;
  PinnedAllocation pinned;
  CUdeviceptr base = 0;
  size_t size = 0;
  if (find_pinned(dptr, pinned)) {
    base = pinned.base;
    size = pinned.size;
  } else {
    if (const CUresult result = look_up_device_memory(dptr, device); result != CUDA_SUCCESS) return result;
    base = device.base;
    size = device.size;
  }
  if (pbase != nullptr) *pbase = base;
  if (psize != nullptr) *psize = size;
  return CUDA_SUCCESS;
}

}  // namespace vgpu::shim::calls
