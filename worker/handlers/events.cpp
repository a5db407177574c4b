// Events.
#include "worker/handlers/handlers.gen.hpp"
#include "worker/handlers/new_handle.hpp"
#include "worker/session.hpp"

namespace vgpu::worker::handlers {

void event_create(Session& session, const api::ops::EventCreate& op, Call& call) {
  if (const CUresult refused =
          check_new(session, session.objects().events, op.id.value, "an event handle that cannot be made");
      refused != CUDA_SUCCESS)
    return call.finish(refused);
  CUevent real = nullptr;
  const CUresult result = session.driver().cuEventCreate(&real, op.flags);
  if (result == CUDA_SUCCESS) session.objects().events.bind(op.id.value, {real, session.context_handle()});
  call.finish(result);
}

void event_destroy(Session& session, const api::ops::EventDestroy& op, Call& call) {
  const Event* event = session.objects().events.find(op.id.value);
  if (event == nullptr) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  session.dispatcher().forget_event(event->real);
  const CUresult result = session.driver().cuEventDestroy_v2(event->real);
  session.objects().events.drop(op.id.value);
  call.finish(result);
}

void event_record(Session& session, const api::ops::EventRecord& op, Call& call) {
  const Event* event = session.objects().events.find(op.id.value);
  CUstream stream = nullptr;
  if (event == nullptr || !session.objects().find(op.on.value, stream)) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  const DriverTable& driver = session.driver();
  CUresult result = CUDA_ERROR_NOT_SUPPORTED;
  if (op.flags == 0)
    result = driver.cuEventRecord(event->real, stream);
  else if (driver.cuEventRecordWithFlags != nullptr)
    result = driver.cuEventRecordWithFlags(event->real, stream, op.flags);
  // It takes no place in a queue, but a wait for the stream must see it.
  if (result == CUDA_SUCCESS) session.dispatcher().count(op.on.value);
  call.finish(result);
}

void event_query(Session& session, const api::ops::EventQuery& op, Call& call) {
  const Event* event = session.objects().events.find(op.id.value);
  if (event == nullptr) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  const CUresult result = session.driver().cuEventQuery(event->real);
  if (result == CUDA_SUCCESS) session.console().collect();
  call.finish(result);
}

void event_synchronize(Session& session, const api::ops::EventSynchronize& op, Call& call) {
  const Event* event = session.objects().events.find(op.id.value);
  if (event == nullptr) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  session.dispatcher().finish_after_event(call, *event);
}

void event_elapsed(Session& session, const api::ops::EventElapsed& op, Call& call) {
  const Event* start = session.objects().events.find(op.start.value);
  const Event* end = session.objects().events.find(op.end.value);
  if (start == nullptr || end == nullptr) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  const DriverTable& driver = session.driver();
  float milliseconds = 0;
  const auto elapsed =
      driver.cuEventElapsedTime_v2 != nullptr ? driver.cuEventElapsedTime_v2 : driver.cuEventElapsedTime;
  const CUresult result =
      elapsed == nullptr ? CUDA_ERROR_NOT_SUPPORTED : elapsed(&milliseconds, start->real, end->real);
  api::ops::EventElapsedReply{milliseconds}.encode(call.reply());
  call.finish(result);
}

}  // namespace vgpu::worker::handlers
