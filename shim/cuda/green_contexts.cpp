// Parts of a device, and green contexts made of them. The driver's own notes in a resource stay with the worker: here
// its padding holds the worker's number for it. A green context's handle is that of the context that stands for it.
#include <algorithm>
#include <cstring>

#include "shim/client/capture_state.hpp"
#include "shim/client/contexts.hpp"
#include "shim/client/handles.hpp"
#include "shim/client/request.hpp"
#include "shim/client/startup.hpp"
#include "shim/client/stream_table.hpp"
#include "shim/cuda/calls.gen.hpp"

namespace vgpu::shim::calls {
namespace {

constexpr size_t kSizesOfOne = 6;     // three numbers of 16 bits
constexpr unsigned kMostParts = 141;  // of one split
constexpr unsigned kMostDescribed = 142;

CUcontext context_handle(CUgreenCtx green) { return reinterpret_cast<CUcontext>(green); }

/// A live green context by its handle.
CUresult find_green(CUgreenCtx handle, Context*& context) {
  if (const CUresult result = initialized(); result != CUDA_SUCCESS) return result;
  context = handle == nullptr ? nullptr : find_context(context_handle(handle));
  return context == nullptr || !context->green ? CUDA_ERROR_INVALID_CONTEXT : CUDA_SUCCESS;
}

uint64_t number_of(const CUdevResource& resource) {
  uint64_t number = 0;
  std::memcpy(&number, resource._internal_padding, sizeof number);
  return number;
}

/// What the program is given for a resource of the worker's.
CUdevResource make_resource(uint64_t number, wire::Bytes sizes) {
  CUdevResource resource = {};
  resource.type = CU_DEV_RESOURCE_TYPE_SM;
  std::memcpy(resource._internal_padding, &number, sizeof number);
  const auto size = [&](size_t at) { return static_cast<unsigned>(sizes[at] | sizes[at + 1] << 8); };
  resource.sm = {size(0), size(2), size(4)};
  return resource;
}

template <typename Op, typename Reply>
CUresult ask(const Op& op, CUdevResource* resource, unsigned type) {
  if (resource == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (type != CU_DEV_RESOURCE_TYPE_SM) return CUDA_ERROR_INVALID_RESOURCE_TYPE;
  Request request(Op::kOp, Op::kNeedsContext);
  Reply reply;
  if (const CUresult result = call(request, op, reply); result != CUDA_SUCCESS) return result;
  if (reply.sizes.size() != kSizesOfOne) return CUDA_ERROR_UNKNOWN;
  *resource = make_resource(reply.resource, reply.sizes);
  return CUDA_SUCCESS;
}

CUresult resource_of(const Context& context, CUdevResource* resource, unsigned type) {
  return ask<api::ops::ContextResource, api::ops::ContextResourceReply>({{context.handle}, type}, resource, type);
}

/// Operations of a context and an event.
template <typename Op>
CUresult with_event(CUcontext context, CUevent event) {
  const Context* found = find_context(context);
  if (found == nullptr || !is_alive(*found)) return CUDA_ERROR_INVALID_CONTEXT;
  if (events().find(reinterpret_cast<uint64_t>(event)) == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  if (const CUresult refused = refuse_if_capturing(capture::Unsafe::context_wide); refused != CUDA_SUCCESS)
    return refused;
  return call(Op{{found->handle}, {reinterpret_cast<uint64_t>(event)}});
}

template <typename Op>
CUresult with_event(CUgreenCtx green, CUevent event) {
  Context* found = nullptr;
  if (const CUresult result = find_green(green, found); result != CUDA_SUCCESS) return result;
  return with_event<Op>(context_handle(green), event);
}

/// The context of a stream; the special streams are the current one's.
CUresult context_of(CUstream stream, const Context*& context) {
  CUcontext handle = nullptr;
  if (const CUresult result = cuStreamGetCtx(stream, &handle); result != CUDA_SUCCESS) return result;
  context = find_context(handle);
  return context == nullptr ? CUDA_ERROR_CONTEXT_IS_DESTROYED : CUDA_SUCCESS;
}

}  // namespace

CUresult cuDeviceGetDevResource(CUdevice device, CUdevResource* resource, CUdevResourceType type) {
  if (const CUresult result = initialized(); result != CUDA_SUCCESS) return result;
  if (!is_device(device)) return CUDA_ERROR_INVALID_DEVICE;
  return ask<api::ops::DeviceResource, api::ops::DeviceResourceReply>({static_cast<uint32_t>(device), type}, resource,
                                                                      type);
}

CUresult cuCtxGetDevResource(CUcontext hCtx, CUdevResource* resource, CUdevResourceType type) {
  if (const CUresult result = initialized(); result != CUDA_SUCCESS) return result;
  const Context* context = find_context(hCtx);
  if (context == nullptr || !is_alive(*context)) return CUDA_ERROR_INVALID_CONTEXT;
  return resource_of(*context, resource, type);
}

CUresult cuGreenCtxGetDevResource(CUgreenCtx hCtx, CUdevResource* resource, CUdevResourceType type) {
  Context* context = nullptr;
  if (const CUresult result = find_green(hCtx, context); result != CUDA_SUCCESS) return result;
  return resource_of(*context, resource, type);
}

CUresult cuDevSmResourceSplitByCount(CUdevResource* result, unsigned* nbGroups, const CUdevResource* input,
                                     CUdevResource* remaining, unsigned useFlags, unsigned minCount) {
  if (const CUresult refused = initialized(); refused != CUDA_SUCCESS) return refused;
  if (nbGroups == nullptr || input == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (input->type != CU_DEV_RESOURCE_TYPE_SM) return CUDA_ERROR_INVALID_RESOURCE_TYPE;
  const bool count_only = result == nullptr;
  const unsigned wanted = count_only ? 0 : std::min(*nbGroups, kMostParts);
  Request request(api::ops::ResourceSplit::kOp, api::ops::ResourceSplit::kNeedsContext);
  api::ops::ResourceSplitReply reply;
  const CUresult refused = call(
      request, api::ops::ResourceSplit{number_of(*input), wanted, count_only ? 1u : 0u, useFlags, minCount}, reply);
  if (refused != CUDA_SUCCESS) return refused;
  *nbGroups = reply.groups;
  if (count_only) return CUDA_SUCCESS;
  if (reply.groups > wanted || reply.sizes.size() != (reply.groups + 1) * kSizesOfOne) return CUDA_ERROR_UNKNOWN;
  const auto part = [&](unsigned index) {
    return make_resource(reply.first + index, reply.sizes.subspan(index * kSizesOfOne, kSizesOfOne));
  };
  for (unsigned i = 0; i < reply.groups; ++i) result[i] = part(i);
  if (remaining == nullptr) return CUDA_SUCCESS;
  *remaining = part(reply.groups);
  // Nothing is left: such a resource is none.
  if (remaining->sm.smCount == 0) *remaining = {};
  return CUDA_SUCCESS;
}

CUresult cuDevResourceGenerateDesc(CUdevResourceDesc* phDesc, CUdevResource* resources, unsigned nbResources) {
  if (const CUresult result = initialized(); result != CUDA_SUCCESS) return result;
  if (phDesc == nullptr || resources == nullptr || nbResources == 0) return CUDA_ERROR_INVALID_VALUE;
  if (nbResources > kMostDescribed) return CUDA_ERROR_INVALID_RESOURCE_CONFIGURATION;
  uint8_t numbers[kMostDescribed * sizeof(uint64_t)];
  for (unsigned i = 0; i < nbResources; ++i) {
    if (resources[i].type != CU_DEV_RESOURCE_TYPE_SM) return CUDA_ERROR_INVALID_RESOURCE_TYPE;
    std::memcpy(numbers + i * sizeof(uint64_t), resources[i]._internal_padding, sizeof(uint64_t));
  }
  Request request(api::ops::ResourceDescribe::kOp, api::ops::ResourceDescribe::kNeedsContext);
  const size_t bytes = nbResources * sizeof(uint64_t);
  request.body().put(static_cast<uint32_t>(bytes));
  if (const CUresult result = request.call({numbers, bytes}); result != CUDA_SUCCESS) return result;
  *phDesc = reinterpret_cast<CUdevResourceDesc>(request.reply().take<uint64_t>());
  return CUDA_SUCCESS;
}

CUresult cuGreenCtxCreate(CUgreenCtx* phCtx, CUdevResourceDesc desc, CUdevice dev, unsigned flags) {
  if (const CUresult result = initialized(); result != CUDA_SUCCESS) return result;
  if (phCtx == nullptr || desc == nullptr || flags != CU_GREEN_CTX_DEFAULT_STREAM) return CUDA_ERROR_INVALID_VALUE;
  follow_contexts();
  Context* context = nullptr;
  const CUresult result = create_green_context(reinterpret_cast<uint64_t>(desc), dev, flags, context);
  if (result == CUDA_SUCCESS) *phCtx = reinterpret_cast<CUgreenCtx>(handle_of(*context));
  return result;
}

CUresult cuGreenCtxDestroy(CUgreenCtx hCtx) {
  Context* context = nullptr;
  if (const CUresult result = find_green(hCtx, context); result != CUDA_SUCCESS) return result;
  return destroy_green_context(*context);
}

CUresult cuCtxFromGreenCtx(CUcontext* pContext, CUgreenCtx hCtx) {
  Context* context = nullptr;
  if (const CUresult result = find_green(hCtx, context); result != CUDA_SUCCESS) return result;
  if (pContext == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *pContext = handle_of(*context);
  return CUDA_SUCCESS;
}

CUresult cuGreenCtxGetId(CUgreenCtx greenCtx, unsigned long long* greenCtxId) {
  Context* context = nullptr;
  if (const CUresult result = find_green(greenCtx, context); result != CUDA_SUCCESS) return result;
  if (greenCtxId == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *greenCtxId = context->id;
  return CUDA_SUCCESS;
}

CUresult cuGreenCtxStreamCreate(CUstream* phStream, CUgreenCtx greenCtx, unsigned flags, int priority) {
  Context* context = nullptr;
  if (const CUresult result = find_green(greenCtx, context); result != CUDA_SUCCESS) return result;
  if (phStream == nullptr || flags != CU_STREAM_NON_BLOCKING) return CUDA_ERROR_INVALID_VALUE;
  Request request(api::ops::GreenStreamCreate::kOp, api::ops::GreenStreamCreate::kNeedsContext);
  if (request.refusal() != CUDA_SUCCESS) return request.refusal();
  request.body().put(context->handle);
  request.body().put(flags);
  request.body().put(static_cast<int32_t>(priority));
  const uint64_t handle = request.make_handle(wire::Kind::stream);
  if (const CUresult result = request.call(); result != CUDA_SUCCESS) {
    if (!request.took_effect()) request.discard_handle(handle);
    return result;
  }
  streams().insert(handle, {context, flags, priority, next_object_id(), {}});
  *phStream = reinterpret_cast<CUstream>(handle);
  return CUDA_SUCCESS;
}

CUresult cuGreenCtxRecordEvent(CUgreenCtx hCtx, CUevent hEvent) {
  return with_event<api::ops::ContextRecordEvent>(hCtx, hEvent);
}
CUresult cuGreenCtxWaitEvent(CUgreenCtx hCtx, CUevent hEvent) {
  return with_event<api::ops::ContextWaitEvent>(hCtx, hEvent);
}
CUresult cuCtxRecordEvent(CUcontext hCtx, CUevent hEvent) {
  if (const CUresult result = initialized(); result != CUDA_SUCCESS) return result;
  return with_event<api::ops::ContextRecordEvent>(hCtx, hEvent);
}
CUresult cuCtxWaitEvent(CUcontext hCtx, CUevent hEvent) {
  if (const CUresult result = initialized(); result != CUDA_SUCCESS) return result;
  return with_event<api::ops::ContextWaitEvent>(hCtx, hEvent);
}

CUresult cuStreamGetGreenCtx(CUstream hStream, CUgreenCtx* phCtx) {
  const Context* context = nullptr;
  if (const CUresult result = context_of(hStream, context); result != CUDA_SUCCESS) return result;
  if (phCtx == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *phCtx = context->green ? reinterpret_cast<CUgreenCtx>(handle_of(*context)) : nullptr;
  return CUDA_SUCCESS;
}

CUresult cuStreamGetCtx_v2(CUstream hStream, CUcontext* pCtx, CUgreenCtx* pGreenCtx) {
  const Context* context = nullptr;
  if (const CUresult result = context_of(hStream, context); result != CUDA_SUCCESS) return result;
  if (pCtx == nullptr || pGreenCtx == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *pCtx = context->green ? primary_context(device_of(*context)) : handle_of(*context);
  *pGreenCtx = context->green ? reinterpret_cast<CUgreenCtx>(handle_of(*context)) : nullptr;
  return CUDA_SUCCESS;
}

}  // namespace vgpu::shim::calls
