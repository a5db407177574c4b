// What devices and contexts can do beyond their attributes: affinity to multiprocessors, atomic operations over a link.
#include <algorithm>
#include <array>
#include <cstring>

#include "shim/client/request.hpp"
#include "shim/client/startup.hpp"
#include "shim/cuda/calls.gen.hpp"

namespace vgpu::shim::calls {
namespace {

CUresult check_device(CUdevice device) { return is_device(device) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE; }

/// Asks the worker, as many operations at a time as a reply takes answers.
CUresult ask_capabilities(api::ops::AtomicCapabilities op, unsigned* capabilities, const CUatomicOperation* operations,
                          unsigned count) {
  constexpr unsigned kMost = 200;
  if (capabilities == nullptr || operations == nullptr || count == 0) return CUDA_ERROR_INVALID_VALUE;
  if (std::any_of(operations, operations + count, [](unsigned one) { return one >= CU_ATOMIC_OPERATION_MAX; }))
    return CUDA_ERROR_INVALID_VALUE;
  for (unsigned done = 0; done < count;) {
    const unsigned now = std::min(count - done, kMost);
    op.operations = {reinterpret_cast<const uint8_t*>(operations + done), now * sizeof *operations};
    Request request(op.kOp, op.kNeedsContext);
    api::ops::AtomicCapabilitiesReply reply;
    if (const CUresult result = call(request, op, reply); result != CUDA_SUCCESS) return result;
    if (reply.capabilities.size() != now * sizeof *capabilities) return CUDA_ERROR_UNKNOWN;
    std::memcpy(capabilities + done, reply.capabilities.data(), reply.capabilities.size());
    done += now;
  }
  return CUDA_SUCCESS;
}

}  // namespace

/// It takes MPS, which no guest has a part in.
CUresult cuDeviceGetExecAffinitySupport(int* pi, CUexecAffinityType type, CUdevice dev) {
  if (const CUresult ready = initialized(); ready != CUDA_SUCCESS) return ready;
  if (pi == nullptr || type >= CU_EXEC_AFFINITY_TYPE_MAX) return CUDA_ERROR_INVALID_VALUE;
  if (const CUresult checked = check_device(dev); checked != CUDA_SUCCESS) return checked;
  *pi = 0;
  return CUDA_SUCCESS;
}

CUresult cuCtxGetExecAffinity(CUexecAffinityParam* pExecAffinity, CUexecAffinityType type) {
  const Request probe(api::Op::context_synchronize, true);
  if (probe.refusal() != CUDA_SUCCESS) return probe.refusal();
  if (pExecAffinity == nullptr || type >= CU_EXEC_AFFINITY_TYPE_MAX) return CUDA_ERROR_INVALID_VALUE;
  return CUDA_ERROR_UNSUPPORTED_EXEC_AFFINITY;
}

CUresult cuDeviceGetHostAtomicCapabilities(unsigned* capabilities, const CUatomicOperation* operations, unsigned count,
                                           CUdevice dev) {
  if (const CUresult ready = initialized(); ready != CUDA_SUCCESS) return ready;
  if (const CUresult checked = check_device(dev); checked != CUDA_SUCCESS) return checked;
  return ask_capabilities({.device = static_cast<uint32_t>(dev)}, capabilities, operations, count);
}

CUresult cuDeviceGetP2PAtomicCapabilities(unsigned* capabilities, const CUatomicOperation* operations, unsigned count,
                                          CUdevice srcDevice, CUdevice dstDevice) {
  if (const CUresult ready = initialized(); ready != CUDA_SUCCESS) return ready;
  if (!is_device(srcDevice) || !is_device(dstDevice) || srcDevice == dstDevice) return CUDA_ERROR_INVALID_DEVICE;
  return ask_capabilities(
      {.device = static_cast<uint32_t>(srcDevice), .has_peer = 1, .peer = static_cast<uint32_t>(dstDevice)},
      capabilities, operations, count);
}

}  // namespace vgpu::shim::calls
