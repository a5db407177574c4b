// Events: made and recorded without waiting.
#include "shim/client/capture_state.hpp"
#include "shim/client/contexts.hpp"
#include "shim/client/handles.hpp"
#include "shim/client/request.hpp"
#include "shim/client/stream_table.hpp"
#include "shim/cuda/calls.gen.hpp"

namespace vgpu::shim::calls {
namespace {

constexpr unsigned kEventFlags = CU_EVENT_BLOCKING_SYNC | CU_EVENT_DISABLE_TIMING | CU_EVENT_INTERPROCESS;

EventFacts* find_event(CUevent event) { return events().find(reinterpret_cast<uint64_t>(event)); }

/// The context that a stream belongs to; the special streams are the current one's.
const Context* context_of(CUstream stream) {
  const Context* owner = owner_of(stream);
  return owner != nullptr ? owner : current_context();
}

/// Calls that ask about one event.
CUresult ask(api::Op op, CUevent event) {
  Request request(op, false);
  if (request.refusal() != CUDA_SUCCESS) return request.refusal();
  const EventFacts* facts = find_event(event);
  if (facts == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  if (const CUresult capturing = refuse_if_capturing(); capturing != CUDA_SUCCESS) return capturing;
  request.use_context(*facts->context);
  request.put(event);
  return request.call();
}

CUresult record(CUevent event, CUstream stream, unsigned flags) {
  Request request(api::Op::event_record, true);
  if (request.refusal() != CUDA_SUCCESS) return request.refusal();
  if (flags > CU_EVENT_RECORD_EXTERNAL) return CUDA_ERROR_INVALID_VALUE;
  const EventFacts* facts = find_event(event);
  const Context* context = context_of(stream);
  if (facts == nullptr || context == nullptr || !are_family(*facts->context, *context))
    return CUDA_ERROR_INVALID_HANDLE;
  request.put(event);
  request.put(stream);
  request.body().put(flags);
  // External events are for captures; outside of one the driver says so at once. What another process may look at as
  // soon as this call has returned must have happened.
  const bool is_shared = (facts->flags & CU_EVENT_INTERPROCESS) != 0;
  return flags == CU_EVENT_RECORD_DEFAULT && !is_shared ? request.post() : request.call();
}

}  // namespace

CUresult cuEventCreate(CUevent* phEvent, unsigned Flags) {
  Request request(api::Op::event_create, true);
  if (request.refusal() != CUDA_SUCCESS) return request.refusal();
  if (phEvent == nullptr || (Flags & ~kEventFlags) != 0) return CUDA_ERROR_INVALID_VALUE;
  if ((Flags & CU_EVENT_INTERPROCESS) != 0 && (Flags & CU_EVENT_DISABLE_TIMING) == 0) return CUDA_ERROR_INVALID_VALUE;
  const uint64_t handle = request.make_handle(wire::Kind::event);
  request.body().put(Flags);
  if (const CUresult result = request.post(); result != CUDA_SUCCESS) {
    request.discard_handle(handle);
    return result;
  }
  events().insert(handle, {current_context(), Flags});
  *phEvent = reinterpret_cast<CUevent>(handle);
  return CUDA_SUCCESS;
}

CUresult cuEventDestroy_v2(CUevent hEvent) {
  Request request(api::Op::event_destroy, false);
  if (request.refusal() != CUDA_SUCCESS) return request.refusal();
  const auto handle = reinterpret_cast<uint64_t>(hEvent);
  const EventFacts* facts = events().find(handle);
  if (facts == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  request.use_context(*facts->context);
  if (!events().remove(handle)) return CUDA_ERROR_INVALID_HANDLE;
  request.put(hEvent);
  const CUresult result = request.post();
  request.discard_handle(handle);
  return result;
}
CUresult cuEventDestroy(CUevent hEvent) { return cuEventDestroy_v2(hEvent); }

CUresult cuEventRecord(CUevent hEvent, CUstream hStream) { return record(hEvent, hStream, CU_EVENT_RECORD_DEFAULT); }
CUresult cuEventRecordWithFlags(CUevent hEvent, CUstream hStream, unsigned flags) {
  return record(hEvent, hStream, flags);
}
CUresult cuEventQuery(CUevent hEvent) { return ask(api::Op::event_query, hEvent); }
CUresult cuEventSynchronize(CUevent hEvent) { return ask(api::Op::event_synchronize, hEvent); }

CUresult cuEventElapsedTime_v2(float* pMilliseconds, CUevent hStart, CUevent hEnd) {
  Request request(api::Op::event_elapsed, false);
  if (request.refusal() != CUDA_SUCCESS) return request.refusal();
  const EventFacts* start = find_event(hStart);
  const EventFacts* end = find_event(hEnd);
  if (pMilliseconds == nullptr || start == nullptr || end == nullptr ||
      ((start->flags | end->flags) & CU_EVENT_DISABLE_TIMING) != 0)
    return CUDA_ERROR_INVALID_HANDLE;
  request.use_context(*start->context);
  request.put(hStart);
  request.put(hEnd);
  if (const CUresult result = request.call(); result != CUDA_SUCCESS) return result;
  *pMilliseconds = request.reply().take<float>();
  return CUDA_SUCCESS;
}
CUresult cuEventElapsedTime(float* pMilliseconds, CUevent hStart, CUevent hEnd) {
  return cuEventElapsedTime_v2(pMilliseconds, hStart, hEnd);
}

}  // namespace vgpu::shim::calls
