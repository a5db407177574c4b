// Several contexts and devices: access to each other's memory, and copies that name the contexts of both sides.
#include "shim/client/contexts.hpp"
#include "shim/client/default_stream.hpp"
#include "shim/client/device_memory.hpp"
#include "shim/client/request.hpp"
#include "shim/cuda/calls.gen.hpp"
#include "shim/staging/transfer.hpp"

namespace vgpu::shim::calls {
namespace {

bool is_live_context(CUcontext handle) {
  const Context* found = find_context(handle);
  return found != nullptr && is_alive(*found);
}

/// By a copy, to which the addresses say enough: the driver does not miss a context that is left out.
bool may_be_named(CUcontext handle) { return handle == nullptr || is_live_context(handle); }

/// A call that waits is in order with all that the contexts of both sides do; on the thread's own stream it is not.
bool is_serial(CUstream stream, bool posted) { return !posted && means_legacy(stream); }

/// Pinned memory has one address everywhere; anything that is not the program's own the driver refuses at once, so such
/// a copy waits for the answer.
CUresult copy(CUdeviceptr to, CUcontext to_context, CUdeviceptr from, CUcontext from_context, size_t size,
              CUstream stream, bool posted) {
  const bool sends = posted && is_program_memory(to, size) && is_program_memory(from, size);
  Request request(sends ? api::Op::copy_peer : api::Op::copy_peer_sync, true);
  if (request.refusal() != CUDA_SUCCESS) return request.refusal();
  if (!may_be_named(to_context) || !may_be_named(from_context)) return CUDA_ERROR_INVALID_CONTEXT;
  if (size == 0) return CUDA_SUCCESS;
  if (to == 0 || from == 0) return CUDA_ERROR_INVALID_VALUE;
  request.body().put(to);
  request.put(to_context);
  request.body().put(from);
  request.put(from_context);
  request.body().put(static_cast<uint64_t>(size));
  request.body().put(static_cast<uint32_t>(is_serial(stream, posted)));
  request.put(stream);
  return sends ? request.post() : request.call();
}

}  // namespace

CUresult cuCtxEnablePeerAccess(CUcontext peerContext, unsigned Flags) {
  Request request(api::Op::peer_enable, true);
  if (request.refusal() != CUDA_SUCCESS) return request.refusal();
  if (!is_live_context(peerContext)) return CUDA_ERROR_INVALID_CONTEXT;
  request.put(peerContext);
  request.body().put(Flags);
  return request.call();
}

CUresult cuCtxDisablePeerAccess(CUcontext peerContext) {
  Request request(api::Op::peer_disable, true);
  if (request.refusal() != CUDA_SUCCESS) return request.refusal();
  if (!is_live_context(peerContext)) return CUDA_ERROR_INVALID_CONTEXT;
  request.put(peerContext);
  return request.call();
}

CUresult cuMemcpyPeer(CUdeviceptr dstDevice, CUcontext dstContext, CUdeviceptr srcDevice, CUcontext srcContext,
                      size_t ByteCount) {
  return copy(dstDevice, dstContext, srcDevice, srcContext, ByteCount, nullptr, false);
}
CUresult cuMemcpyPeerAsync(CUdeviceptr dstDevice, CUcontext dstContext, CUdeviceptr srcDevice, CUcontext srcContext,
                           size_t ByteCount, CUstream hStream) {
  return copy(dstDevice, dstContext, srcDevice, srcContext, ByteCount, hStream, true);
}

}  // namespace vgpu::shim::calls
