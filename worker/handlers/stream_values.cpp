// Values that streams write and wait for. The driver takes the place in memory on trust, so it must be the client's. A
// wait that nobody fulfils stays in its stream, as natively, and goes with the client.
#include "worker/handlers/handlers.gen.hpp"
#include "worker/handlers/value_operations.hpp"

namespace vgpu::worker::handlers {
namespace {

constexpr uint32_t kWrite = 1, k64Bits = 2, kFirstVersion = 4, kKinds = 8;

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
  const auto batch =
      op.first_version != 0 ? session.driver().cuStreamBatchMemOp : session.driver().cuStreamBatchMemOp_v2;
  CUstream stream = nullptr;
  if (batch == nullptr) return call.finish(CUDA_ERROR_NOT_SUPPORTED);
  if (!session.objects().find(op.on.value, stream)) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  std::vector<CUstreamBatchMemOpParams> operations;
  CUresult result = read_operations(session, op.operations, operations);
  if (result != CUDA_SUCCESS) return call.finish(result);
  result = batch(stream, static_cast<unsigned>(operations.size()), operations.data(), op.flags);
  if (result == CUDA_SUCCESS) session.dispatcher().count(op.on.value);
  call.finish(result);
}

}  // namespace vgpu::worker::handlers
