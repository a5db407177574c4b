// Contexts: the primary one, others, and the calling thread's stack of them.
#include "worker/sim/api/enqueue.hpp"

using namespace vgpu::sim::api;
using vgpu::sim::device::Device;

VGPU_SIM_EXPORT(cuCtxCreate);
VGPU_SIM_EXPORT(cuCtxCreate_v2);
VGPU_SIM_EXPORT(cuCtxCreate_v3);
VGPU_SIM_EXPORT(cuCtxCreate_v4);
VGPU_SIM_EXPORT(cuCtxDestroy);
VGPU_SIM_EXPORT(cuCtxDestroy_v2);
VGPU_SIM_EXPORT(cuCtxAttach);
VGPU_SIM_EXPORT(cuCtxDetach);
VGPU_SIM_EXPORT(cuCtxGetCurrent);
VGPU_SIM_EXPORT(cuCtxSetCurrent);
VGPU_SIM_EXPORT(cuCtxPushCurrent);
VGPU_SIM_EXPORT(cuCtxPushCurrent_v2);
VGPU_SIM_EXPORT(cuCtxPopCurrent);
VGPU_SIM_EXPORT(cuCtxPopCurrent_v2);
VGPU_SIM_EXPORT(cuCtxGetDevice);
VGPU_SIM_EXPORT(cuCtxGetDevice_v2);
VGPU_SIM_EXPORT(cuCtxGetFlags);
VGPU_SIM_EXPORT(cuCtxSetFlags);
VGPU_SIM_EXPORT(cuCtxGetId);
VGPU_SIM_EXPORT(cuCtxGetApiVersion);
VGPU_SIM_EXPORT(cuCtxGetLimit);
VGPU_SIM_EXPORT(cuCtxSetLimit);
VGPU_SIM_EXPORT(cuCtxGetCacheConfig);
VGPU_SIM_EXPORT(cuCtxSetCacheConfig);
VGPU_SIM_EXPORT(cuCtxGetSharedMemConfig);
VGPU_SIM_EXPORT(cuCtxSetSharedMemConfig);
VGPU_SIM_EXPORT(cuCtxGetStreamPriorityRange);
VGPU_SIM_EXPORT(cuCtxResetPersistingL2Cache);
VGPU_SIM_EXPORT(cuCtxSynchronize);
VGPU_SIM_EXPORT(cuCtxSynchronize_v2);
VGPU_SIM_EXPORT(cuDevicePrimaryCtxRetain);
VGPU_SIM_EXPORT(cuDevicePrimaryCtxRelease);
VGPU_SIM_EXPORT(cuDevicePrimaryCtxRelease_v2);
VGPU_SIM_EXPORT(cuDevicePrimaryCtxReset);
VGPU_SIM_EXPORT(cuDevicePrimaryCtxReset_v2);
VGPU_SIM_EXPORT(cuDevicePrimaryCtxSetFlags);
VGPU_SIM_EXPORT(cuDevicePrimaryCtxSetFlags_v2);
VGPU_SIM_EXPORT(cuDevicePrimaryCtxGetState);
VGPU_SIM_EXPORT(cuFlushGPUDirectRDMAWrites);

namespace {

/// Of the scheduling flags at most one may be given.
bool are_valid_flags(unsigned flags) {
  const unsigned schedule = flags & CU_CTX_SCHED_MASK;
  return (flags & ~CU_CTX_FLAGS_MASK) == 0 && (schedule & (schedule - 1)) == 0;
}

std::shared_ptr<Context> new_context(std::uint64_t handle, unsigned flags, bool primary, CUdevice device) {
  auto context = std::make_shared<Context>(handle, flags, primary, device);
  context->open();
  Simulator::get().contexts.add(handle, context);
  return context;
}

CUresult create(CUcontext* out, unsigned flags, CUdevice device) {
  return without_context([&] {
    if (out == nullptr || !are_valid_flags(flags)) return CUDA_ERROR_INVALID_VALUE;
    if (!Simulator::get().has(device)) return CUDA_ERROR_INVALID_DEVICE;
    const auto context = new_context(vgpu::sim::device::next_handle(), flags, false, device);
    thread_state().contexts.push_back(context->handle());
    *out = as_handle<CUcontext>(context->handle());
    return CUDA_SUCCESS;
  });
}

CUresult synchronize(const ContextPtr& context) {
  if (const CUresult result = check_conflicting(*context); result != CUDA_SUCCESS) return result;
  context->wait_idle();
  context->output.flush();
  return context->error();
}

template <typename Body>
CUresult of_device(CUdevice number, Body body) {
  return without_context([&] {
    Simulator& sim = Simulator::get();
    return sim.has(number) ? static_cast<CUresult>(body(*sim.devices[static_cast<std::size_t>(number)]))
                           : CUDA_ERROR_INVALID_DEVICE;
  });
}

/// The context named by a handle, or the current one for null.
CUresult named_or_current(CUcontext handle, ContextPtr& out) {
  if (handle == nullptr) return current_context(out);
  if (const CUresult result = check_callable(); result != CUDA_SUCCESS) return result;
  out = find_context(handle);
  return out == nullptr ? CUDA_ERROR_INVALID_CONTEXT : CUDA_SUCCESS;
}

}  // namespace

CUresult cuCtxCreate(CUcontext* out, unsigned flags, CUdevice device) { return create(out, flags, device); }
CUresult cuCtxCreate_v2(CUcontext* out, unsigned flags, CUdevice device) { return create(out, flags, device); }
CUresult cuCtxCreate_v3(CUcontext* out, CUexecAffinityParam*, int affinities, unsigned flags, CUdevice device) {
  return affinities != 0 ? CUDA_ERROR_UNSUPPORTED_EXEC_AFFINITY : create(out, flags, device);
}
CUresult cuCtxCreate_v4(CUcontext* out, CUctxCreateParams* parameters, unsigned flags, CUdevice device) {
  if (parameters != nullptr && parameters->numExecAffinityParams != 0) return CUDA_ERROR_UNSUPPORTED_EXEC_AFFINITY;
  if (parameters != nullptr && parameters->cigParams != nullptr) return CUDA_ERROR_NOT_SUPPORTED;
  return create(out, flags, device);
}

CUresult cuCtxDestroy_v2(CUcontext handle) {
  return without_context([&] {
    if (handle == nullptr) return CUDA_ERROR_INVALID_VALUE;
    const ContextPtr context = find_context(handle);
    if (context == nullptr || context->is_primary()) return CUDA_ERROR_INVALID_CONTEXT;
    auto& stack = thread_state().contexts;
    if (!stack.empty() && stack.back() == context->handle()) stack.pop_back();
    Simulator::get().destroy_context(context);
    return CUDA_SUCCESS;
  });
}
CUresult cuCtxDestroy(CUcontext handle) { return cuCtxDestroy_v2(handle); }

CUresult cuCtxAttach(CUcontext* out, unsigned flags) {
  return with_context([&](const ContextPtr& context) {
    if (out == nullptr || flags != 0) return CUDA_ERROR_INVALID_VALUE;
    *out = as_handle<CUcontext>(context->handle());
    return CUDA_SUCCESS;
  });
}
CUresult cuCtxDetach(CUcontext handle) {
  return without_context([&] { return find_context(handle) != nullptr ? CUDA_SUCCESS : CUDA_ERROR_INVALID_CONTEXT; });
}

CUresult cuCtxGetCurrent(CUcontext* out) {
  return without_context([&] {
    if (out == nullptr) return CUDA_ERROR_INVALID_VALUE;
    const auto& stack = thread_state().contexts;
    *out = stack.empty() ? nullptr : as_handle<CUcontext>(stack.back());
    return CUDA_SUCCESS;
  });
}

CUresult cuCtxSetCurrent(CUcontext handle) {
  return without_context([&] {
    auto& stack = thread_state().contexts;
    if (handle == nullptr) {
      if (!stack.empty()) stack.pop_back();
      return CUDA_SUCCESS;
    }
    if (find_context(handle) == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
    if (stack.empty()) stack.push_back(0);
    stack.back() = reinterpret_cast<std::uint64_t>(handle);
    return CUDA_SUCCESS;
  });
}

CUresult cuCtxPushCurrent_v2(CUcontext handle) {
  return without_context([&] {
    if (handle == nullptr) return CUDA_ERROR_INVALID_VALUE;
    if (find_context(handle) == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
    thread_state().contexts.push_back(reinterpret_cast<std::uint64_t>(handle));
    return CUDA_SUCCESS;
  });
}
CUresult cuCtxPushCurrent(CUcontext handle) { return cuCtxPushCurrent_v2(handle); }

CUresult cuCtxPopCurrent_v2(CUcontext* out) {
  return without_context([&] {
    auto& stack = thread_state().contexts;
    if (stack.empty()) return CUDA_ERROR_INVALID_CONTEXT;
    if (out != nullptr) *out = as_handle<CUcontext>(stack.back());
    stack.pop_back();
    return CUDA_SUCCESS;
  });
}
CUresult cuCtxPopCurrent(CUcontext* out) { return cuCtxPopCurrent_v2(out); }

CUresult cuCtxGetDevice_v2(CUdevice* device, CUcontext handle) {
  return guarded([&] {
    ContextPtr context;
    if (const CUresult result = named_or_current(handle, context); result != CUDA_SUCCESS) return result;
    if (device == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *device = context->device();
    return CUDA_SUCCESS;
  });
}
CUresult cuCtxGetDevice(CUdevice* device) { return cuCtxGetDevice_v2(device, nullptr); }

CUresult cuCtxGetFlags(unsigned* flags) {
  return with_context([&](const ContextPtr& context) {
    if (flags == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *flags = context->flags;
    return CUDA_SUCCESS;
  });
}
CUresult cuCtxSetFlags(unsigned flags) {
  return with_context([&](const ContextPtr& context) {
    if (!are_valid_flags(flags)) return CUDA_ERROR_INVALID_VALUE;
    context->flags = flags;
    return CUDA_SUCCESS;
  });
}

CUresult cuCtxGetId(CUcontext handle, unsigned long long* id) {
  return guarded([&] {
    ContextPtr context;
    if (const CUresult result = named_or_current(handle, context); result != CUDA_SUCCESS) return result;
    if (id == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *id = context->id();
    return CUDA_SUCCESS;
  });
}

CUresult cuCtxGetApiVersion(CUcontext handle, unsigned* version) {
  return guarded([&] {
    ContextPtr context;
    if (const CUresult result = named_or_current(handle, context); result != CUDA_SUCCESS) return result;
    if (version == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *version = 3020;
    return CUDA_SUCCESS;
  });
}

CUresult cuCtxGetLimit(std::size_t* value, CUlimit limit) {
  return with_context([&](const ContextPtr& context) {
    if (value == nullptr || limit > CU_LIMIT_PERSISTING_L2_CACHE_SIZE) return CUDA_ERROR_INVALID_VALUE;
    if (limit == CU_LIMIT_DEV_RUNTIME_SYNC_DEPTH) return CUDA_ERROR_UNSUPPORTED_LIMIT;
    *value = context->limits[limit];
    return CUDA_SUCCESS;
  });
}

CUresult cuCtxSetLimit(CUlimit limit, std::size_t value) {
  return with_context([&](const ContextPtr& context) {
    if (limit > CU_LIMIT_PERSISTING_L2_CACHE_SIZE) return CUDA_ERROR_INVALID_VALUE;
    if (limit == CU_LIMIT_DEV_RUNTIME_SYNC_DEPTH) return CUDA_ERROR_UNSUPPORTED_LIMIT;
    if (const CUresult result = check_unsafe(*context); result != CUDA_SUCCESS) return result;
    constexpr std::size_t largest_stack = 512u << 10;
    if (limit == CU_LIMIT_STACK_SIZE && value > largest_stack) return CUDA_ERROR_INVALID_VALUE;
    if (limit == CU_LIMIT_STACK_SIZE) {
      if (const CUresult result = wait_exclusively(context); result != CUDA_SUCCESS) return result;
    }
    context->limits[limit] = value;
    if (limit == CU_LIMIT_PRINTF_FIFO_SIZE) context->output.set_capacity(std::min<std::size_t>(value, 1u << 30));
    return CUDA_SUCCESS;
  });
}

CUresult cuCtxGetCacheConfig(CUfunc_cache* config) {
  return with_context([&](const ContextPtr& context) {
    if (config == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *config = context->cache_config;
    return CUDA_SUCCESS;
  });
}
CUresult cuCtxSetCacheConfig(CUfunc_cache config) {
  return with_context([&](const ContextPtr& context) {
    if (config > CU_FUNC_CACHE_PREFER_EQUAL) return CUDA_ERROR_INVALID_VALUE;
    context->cache_config = config;
    return CUDA_SUCCESS;
  });
}
CUresult cuCtxGetSharedMemConfig(CUsharedconfig* config) {
  return with_context([&](const ContextPtr& context) {
    if (config == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *config = context->shared_config;
    return CUDA_SUCCESS;
  });
}
CUresult cuCtxSetSharedMemConfig(CUsharedconfig config) {
  return with_context([&](const ContextPtr& context) {
    if (config > 2) return CUDA_ERROR_INVALID_VALUE;
    context->shared_config = config;
    return CUDA_SUCCESS;
  });
}
CUresult cuCtxGetStreamPriorityRange(int* least, int* greatest) {
  return with_context([&](const ContextPtr&) {
    if (least != nullptr) *least = 0;
    if (greatest != nullptr) *greatest = -5;
    return CUDA_SUCCESS;
  });
}
CUresult cuCtxResetPersistingL2Cache() {
  return with_context([](const ContextPtr&) { return CUDA_SUCCESS; });
}
CUresult cuFlushGPUDirectRDMAWrites(CUflushGPUDirectRDMAWritesTarget, CUflushGPUDirectRDMAWritesScope) {
  return with_context([](const ContextPtr&) { return CUDA_ERROR_NOT_SUPPORTED; });
}

CUresult cuCtxSynchronize() { return with_context(synchronize); }
CUresult cuCtxSynchronize_v2(CUcontext handle) {
  return guarded([&] {
    ContextPtr context;
    if (const CUresult result = named_or_current(handle, context); result != CUDA_SUCCESS) return result;
    return synchronize(context);
  });
}

CUresult cuDevicePrimaryCtxRetain(CUcontext* out, CUdevice device) {
  return of_device(device, [&](Device& of) {
    if (out == nullptr) return CUDA_ERROR_INVALID_VALUE;
    const std::lock_guard lock(of.mutex);
    if (of.primary_error != CUDA_SUCCESS) return of.primary_error;
    if (of.primary == nullptr) of.primary = new_context(of.primary_handle, of.primary_flags, true, device);
    ++of.primary_users;
    *out = as_handle<CUcontext>(of.primary_handle);
    return CUDA_SUCCESS;
  });
}

CUresult cuDevicePrimaryCtxRelease_v2(CUdevice device) {
  return of_device(device, [&](Device& of) {
    ContextPtr ended;
    {
      const std::lock_guard lock(of.mutex);
      if (of.primary_users == 0) return CUDA_ERROR_INVALID_CONTEXT;
      if (--of.primary_users == 0) ended.swap(of.primary);
    }
    if (ended != nullptr) Simulator::get().destroy_context(ended);
    return CUDA_SUCCESS;
  });
}
CUresult cuDevicePrimaryCtxRelease(CUdevice device) { return cuDevicePrimaryCtxRelease_v2(device); }

// Whoever had retained it has to do so again. A reset does not heal a process with a sticky error.
CUresult cuDevicePrimaryCtxReset_v2(CUdevice device) {
  return of_device(device, [&](Device& of) {
    ContextPtr ended;
    const std::lock_guard lock(of.mutex);
    ended.swap(of.primary);
    if (ended == nullptr) return CUDA_SUCCESS;
    of.primary_error = ended->error();
    of.primary_users = 0;
    Simulator::get().destroy_context(ended);
    return CUDA_SUCCESS;
  });
}
CUresult cuDevicePrimaryCtxReset(CUdevice device) { return cuDevicePrimaryCtxReset_v2(device); }

CUresult cuDevicePrimaryCtxSetFlags_v2(CUdevice device, unsigned flags) {
  return of_device(device, [&](Device& of) {
    if (!are_valid_flags(flags)) return CUDA_ERROR_INVALID_VALUE;
    const std::lock_guard lock(of.mutex);
    of.primary_flags = flags;
    if (of.primary != nullptr) of.primary->flags = flags;
    return CUDA_SUCCESS;
  });
}
CUresult cuDevicePrimaryCtxSetFlags(CUdevice device, unsigned flags) {
  return cuDevicePrimaryCtxSetFlags_v2(device, flags);
}

CUresult cuDevicePrimaryCtxGetState(CUdevice device, unsigned* flags, int* active) {
  return of_device(device, [&](Device& of) {
    if (flags == nullptr || active == nullptr) return CUDA_ERROR_INVALID_VALUE;
    const std::lock_guard lock(of.mutex);
    *flags = of.primary_flags;
    *active = of.primary != nullptr ? 1 : 0;
    return CUDA_SUCCESS;
  });
}
