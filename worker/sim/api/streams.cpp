// Streams and host functions.
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

}  // namespace

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
