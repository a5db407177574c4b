// Values that streams write and wait for. The driver takes the place in memory on trust, so it must be the client's. A
// wait that nobody fulfils stays in its stream, as natively, and goes with the client.
#include <cstring>
#include <vector>

#include "worker/handlers/handlers.gen.hpp"
#include "worker/session.hpp"

namespace vgpu::worker::handlers {
namespace {

constexpr uint32_t kWrite = 1, k64Bits = 2, kFirstVersion = 4, kKinds = 8;

/// The address of a word of the client's memory, as the driver wants it.
CUresult find_word(Session& session, uint64_t address, bool in_window, size_t width, CUdeviceptr& word) {
  word = address;
  if (in_window) {
    if (!session.window().heap_contains(address, width)) return session.violation("a value outside the window's heap");
    word = reinterpret_cast<uint64_t>(session.window().bytes(address, width));
  }
  return session.allocations().covers(word, width) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

template <typename Function, typename... Arguments>
CUresult call_if_there(Function* function, Arguments... arguments) {
  return function != nullptr ? function(arguments...) : CUDA_ERROR_NOT_SUPPORTED;
}

CUresult submit(const DriverTable& driver, uint32_t kind, CUstream stream, CUdeviceptr word, uint64_t value,
                unsigned flags) {
  const auto narrow = static_cast<cuuint32_t>(value);
  switch (kind) {
    case 0:
      return call_if_there(driver.cuStreamWaitValue32_v2, stream, word, narrow, flags);
    case kWrite:
      return call_if_there(driver.cuStreamWriteValue32_v2, stream, word, narrow, flags);
    case k64Bits:
      return call_if_there(driver.cuStreamWaitValue64_v2, stream, word, value, flags);
    case kWrite | k64Bits:
      return call_if_there(driver.cuStreamWriteValue64_v2, stream, word, value, flags);
    case kFirstVersion:
      return call_if_there(driver.cuStreamWaitValue32, stream, word, narrow, flags);
    case kFirstVersion | kWrite:
      return call_if_there(driver.cuStreamWriteValue32, stream, word, narrow, flags);
    case kFirstVersion | k64Bits:
      return call_if_there(driver.cuStreamWaitValue64, stream, word, value, flags);
    default:
      return call_if_there(driver.cuStreamWriteValue64, stream, word, value, flags);
  }
}

size_t width_of(CUstreamBatchMemOpType operation) {
  switch (operation) {
    case CU_STREAM_MEM_OP_WAIT_VALUE_32:
    case CU_STREAM_MEM_OP_WRITE_VALUE_32:
      return 4;
    case CU_STREAM_MEM_OP_WAIT_VALUE_64:
    case CU_STREAM_MEM_OP_WRITE_VALUE_64:
      return 8;
    default:
      return 0;
  }
}

/// One operation of a batch as the driver may have it: its place in memory checked, nothing else in it but what it is
/// made of.
CUresult check(Session& session, CUstreamBatchMemOpParams& operation) {
  const CUstreamBatchMemOpParams given = operation;
  operation = {};
  operation.operation = given.operation;
  const size_t width = width_of(given.operation);
  if (width == 0) {
    operation.head.flags = given.head.flags;
    const bool known =
        given.operation == CU_STREAM_MEM_OP_BARRIER || given.operation == CU_STREAM_MEM_OP_FLUSH_REMOTE_WRITES;
    return known ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
  }
  operation.value.value = given.value.value;
  operation.value.flags = given.value.flags;
  return find_word(session, given.value.address, given.value.alias != 0, width, operation.value.address);
}

}  // namespace

void stream_value(Session& session, const api::ops::StreamValue& op, Call& call) {
  CUstream stream = nullptr;
  if (!session.objects().find(op.on.value, stream)) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  if (op.kind >= kKinds) return call.finish(session.violation("a value of an unknown kind"));
  CUdeviceptr word = 0;
  CUresult result = find_word(session, op.address, op.in_window != 0, (op.kind & k64Bits) != 0 ? 8 : 4, word);
  if (result == CUDA_SUCCESS) result = submit(session.driver(), op.kind, stream, word, op.value, op.flags);
  if (result == CUDA_SUCCESS) session.dispatcher().count(op.on.value);
  call.finish(result);
}

void stream_batch(Session& session, const api::ops::StreamBatch& op, Call& call) {
  static_assert(sizeof(CUstreamBatchMemOpParams) == 48);
  const auto batch =
      op.first_version != 0 ? session.driver().cuStreamBatchMemOp : session.driver().cuStreamBatchMemOp_v2;
  CUstream stream = nullptr;
  if (batch == nullptr) return call.finish(CUDA_ERROR_NOT_SUPPORTED);
  if (!session.objects().find(op.on.value, stream)) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  if (op.operations.size() % sizeof(CUstreamBatchMemOpParams) != 0)
    return call.finish(session.violation("a batch of a wrong size"));
  std::vector<CUstreamBatchMemOpParams> operations(op.operations.size() / sizeof(CUstreamBatchMemOpParams));
  if (!operations.empty()) std::memcpy(operations.data(), op.operations.data(), op.operations.size());
  for (CUstreamBatchMemOpParams& operation : operations)
    if (const CUresult checked = check(session, operation); checked != CUDA_SUCCESS) return call.finish(checked);
  const CUresult result = batch(stream, static_cast<unsigned>(operations.size()), operations.data(), op.flags);
  if (result == CUDA_SUCCESS) session.dispatcher().count(op.on.value);
  call.finish(result);
}

}  // namespace vgpu::worker::handlers
