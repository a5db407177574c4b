// cuStreamWaitValue*, cuStreamWriteValue* and cuStreamBatchMemOp. A wait may never end, natively as well: it waits in
// its stream, and what the program does on other streams goes on.
#include <array>
#include <cstring>

#include "shim/client/context.hpp"
#include "shim/client/device_facts.hpp"
#include "shim/client/device_memory.hpp"
#include "shim/client/request.hpp"
#include "shim/client/value_words.hpp"
#include "shim/cuda/calls.gen.hpp"

namespace vgpu::shim::calls {
namespace {

// `kind` of the operation.
constexpr uint32_t kWrite = 1, k64Bits = 2, kFirstVersion = 4;
/// A batch has fewer operations than this.
constexpr unsigned kBatchLimit = 256;

/// Whether the device of the current context says that it can do something.
bool device_offers(CUdevice_attribute attribute) {
  const Context* context = current_context();
  const DeviceFacts* facts = context != nullptr ? device_facts(device_of(*context)) : nullptr;
  return facts != nullptr && facts->attribute(attribute) > 0;
}

bool is_offered(uint32_t kind) {
  const bool wide = (kind & k64Bits) != 0;
  if ((kind & kFirstVersion) != 0)
    return device_offers(CU_DEVICE_ATTRIBUTE_CAN_USE_STREAM_MEM_OPS_V1) &&
           (!wide || device_offers(CU_DEVICE_ATTRIBUTE_CAN_USE_64_BIT_STREAM_MEM_OPS_V1));
  return !wide || device_offers(CU_DEVICE_ATTRIBUTE_CAN_USE_64_BIT_STREAM_MEM_OPS);
}

/// Nothing that the driver could refuse: such an operation is not waited for.
bool is_plain(uint32_t kind, unsigned flags) {
  return (kind & kWrite) != 0 ? flags == CU_STREAM_WRITE_VALUE_DEFAULT : flags <= CU_STREAM_WAIT_VALUE_AND;
}

CUresult submit(uint32_t kind, CUstream stream, CUdeviceptr address, uint64_t value, unsigned flags) {
  Request request(api::Op::stream_value, true);
  if (request.refusal() != CUDA_SUCCESS) return request.refusal();
  if (!is_offered(kind)) return CUDA_ERROR_NOT_SUPPORTED;
  uint64_t word = address;
  bool in_window = false;
  const CUresult found = find_word(word, (kind & k64Bits) != 0 ? 8 : 4, in_window);
  if (found != CUDA_SUCCESS) return found;
  request.body().put(kind);
  request.body().put(word);
  request.body().put(static_cast<uint32_t>(in_window));
  request.body().put(value);
  request.body().put(uint32_t{flags});
  request.put(stream);
  return is_plain(kind, flags) ? request.post() : request.call();
}

/// Makes one operation of a batch ready to travel; `plain` becomes false if the driver may refuse it.
CUresult prepare(CUstreamBatchMemOpParams& operation, bool& plain) {
  uint32_t kind = 0;
  switch (operation.operation) {
    case CU_STREAM_MEM_OP_WAIT_VALUE_32:
      break;
    case CU_STREAM_MEM_OP_WRITE_VALUE_32:
      kind = kWrite;
      break;
    case CU_STREAM_MEM_OP_WAIT_VALUE_64:
      kind = k64Bits;
      break;
    case CU_STREAM_MEM_OP_WRITE_VALUE_64:
      kind = kWrite | k64Bits;
      break;
    case CU_STREAM_MEM_OP_FLUSH_REMOTE_WRITES:
    case CU_STREAM_MEM_OP_BARRIER:
      plain = false;
      return CUDA_SUCCESS;
    default:
      return CUDA_ERROR_INVALID_VALUE;
  }
  uint64_t word = operation.value.address;
  bool in_window = false;
  const CUresult found = find_word(word, (kind & k64Bits) != 0 ? 8 : 4, in_window);
  operation.value.address = word;
  operation.value.alias = in_window ? 1 : 0;
  plain = plain && is_plain(kind, operation.value.flags) && is_offered(kind);
  return found;
}

CUresult submit_batch(bool first_version, CUstream stream, unsigned count, const CUstreamBatchMemOpParams* operations,
                      unsigned flags) {
  Request request(api::Op::stream_batch, true);
  if (request.refusal() != CUDA_SUCCESS) return request.refusal();
  if (first_version && !device_offers(CU_DEVICE_ATTRIBUTE_CAN_USE_STREAM_MEM_OPS_V1)) return CUDA_ERROR_NOT_SUPPORTED;
  if (flags != 0 || count >= kBatchLimit || (operations == nullptr && count != 0)) return CUDA_ERROR_INVALID_VALUE;
  std::array<CUstreamBatchMemOpParams, kBatchLimit> copies;
  bool plain = !first_version && count != 0;
  for (unsigned i = 0; i < count; ++i) {
    copies[i] = operations[i];
    if (const CUresult ready = prepare(copies[i], plain); ready != CUDA_SUCCESS) return ready;
  }
  const size_t size = count * sizeof copies[0];
  request.put(stream);
  request.body().put(static_cast<uint32_t>(first_version));
  request.body().put(uint32_t{flags});
  request.body().put(static_cast<uint32_t>(size));
  const std::span<const uint8_t> tail(reinterpret_cast<const uint8_t*>(copies.data()), size);
  return plain ? request.post(tail) : request.call(tail);
}

}  // namespace

CUresult cuStreamWaitValue32(CUstream stream, CUdeviceptr addr, cuuint32_t value, unsigned flags) {
  return submit(kFirstVersion, stream, addr, value, flags);
}
CUresult cuStreamWaitValue32_v2(CUstream stream, CUdeviceptr addr, cuuint32_t value, unsigned flags) {
  return submit(0, stream, addr, value, flags);
}
CUresult cuStreamWaitValue64(CUstream stream, CUdeviceptr addr, cuuint64_t value, unsigned flags) {
  return submit(k64Bits | kFirstVersion, stream, addr, value, flags);
}
CUresult cuStreamWaitValue64_v2(CUstream stream, CUdeviceptr addr, cuuint64_t value, unsigned flags) {
  return submit(k64Bits, stream, addr, value, flags);
}
CUresult cuStreamWriteValue32(CUstream stream, CUdeviceptr addr, cuuint32_t value, unsigned flags) {
  return submit(kWrite | kFirstVersion, stream, addr, value, flags);
}
CUresult cuStreamWriteValue32_v2(CUstream stream, CUdeviceptr addr, cuuint32_t value, unsigned flags) {
  return submit(kWrite, stream, addr, value, flags);
}
CUresult cuStreamWriteValue64(CUstream stream, CUdeviceptr addr, cuuint64_t value, unsigned flags) {
  return submit(kWrite | k64Bits | kFirstVersion, stream, addr, value, flags);
}
CUresult cuStreamWriteValue64_v2(CUstream stream, CUdeviceptr addr, cuuint64_t value, unsigned flags) {
  return submit(kWrite | k64Bits, stream, addr, value, flags);
}

CUresult cuStreamBatchMemOp(CUstream stream, unsigned count, CUstreamBatchMemOpParams* paramArray, unsigned flags) {
  return submit_batch(true, stream, count, paramArray, flags);
}
CUresult cuStreamBatchMemOp_v2(CUstream stream, unsigned count, CUstreamBatchMemOpParams* paramArray, unsigned flags) {
  return submit_batch(false, stream, count, paramArray, flags);
}

}  // namespace vgpu::shim::calls
