// Streams, host functions, and the words a stream writes and waits for.
#include <time.h>

#include "worker/sim/api/tasks.hpp"

using namespace vgpu::sim::api;

VGPU_SIM_EXPORT(cuStreamCreate);
VGPU_SIM_EXPORT(cuStreamCreateWithPriority);
VGPU_SIM_EXPORT(cuStreamDestroy);
VGPU_SIM_EXPORT(cuStreamDestroy_v2);
VGPU_SIM_EXPORT(cuStreamQuery);
VGPU_SIM_EXPORT(cuStreamSynchronize);
VGPU_SIM_EXPORT(cuStreamGetFlags);
VGPU_SIM_EXPORT(cuStreamGetPriority);
VGPU_SIM_EXPORT(cuStreamGetId);
VGPU_SIM_EXPORT(cuStreamGetCtx);
VGPU_SIM_EXPORT(cuStreamGetDevice);
VGPU_SIM_EXPORT(cuStreamCopyAttributes);
VGPU_SIM_EXPORT(cuStreamGetAttribute);
VGPU_SIM_EXPORT(cuStreamSetAttribute);
VGPU_SIM_EXPORT(cuLaunchHostFunc);
VGPU_SIM_EXPORT(cuStreamAddCallback);
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

constexpr int least_priority = 0, greatest_priority = -5;

template <typename Body>
CUresult with_stream(CUstream handle, Body body) {
  return with_context([&](const ContextPtr& context) {
    StreamPtr stream;
    if (const CUresult result = find_stream(context, handle, stream); result != CUDA_SUCCESS) return result;
    return static_cast<CUresult>(body(stream));
  });
}

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

CUresult enqueue_operation(const StreamPtr& stream, Work work) {
  return enqueue(stream, {.task = {NodeType::memory_operation, std::move(work), {}}, .through_gate = false});
}

template <typename T>
CUresult write_value(CUstream handle, CUdeviceptr address, T value, unsigned flags) {
  return with_stream(handle, [&](const StreamPtr& stream) {
    Work work;
    const CUresult result = write_work(address, value, flags, work);
    return result != CUDA_SUCCESS ? result : enqueue_operation(stream, std::move(work));
  });
}

template <typename T>
CUresult wait_value(CUstream handle, CUdeviceptr address, T value, unsigned flags) {
  return with_stream(handle, [&](const StreamPtr& stream) {
    Work work;
    const CUresult result = wait_work(address, value, flags, work);
    return result != CUDA_SUCCESS ? result : enqueue_operation(stream, std::move(work));
  });
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

CUresult cuStreamCreateWithPriority(CUstream* out, unsigned flags, int priority) {
  return with_context([&](const ContextPtr& context) {
    if (out == nullptr || (flags & ~CU_STREAM_NON_BLOCKING) != 0) return CUDA_ERROR_INVALID_VALUE;
    Simulator& sim = Simulator::get();
    const std::shared_lock gate(sim.gate);
    const std::lock_guard allocations(sim.allocation_gate);
    const auto kind = flags == CU_STREAM_NON_BLOCKING ? Stream::Kind::non_blocking : Stream::Kind::blocking;
    const StreamPtr stream = context->create_stream(kind, std::clamp(priority, greatest_priority, least_priority));
    stream->handle = vgpu::sim::device::next_handle();
    sim.streams.add(stream->handle, stream);
    *out = as_handle<CUstream>(stream->handle);
    return CUDA_SUCCESS;
  });
}
CUresult cuStreamCreate(CUstream* out, unsigned flags) { return cuStreamCreateWithPriority(out, flags, 0); }

CUresult cuStreamDestroy_v2(CUstream handle) {
  return with_context([&](const ContextPtr&) {
    if (handle == nullptr || handle == CU_STREAM_LEGACY || handle == CU_STREAM_PER_THREAD)
      return CUDA_ERROR_INVALID_HANDLE;
    const StreamPtr stream = Simulator::get().streams.take(handle);
    if (stream == nullptr) return CUDA_ERROR_INVALID_HANDLE;
    {
      const std::lock_guard lock(Simulator::get().capture_mutex);
      if (stream->capture != nullptr) stream->capture->invalidated = true;
      stream->capture.reset();
      stream->capture_ends.clear();
    }
    stream->context()->destroy_stream(stream);
    return CUDA_SUCCESS;
  });
}
CUresult cuStreamDestroy(CUstream handle) { return cuStreamDestroy_v2(handle); }

CUresult cuStreamQuery(CUstream handle) {
  return with_stream(handle, [&](const StreamPtr& stream) {
    if (const CUresult result = check_stream_wait(stream); result != CUDA_SUCCESS) return result;
    const bool idle = stream->is_idle();
    if (idle) stream->context()->output.flush();
    if (stream->context()->error() != CUDA_SUCCESS) return stream->context()->error();
    return idle ? CUDA_SUCCESS : CUDA_ERROR_NOT_READY;
  });
}

CUresult cuStreamSynchronize(CUstream handle) {
  return with_stream(handle, [&](const StreamPtr& stream) {
    if (const CUresult result = check_stream_wait(stream); result != CUDA_SUCCESS) return result;
    stream->context()->wait(stream->marks());
    stream->context()->output.flush();
    return stream->context()->error();
  });
}

CUresult cuStreamGetFlags(CUstream handle, unsigned* flags) {
  return with_stream(handle, [&](const StreamPtr& stream) {
    if (flags == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *flags = stream->kind() == Stream::Kind::non_blocking ? CU_STREAM_NON_BLOCKING : CU_STREAM_DEFAULT;
    return CUDA_SUCCESS;
  });
}
CUresult cuStreamGetPriority(CUstream handle, int* priority) {
  return with_stream(handle, [&](const StreamPtr& stream) {
    if (priority == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *priority = stream->priority();
    return CUDA_SUCCESS;
  });
}
CUresult cuStreamGetId(CUstream handle, unsigned long long* id) {
  return with_stream(handle, [&](const StreamPtr& stream) {
    if (id == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *id = stream->id();
    return CUDA_SUCCESS;
  });
}
CUresult cuStreamGetCtx(CUstream handle, CUcontext* out) {
  return with_stream(handle, [&](const StreamPtr& stream) {
    if (out == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *out = as_handle<CUcontext>(stream->context()->handle());
    return CUDA_SUCCESS;
  });
}
CUresult cuStreamGetDevice(CUstream handle, CUdevice* device) {
  return with_stream(handle, [&](const StreamPtr& stream) {
    if (device == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *device = stream->context()->device();
    return CUDA_SUCCESS;
  });
}
CUresult cuStreamCopyAttributes(CUstream to, CUstream from) {
  return with_stream(to, [&](const StreamPtr& target) {
    return with_stream(from, [&](const StreamPtr& source) {
      target->wait_policy = source->wait_policy.load();
      return CUDA_SUCCESS;
    });
  });
}

CUresult cuStreamGetAttribute(CUstream handle, CUstreamAttrID attribute, CUstreamAttrValue* value) {
  return with_stream(handle, [&](const StreamPtr& stream) {
    if (value == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *value = {};
    if (attribute == CU_LAUNCH_ATTRIBUTE_SYNCHRONIZATION_POLICY) {
      const unsigned policy = stream->wait_policy;
      __builtin_memcpy(value->bytes, &policy, sizeof policy);
    } else if (attribute == CU_LAUNCH_ATTRIBUTE_PRIORITY) {
      const int priority = stream->priority();
      __builtin_memcpy(value->bytes, &priority, sizeof priority);
    } else if (attribute != CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW &&
               attribute != CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN &&
               attribute != CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN_MAP) {
      return CUDA_ERROR_INVALID_VALUE;
    }
    return CUDA_SUCCESS;
  });
}
// The attributes are hints about caches and waiting; nothing here follows them.
CUresult cuStreamSetAttribute(CUstream handle, CUstreamAttrID attribute, const CUstreamAttrValue* value) {
  return with_stream(handle, [&](const StreamPtr& stream) {
    if (value == nullptr || attribute == 0 || attribute > CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN)
      return CUDA_ERROR_INVALID_VALUE;
    unsigned number = 0;
    __builtin_memcpy(&number, value->bytes, sizeof number);
    if (attribute == CU_LAUNCH_ATTRIBUTE_SYNCHRONIZATION_POLICY) stream->wait_policy = number;
    return CUDA_SUCCESS;
  });
}

CUresult cuLaunchHostFunc(CUstream handle, CUhostFn function, void* user) {
  return with_stream(handle, [&](const StreamPtr& stream) {
    Task task;
    if (const CUresult result = host_task({function, user}, task); result != CUDA_SUCCESS) return result;
    // Creations and host functions wait for the same thing in the real driver.
    { const std::lock_guard allocations(Simulator::get().allocation_gate); }
    return enqueue(stream, {.task = std::move(task), .counted = false});
  });
}

CUresult cuStreamAddCallback(CUstream handle, CUstreamCallback callback, void* user, unsigned flags) {
  return with_stream(handle, [&](const StreamPtr& stream) {
    if (callback == nullptr || flags != 0) return CUDA_ERROR_INVALID_VALUE;
    {
      const std::lock_guard lock(Simulator::get().capture_mutex);
      if (stream->capture != nullptr) {
        stream->capture->invalidated = true;
        return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
      }
    }
    const Work work = [=](Context& context) {
      const HostFunctionScope scope;
      callback(handle, context.error(), user);
    };
    return enqueue(stream, {.task = {NodeType::host, work, {}}, .counted = false, .runs_after_error = true});
  });
}

CUresult cuStreamWriteValue32_v2(CUstream stream, CUdeviceptr address, cuuint32_t value, unsigned flags) {
  return write_value(stream, address, value, flags);
}
CUresult cuStreamWriteValue64_v2(CUstream stream, CUdeviceptr address, cuuint64_t value, unsigned flags) {
  return write_value(stream, address, value, flags);
}
CUresult cuStreamWaitValue32_v2(CUstream stream, CUdeviceptr address, cuuint32_t value, unsigned flags) {
  return wait_value(stream, address, value, flags);
}
CUresult cuStreamWaitValue64_v2(CUstream stream, CUdeviceptr address, cuuint64_t value, unsigned flags) {
  return wait_value(stream, address, value, flags);
}
CUresult cuStreamBatchMemOp_v2(CUstream handle, unsigned count, CUstreamBatchMemOpParams* operations, unsigned flags) {
  return with_stream(handle, [&](const StreamPtr& stream) {
    if (flags != 0 || count >= 256 || (operations == nullptr && count != 0)) return CUDA_ERROR_INVALID_VALUE;
    std::vector<Work> all(count);
    for (unsigned i = 0; i < count; ++i)
      if (const CUresult result = batch_work(operations[i], all[i]); result != CUDA_SUCCESS) return result;
    return enqueue_operation(stream, [all = std::move(all)](Context& context) {
      for (const Work& one : all) one(context);
    });
  });
}

CUresult cuStreamWriteValue32(CUstream stream, CUdeviceptr, cuuint32_t, unsigned) { return first_version(stream); }
CUresult cuStreamWriteValue64(CUstream stream, CUdeviceptr, cuuint64_t, unsigned) { return first_version(stream); }
CUresult cuStreamWaitValue32(CUstream stream, CUdeviceptr, cuuint32_t, unsigned) { return first_version(stream); }
CUresult cuStreamWaitValue64(CUstream stream, CUdeviceptr, cuuint64_t, unsigned) { return first_version(stream); }
CUresult cuStreamBatchMemOp(CUstream stream, unsigned, CUstreamBatchMemOpParams*, unsigned) {
  return first_version(stream);
}
