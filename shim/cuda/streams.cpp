// Streams: handles are made here, so that creation need not be waited for; what they are made of is known here as well.
#include <algorithm>

#include "shim/client/capture_state.hpp"
#include "shim/client/contexts.hpp"
#include "shim/client/default_stream.hpp"
#include "shim/client/handles.hpp"
#include "shim/client/request.hpp"
#include "shim/client/startup.hpp"
#include "shim/client/stream_table.hpp"
#include "shim/cuda/calls.gen.hpp"
#include "shim/staging/transfer.hpp"

namespace vgpu::shim::calls {
namespace {

/// What a stream is, special ones included. The legacy stream has no entry of its own: its facts are made up.
CUresult facts_of(CUstream stream, StreamFacts& facts) {
  if (const CUresult result = initialized(); result != CUDA_SUCCESS) return result;
  if (means_legacy(stream)) {
    Context* context = current_context();
    if (context == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
    facts = {context, CU_STREAM_DEFAULT, 0, context->legacy_stream_id, {}};
    return CUDA_SUCCESS;
  }
  uint64_t handle = 0;
  if (const CUresult result = resolve_stream(stream, handle); result != CUDA_SUCCESS) return result;
  const StreamFacts* known = streams().find(handle);
  if (known == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  facts = *known;
  return CUDA_SUCCESS;
}

/// The driver takes any priority and uses the nearest it has. The range is the same for every context of a device, and
/// asked for once.
CUresult clamp_priority(int& priority) {
  if (priority == 0) return CUDA_SUCCESS;
  static constinit std::atomic<int> lowest{0};
  static constinit std::atomic<int> highest{1};  // above the lowest, which none is: not asked yet
  if (highest.load(std::memory_order_acquire) > 0) {
    int low = 0;
    int high = 0;
    if (const CUresult result = cuCtxGetStreamPriorityRange(&low, &high); result != CUDA_SUCCESS) return result;
    lowest.store(low, std::memory_order_relaxed);
    highest.store(std::min(high, 0), std::memory_order_release);
  }
  priority = std::clamp(priority, highest.load(std::memory_order_relaxed),
                        std::max(0, lowest.load(std::memory_order_relaxed)));
  return CUDA_SUCCESS;
}

}  // namespace

CUresult cuStreamCreateWithPriority(CUstream* phStream, unsigned flags, int priority) {
  Request request(api::Op::stream_create, true);
  if (request.refusal() != CUDA_SUCCESS) return request.refusal();
  if (phStream == nullptr || (flags & ~CU_STREAM_NON_BLOCKING) != 0) return CUDA_ERROR_INVALID_VALUE;
  if (const CUresult result = clamp_priority(priority); result != CUDA_SUCCESS) return result;
  const uint64_t handle = request.make_handle(wire::Kind::stream);
  request.body().put(flags);
  request.body().put(static_cast<int32_t>(priority));
  if (const CUresult result = request.post(); result != CUDA_SUCCESS) {
    request.discard_handle(handle);
    return result;
  }
  streams().insert(handle, {current_context(), flags, priority, next_object_id(), {}});
  *phStream = reinterpret_cast<CUstream>(handle);
  return CUDA_SUCCESS;
}

CUresult cuStreamCreate(CUstream* phStream, unsigned Flags) { return cuStreamCreateWithPriority(phStream, Flags, 0); }

CUresult cuStreamDestroy_v2(CUstream hStream) {
  Request request(api::Op::stream_destroy, false);
  if (request.refusal() != CUDA_SUCCESS) return request.refusal();
  const auto handle = reinterpret_cast<uint64_t>(hStream);
  StreamFacts* facts = streams().find(handle);
  if (facts == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  request.use_context(*facts->context);
  close_flow(facts->flow);
  if (!streams().remove(handle)) return CUDA_ERROR_INVALID_HANDLE;
  capture::forget_stream(handle);
  request.body().put(handle);
  const CUresult result = request.post();
  request.discard_handle(handle);
  return result;
}
CUresult cuStreamDestroy(CUstream hStream) { return cuStreamDestroy_v2(hStream); }

CUresult cuStreamSynchronize(CUstream hStream) {
  const CUresult capturing = refuse_if_capturing();
  return capturing != CUDA_SUCCESS ? capturing : synchronize_stream(hStream);
}

CUresult cuStreamQuery(CUstream hStream) {
  if (const CUresult capturing = refuse_if_capturing(); capturing != CUDA_SUCCESS) return capturing;
  Request request(api::Op::stream_query, true);
  request.put(hStream);
  return request.call();
}

CUresult cuStreamWaitEvent(CUstream hStream, CUevent hEvent, unsigned Flags) {
  Request request(api::Op::stream_wait_event, true);
  if (request.refusal() != CUDA_SUCCESS) return request.refusal();
  if (Flags > CU_EVENT_WAIT_EXTERNAL) return CUDA_ERROR_INVALID_VALUE;
  const EventFacts* event = events().find(reinterpret_cast<uint64_t>(hEvent));
  if (event == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  request.put(hStream);
  request.put(hEvent);
  request.body().put(Flags);
  // Another process may record a shared event anew as soon as this call has returned.
  return (event->flags & CU_EVENT_INTERPROCESS) != 0 ? request.call() : request.post();
}

CUresult cuStreamGetFlags(CUstream hStream, unsigned* flags) {
  StreamFacts facts;
  if (const CUresult result = facts_of(hStream, facts); result != CUDA_SUCCESS) return result;
  if (flags == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *flags = facts.flags;
  return CUDA_SUCCESS;
}

CUresult cuStreamGetPriority(CUstream hStream, int* priority) {
  StreamFacts facts;
  if (const CUresult result = facts_of(hStream, facts); result != CUDA_SUCCESS) return result;
  if (priority == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *priority = facts.priority;
  return CUDA_SUCCESS;
}

CUresult cuStreamGetId(CUstream hStream, unsigned long long* streamId) {
  StreamFacts facts;
  if (const CUresult result = facts_of(hStream, facts); result != CUDA_SUCCESS) return result;
  if (streamId == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *streamId = facts.id;
  return CUDA_SUCCESS;
}

CUresult cuStreamGetCtx(CUstream hStream, CUcontext* pctx) {
  StreamFacts facts;
  if (const CUresult result = facts_of(hStream, facts); result != CUDA_SUCCESS) return result;
  if (pctx == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *pctx = handle_of(*facts.context);
  return CUDA_SUCCESS;
}

CUresult cuStreamGetDevice(CUstream hStream, CUdevice* device) {
  StreamFacts facts;
  if (const CUresult result = facts_of(hStream, facts); result != CUDA_SUCCESS) return result;
  if (device == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *device = facts.context->device;
  return CUDA_SUCCESS;
}

CUresult cuStreamGetAttribute(CUstream hStream, CUstreamAttrID attr, CUstreamAttrValue* value) {
  Request request(api::Op::stream_get_attribute, true);
  if (request.refusal() != CUDA_SUCCESS) return request.refusal();
  if (value == nullptr) return CUDA_ERROR_INVALID_VALUE;
  request.put(hStream);
  request.body().put(attr);
  if (const CUresult result = request.call(); result != CUDA_SUCCESS) return result;
  const wire::Bytes bytes = request.reply().bytes(sizeof value->bytes);
  if (bytes.size() != sizeof value->bytes) return CUDA_ERROR_UNKNOWN;
  std::copy(bytes.begin(), bytes.end(), value->bytes);
  return CUDA_SUCCESS;
}

CUresult cuStreamSetAttribute(CUstream hStream, CUstreamAttrID attr, const CUstreamAttrValue* param) {
  Request request(api::Op::stream_set_attribute, true);
  if (request.refusal() != CUDA_SUCCESS) return request.refusal();
  if (param == nullptr) return CUDA_ERROR_INVALID_VALUE;
  request.put(hStream);
  request.body().put(attr);
  request.body().bytes(wire::Bytes(param->bytes, sizeof param->bytes));
  return request.call();
}

}  // namespace vgpu::shim::calls
