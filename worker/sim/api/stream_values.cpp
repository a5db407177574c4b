// Values in memory that streams and graphs write and wait for. Each of the calls is a batch, as a node of a graph is.
#include <ctime>

#include "worker/sim/api/graph_entry.hpp"

using namespace vgpu::sim::api;
using vgpu::sim::device::BatchParameters;
using vgpu::sim::device::Context;
using vgpu::sim::device::Simulator;

VGPU_SIM_EXPORT(cuStreamWriteValue32);
VGPU_SIM_EXPORT(cuStreamWriteValue32_v2);
VGPU_SIM_EXPORT(cuStreamWriteValue64);
VGPU_SIM_EXPORT(cuStreamWriteValue64_v2);
VGPU_SIM_EXPORT(cuStreamWaitValue32);
VGPU_SIM_EXPORT(cuStreamWaitValue32_v2);
VGPU_SIM_EXPORT(cuStreamWaitValue64);
VGPU_SIM_EXPORT(cuStreamWaitValue64_v2);
VGPU_SIM_EXPORT(cuStreamBatchMemOp);
VGPU_SIM_EXPORT(cuStreamBatchMemOp_v2);

namespace {

/// The word a stream writes or waits for, or null after failing the context.
template <typename T>
T* reach_word(Context& context, CUdeviceptr address) {
  Simulator& sim = Simulator::get();
  if (!sim.arena.contains(address)) return reinterpret_cast<T*>(address);
  std::byte* at = sim.arena.resolve(address, sizeof(T));
  if (at == nullptr)
    context.fail({vgpu::sim::exec::FaultCode::illegal_address, "a stream's word is not allocated at its time"});
  return reinterpret_cast<T*>(at);
}

bool is_word(CUdeviceptr address, std::size_t size) {
  return address % size == 0 && !vgpu::sim::device::is_refused(address, size) &&
         vgpu::sim::device::place_of(address) != vgpu::sim::device::Place::pageable;
}

template <typename T>
CUresult write_work(CUdeviceptr address, T value, unsigned flags, Work& work) {
  if (flags != CU_STREAM_WRITE_VALUE_DEFAULT || !is_word(address, sizeof(T))) return CUDA_ERROR_INVALID_VALUE;
  work = [=](Context& context) {
    if (T* word = reach_word<T>(context, address)) __atomic_store_n(word, value, __ATOMIC_RELEASE);
  };
  return CUDA_SUCCESS;
}

template <typename T>
bool holds(T found, T wanted, unsigned how) {
  switch (how) {
    case CU_STREAM_WAIT_VALUE_GEQ:
      return static_cast<std::make_signed_t<T>>(found - wanted) >= 0;
    case CU_STREAM_WAIT_VALUE_EQ:
      return found == wanted;
    case CU_STREAM_WAIT_VALUE_AND:
      return (found & wanted) != 0;
    default:
      return static_cast<T>(~(found | wanted)) != 0;
  }
}

template <typename T>
CUresult wait_work(CUdeviceptr address, T value, unsigned flags, Work& work) {
  if (flags > CU_STREAM_WAIT_VALUE_NOR || !is_word(address, sizeof(T))) return CUDA_ERROR_INVALID_VALUE;
  work = [=](Context& context) {
    const timespec pause{0, 20'000};
    // The word is looked up anew each time: its memory may go away meanwhile.
    for (const T* word = reach_word<T>(context, address); word != nullptr; word = reach_word<T>(context, address)) {
      if (holds(__atomic_load_n(word, __ATOMIC_ACQUIRE), value, flags) || context.stop_kernels) return;
      ::nanosleep(&pause, nullptr);
    }
  };
  return CUDA_SUCCESS;
}

CUresult batch_work(const CUstreamBatchMemOpParams& operation, Work& work) {
  const auto& value = operation.value;
  const auto narrow = static_cast<cuuint32_t>(value.value);
  switch (operation.operation) {
    case CU_STREAM_MEM_OP_WAIT_VALUE_32:
      return wait_work(value.address, narrow, value.flags, work);
    case CU_STREAM_MEM_OP_WRITE_VALUE_32:
      return write_work(value.address, narrow, value.flags, work);
    case CU_STREAM_MEM_OP_WAIT_VALUE_64:
      return wait_work(value.address, cuuint64_t{value.value}, value.flags, work);
    case CU_STREAM_MEM_OP_WRITE_VALUE_64:
      return write_work(value.address, cuuint64_t{value.value}, value.flags, work);
    case CU_STREAM_MEM_OP_BARRIER:  // all operations here are in order
      work = [](Context&) {};
      return operation.head.flags <= CU_STREAM_MEMORY_BARRIER_TYPE_GPU ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
    case CU_STREAM_MEM_OP_FLUSH_REMOTE_WRITES:
      return CUDA_ERROR_NOT_SUPPORTED;  // as the attribute says
    default:
      return CUDA_ERROR_INVALID_VALUE;
  }
}

CUresult enqueue_batch(CUstream handle, CUstreamBatchMemOpParams* operations, unsigned count, unsigned flags) {
  return with_stream(handle, [&](const StreamPtr& stream) {
    Task task;
    const auto context = as_handle<CUcontext>(stream->context()->handle());
    const CUresult result = batch_task({context, count, operations, flags}, task);
    return result != CUDA_SUCCESS ? result : enqueue(stream, {.task = std::move(task), .through_gate = false});
  });
}

CUresult enqueue_one(CUstream handle, CUstreamBatchMemOpType type, CUdeviceptr address, cuuint64_t value,
                     unsigned flags) {
  CUstreamBatchMemOpParams operation{};
  operation.operation = type;
  operation.value.address = address;
  operation.value.value = value;
  operation.value.flags = flags;
  return enqueue_batch(handle, &operation, 1, 0);
}

/// The first versions of these calls are there for devices that say so by an attribute; this one does not.
CUresult first_version(CUstream handle) {
  return with_stream(handle, [](const StreamPtr&) { return CUDA_ERROR_NOT_SUPPORTED; });
}

}  // namespace

namespace vgpu::sim::api {

CUresult batch_task(const CUDA_BATCH_MEM_OP_NODE_PARAMS& given, Task& out) {
  constexpr unsigned limit = 256;
  if (given.flags != 0 || given.count >= limit || (given.paramArray == nullptr && given.count != 0))
    return CUDA_ERROR_INVALID_VALUE;
  const auto parameters = std::make_shared<device::BatchParameters>();
  if (given.count != 0) parameters->operations.assign(given.paramArray, given.paramArray + given.count);
  parameters->given = given;
  parameters->given.paramArray = parameters->operations.data();
  std::vector<Work> steps(given.count);
  for (unsigned i = 0; i < given.count; ++i)
    if (const CUresult result = batch_work(given.paramArray[i], steps[i]); result != CUDA_SUCCESS) return result;
  const Work work = [steps = std::move(steps)](Context& context) {
    for (const Work& step : steps) step(context);
  };
  out = {NodeType::memory_operation, work, std::shared_ptr<const device::BatchParameters>(parameters)};
  return CUDA_SUCCESS;
}

}  // namespace vgpu::sim::api

CUresult cuStreamWriteValue32_v2(CUstream stream, CUdeviceptr address, cuuint32_t value, unsigned flags) {
  return enqueue_one(stream, CU_STREAM_MEM_OP_WRITE_VALUE_32, address, value, flags);
}
CUresult cuStreamWriteValue64_v2(CUstream stream, CUdeviceptr address, cuuint64_t value, unsigned flags) {
  return enqueue_one(stream, CU_STREAM_MEM_OP_WRITE_VALUE_64, address, value, flags);
}
CUresult cuStreamWaitValue32_v2(CUstream stream, CUdeviceptr address, cuuint32_t value, unsigned flags) {
  return enqueue_one(stream, CU_STREAM_MEM_OP_WAIT_VALUE_32, address, value, flags);
}
CUresult cuStreamWaitValue64_v2(CUstream stream, CUdeviceptr address, cuuint64_t value, unsigned flags) {
  return enqueue_one(stream, CU_STREAM_MEM_OP_WAIT_VALUE_64, address, value, flags);
}
CUresult cuStreamBatchMemOp_v2(CUstream stream, unsigned count, CUstreamBatchMemOpParams* operations, unsigned flags) {
  return enqueue_batch(stream, operations, count, flags);
}

CUresult cuStreamWriteValue32(CUstream stream, CUdeviceptr, cuuint32_t, unsigned) { return first_version(stream); }
CUresult cuStreamWriteValue64(CUstream stream, CUdeviceptr, cuuint64_t, unsigned) { return first_version(stream); }
CUresult cuStreamWaitValue32(CUstream stream, CUdeviceptr, cuuint32_t, unsigned) { return first_version(stream); }
CUresult cuStreamWaitValue64(CUstream stream, CUdeviceptr, cuuint64_t, unsigned) { return first_version(stream); }
CUresult cuStreamBatchMemOp(CUstream stream, unsigned, CUstreamBatchMemOpParams*, unsigned) {
  return first_version(stream);
}
