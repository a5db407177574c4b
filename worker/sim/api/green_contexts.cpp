// Parts of a device, and green contexts made of them. Kernels run the same on any part: here a part is a number of
// multiprocessors and no more.
#include <algorithm>
#include <cstring>
#include <mutex>
#include <vector>

#include "worker/sim/api/device_facts.hpp"
#include "worker/sim/api/enqueue.hpp"

using namespace vgpu::sim::api;

VGPU_SIM_EXPORT(cuDeviceGetDevResource);
VGPU_SIM_EXPORT(cuCtxGetDevResource);
VGPU_SIM_EXPORT(cuGreenCtxGetDevResource);
VGPU_SIM_EXPORT(cuDevSmResourceSplitByCount);
VGPU_SIM_EXPORT(cuDevResourceGenerateDesc);
VGPU_SIM_EXPORT(cuGreenCtxCreate);
VGPU_SIM_EXPORT(cuGreenCtxDestroy);
VGPU_SIM_EXPORT(cuCtxFromGreenCtx);
VGPU_SIM_EXPORT(cuGreenCtxGetId);
VGPU_SIM_EXPORT(cuGreenCtxStreamCreate);
VGPU_SIM_EXPORT(cuGreenCtxRecordEvent);
VGPU_SIM_EXPORT(cuGreenCtxWaitEvent);
VGPU_SIM_EXPORT(cuCtxRecordEvent);
VGPU_SIM_EXPORT(cuCtxWaitEvent);
VGPU_SIM_EXPORT(cuDevicePrimaryCtxRetain);
VGPU_SIM_EXPORT(cuDevicePrimaryCtxRelease_v2);
VGPU_SIM_EXPORT(cuStreamGetGreenCtx);
VGPU_SIM_EXPORT(cuStreamGetCtx_v2);

namespace {

constexpr std::uint32_t kMark = 0x6e656572;
// As devices of compute capability 9.0 have it, and without regard to what is scheduled together.
constexpr unsigned kLeast = 8, kLeastFine = 2;

/// What a resource's padding holds.
struct Part {
  std::uint32_t mark = kMark;
  std::uint32_t device = 0;
  std::uint32_t first = 0;
  std::uint32_t count = 0;
  std::uint64_t split = 0;  ///< that made it; 0: the whole of a device or a context
};

CUdevResource make_resource(const Part& part, unsigned least = kLeast) {
  CUdevResource resource = {};
  if (part.count == 0) return resource;  // nothing is no resource
  resource.type = CU_DEV_RESOURCE_TYPE_SM;
  std::memcpy(resource._internal_padding, &part, sizeof part);
  resource.sm = {part.count, least, least};
  return resource;
}

bool read(const CUdevResource& resource, Part& part) {
  std::memcpy(static_cast<void*>(&part), resource._internal_padding, sizeof part);
  return part.mark == kMark && part.count == resource.sm.smCount;
}

CUresult give(const Part& part, CUdevResource* resource, CUdevResourceType type) {
  if (resource == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (type != CU_DEV_RESOURCE_TYPE_SM) return CUDA_ERROR_INVALID_RESOURCE_TYPE;
  *resource = make_resource(part);
  return CUDA_SUCCESS;
}

Part whole(CUdevice device) {
  const auto units = static_cast<std::uint32_t>(facts::attributes[CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT]);
  return {kMark, static_cast<std::uint32_t>(device), 0, units, 0};
}

Part part_of(const Context& context) {
  Part part = whole(context.device());
  if (context.is_green()) part.first = context.first_unit(), part.count = context.units();
  return part;
}

/// Descriptions live as long as the process: there is no call that gives one back.
class Descriptions {
 public:
  static Descriptions& get() {
    static auto* const all = new Descriptions;
    return *all;
  }
  CUdevResourceDesc add(const Part& part) {
    const std::lock_guard lock(mutex_);
    parts_.push_back(part);
    return as_handle<CUdevResourceDesc>(parts_.size());
  }
  bool find(CUdevResourceDesc handle, Part& part) {
    const std::lock_guard lock(mutex_);
    const auto number = reinterpret_cast<std::uint64_t>(handle);
    if (number == 0 || number > parts_.size()) return false;
    part = parts_[number - 1];
    return true;
  }

 private:
  std::mutex mutex_;
  std::vector<Part> parts_;
};

CUcontext context_handle(CUgreenCtx green) { return reinterpret_cast<CUcontext>(green); }

template <typename Body>
CUresult with_green(CUgreenCtx handle, Body body) {
  return without_context([&] {
    const ContextPtr context = handle == nullptr ? nullptr : find_context(context_handle(handle));
    if (context == nullptr || !context->is_green()) return CUDA_ERROR_INVALID_CONTEXT;
    return static_cast<CUresult>(body(context));
  });
}

/// The context of a stream of the current context or any other.
CUresult context_of(CUstream handle, ContextPtr& out) {
  return with_context([&](const ContextPtr& context) {
    StreamPtr stream;
    const CUresult result = find_stream(context, handle, stream);
    if (result == CUDA_SUCCESS) out = stream->context();
    return result;
  });
}

}  // namespace

CUresult cuDeviceGetDevResource(CUdevice device, CUdevResource* resource, CUdevResourceType type) {
  return without_context([&] {
    if (!Simulator::get().has(device)) return CUDA_ERROR_INVALID_DEVICE;
    return give(whole(device), resource, type);
  });
}

CUresult cuCtxGetDevResource(CUcontext handle, CUdevResource* resource, CUdevResourceType type) {
  return without_context([&] {
    const ContextPtr context = handle == nullptr ? nullptr : find_context(handle);
    return context == nullptr ? CUDA_ERROR_INVALID_CONTEXT : give(part_of(*context), resource, type);
  });
}

CUresult cuGreenCtxGetDevResource(CUgreenCtx green, CUdevResource* resource, CUdevResourceType type) {
  return with_green(green, [&](const ContextPtr& context) { return give(part_of(*context), resource, type); });
}

CUresult cuDevSmResourceSplitByCount(CUdevResource* result, unsigned* groups, const CUdevResource* input,
                                     CUdevResource* remaining, unsigned flags, unsigned least) {
  constexpr unsigned known =
      CU_DEV_SM_RESOURCE_SPLIT_IGNORE_SM_COSCHEDULING | CU_DEV_SM_RESOURCE_SPLIT_MAX_POTENTIAL_CLUSTER_SIZE;
  return without_context([&] {
    Part from;
    if (groups == nullptr || input == nullptr || (flags & ~known) != 0) return CUDA_ERROR_INVALID_VALUE;
    if (input->type != CU_DEV_RESOURCE_TYPE_SM) return CUDA_ERROR_INVALID_RESOURCE_TYPE;
    if (!read(*input, from) || least > from.count) return CUDA_ERROR_INVALID_VALUE;
    if (from.split != 0) return CUDA_ERROR_INVALID_RESOURCE_CONFIGURATION;
    const bool fine = (flags & CU_DEV_SM_RESOURCE_SPLIT_IGNORE_SM_COSCHEDULING) != 0;
    const unsigned step = fine ? kLeastFine : kLeast;
    const unsigned size = (std::max(least, 1u) + step - 1) / step * step;
    const unsigned possible = from.count / size;
    const unsigned made = result == nullptr ? possible : std::min(possible, *groups);
    if (possible == 0) return CUDA_ERROR_INVALID_RESOURCE_CONFIGURATION;
    static std::atomic<std::uint64_t> splits{0};
    const std::uint64_t split = ++splits;
    for (unsigned i = 0; result != nullptr && i < made; ++i)
      result[i] = make_resource({kMark, from.device, from.first + i * size, size, split}, step);
    if (remaining != nullptr)
      *remaining = make_resource({kMark, from.device, from.first + made * size, from.count - made * size, split}, step);
    *groups = made;
    return CUDA_SUCCESS;
  });
}

CUresult cuDevResourceGenerateDesc(CUdevResourceDesc* out, CUdevResource* resources, unsigned count) {
  return without_context([&] {
    if (out == nullptr || resources == nullptr || count == 0) return CUDA_ERROR_INVALID_VALUE;
    Part all;
    for (unsigned i = 0; i < count; ++i) {
      Part part;
      if (resources[i].type != CU_DEV_RESOURCE_TYPE_SM) return CUDA_ERROR_INVALID_RESOURCE_TYPE;
      if (!read(resources[i], part)) return CUDA_ERROR_INVALID_VALUE;
      if (i != 0 && (part.device != all.device || part.split != all.split || part.split == 0))
        return CUDA_ERROR_INVALID_RESOURCE_CONFIGURATION;
      const std::uint32_t counted = i == 0 ? 0 : all.count;
      all = {kMark, part.device, i == 0 ? part.first : std::min(all.first, part.first), counted + part.count,
             part.split};
    }
    *out = Descriptions::get().add(all);
    return CUDA_SUCCESS;
  });
}

CUresult cuGreenCtxCreate(CUgreenCtx* out, CUdevResourceDesc description, CUdevice device, unsigned flags) {
  return without_context([&] {
    Part part;
    if (out == nullptr || flags != CU_GREEN_CTX_DEFAULT_STREAM || !Descriptions::get().find(description, part))
      return CUDA_ERROR_INVALID_VALUE;
    Simulator& sim = Simulator::get();
    if (!sim.has(device)) return CUDA_ERROR_INVALID_DEVICE;
    if (part.device != static_cast<std::uint32_t>(device)) return CUDA_ERROR_INVALID_VALUE;
    CUcontext primary = nullptr;
    if (const CUresult result = cuDevicePrimaryCtxRetain(&primary, device); result != CUDA_SUCCESS) return result;
    auto context = std::make_shared<Context>(vgpu::sim::device::next_handle(), 0, false, device);
    context->make_green(find_context(primary)->id(), part.first, part.count);
    context->open();
    sim.contexts.add(context->handle(), context);
    *out = as_handle<CUgreenCtx>(context->handle());
    return CUDA_SUCCESS;
  });
}

CUresult cuGreenCtxDestroy(CUgreenCtx green) {
  return with_green(green, [&](const ContextPtr& context) {
    Simulator::get().destroy_context(context);
    return cuDevicePrimaryCtxRelease_v2(context->device());
  });
}

CUresult cuCtxFromGreenCtx(CUcontext* out, CUgreenCtx green) {
  return with_green(green, [&](const ContextPtr& context) {
    if (out == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *out = as_handle<CUcontext>(context->handle());
    return CUDA_SUCCESS;
  });
}

CUresult cuGreenCtxGetId(CUgreenCtx green, unsigned long long* id) {
  return with_green(green, [&](const ContextPtr& context) {
    if (id == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *id = context->id();
    return CUDA_SUCCESS;
  });
}

CUresult cuGreenCtxStreamCreate(CUstream* out, CUgreenCtx green, unsigned flags, int priority) {
  return with_green(green, [&](const ContextPtr& context) {
    if (out == nullptr || flags != CU_STREAM_NON_BLOCKING) return CUDA_ERROR_INVALID_VALUE;
    const StreamPtr stream = context->create_stream(Stream::Kind::non_blocking, std::clamp(priority, -5, 0));
    stream->handle = vgpu::sim::device::next_handle();
    Simulator::get().streams.add(stream->handle, stream);
    *out = as_handle<CUstream>(stream->handle);
    return CUDA_SUCCESS;
  });
}

CUresult cuGreenCtxRecordEvent(CUgreenCtx green, CUevent event) {
  return with_green(green, [&](const ContextPtr&) { return cuCtxRecordEvent(context_handle(green), event); });
}
CUresult cuGreenCtxWaitEvent(CUgreenCtx green, CUevent event) {
  return with_green(green, [&](const ContextPtr&) { return cuCtxWaitEvent(context_handle(green), event); });
}

CUresult cuStreamGetGreenCtx(CUstream stream, CUgreenCtx* out) {
  ContextPtr context;
  if (const CUresult result = context_of(stream, context); result != CUDA_SUCCESS) return result;
  if (out == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *out = context->is_green() ? as_handle<CUgreenCtx>(context->handle()) : nullptr;
  return CUDA_SUCCESS;
}

CUresult cuStreamGetCtx_v2(CUstream stream, CUcontext* out, CUgreenCtx* green) {
  ContextPtr context;
  if (const CUresult result = context_of(stream, context); result != CUDA_SUCCESS) return result;
  if (out == nullptr || green == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const auto& device = Simulator::get().devices[static_cast<std::size_t>(context->device())];
  *out = as_handle<CUcontext>(context->is_green() ? device->primary_handle : context->handle());
  *green = context->is_green() ? as_handle<CUgreenCtx>(context->handle()) : nullptr;
  return CUDA_SUCCESS;
}
