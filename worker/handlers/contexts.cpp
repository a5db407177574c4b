// Contexts, primary and ordinary, and waiting for all work of one.
#include "worker/handlers/context_ends.hpp"
#include "worker/handlers/graph_counts.hpp"
#include "worker/handlers/handlers.gen.hpp"
#include "worker/handlers/new_handle.hpp"
#include "worker/session.hpp"

namespace vgpu::worker::handlers {

void forget(Session& session, uint64_t context) {
  session.dispatcher().forget_context(context);
  session.links().destroy_of(context);
  Objects& objects = session.objects();
  objects.streams.drop_if([&](uint64_t, const Stream& stream) { return stream.context == context; });
  forget_lost_captures(session);
  objects.events.drop_if([&](uint64_t, const Event& event) { return event.context == context; });
  objects.modules.drop_if([&](uint64_t, const Module& module) { return module.context == context; });
  objects.functions.drop_if([&](uint64_t, const Function& function) { return function.context == context; });
  session.allocations().discharge(session.contexts().device_of(context), objects.arrays.forget_context(context));
  objects.texrefs.drop_if([&](uint64_t, const auto& reference) { return reference.context == context; });
  objects.surfrefs.drop_if([&](uint64_t, const auto& reference) { return reference.context == context; });
  objects.textures.forget_context(context);
  objects.surfaces.forget_context(context);
  // Extents too: a registration ends with the context that made it, and the guest opens them anew.
  session.allocations().remove_if([&](uint64_t, const Allocations::Range& range) { return range.context == context; });
  session.forget_control_area(context);
}

CUresult adopt(Session& session, uint64_t handle, ContextState state) {
  session.contexts().forget_current();
  session.contexts().bind(handle, std::move(state));
  const CUresult result = session.enter(handle);
  if (result == CUDA_SUCCESS) session.register_control_area();
  return result;
}

namespace {

CUresult adopt_real(Session& session, uint64_t handle, CUcontext real, int device, bool primary) {
  ContextState state;
  state.real = real;
  state.device = device;
  state.primary = primary;
  return adopt(session, handle, std::move(state));
}

}  // namespace

void primary_retain(Session& session, const api::ops::PrimaryRetain& op, Call& call) {
  const uint64_t known = session.contexts().primary(static_cast<int>(op.device));
  if (known != 0)
    return call.finish(known == op.id.value ? CUDA_SUCCESS : session.violation("two handles for one primary context"));
  if (const CUresult refused =
          check_new(session, session.contexts(), op.id.value, "a context handle that cannot be made");
      refused != CUDA_SUCCESS)
    return call.finish(refused);
  CUcontext real = nullptr;
  const CUresult result = session.driver().cuDevicePrimaryCtxRetain(&real, static_cast<int>(op.device));
  call.finish(result != CUDA_SUCCESS ? result
                                     : adopt_real(session, op.id.value, real, static_cast<int>(op.device), true));
}

void primary_release(Session& session, const api::ops::PrimaryRelease& op, Call& call) {
  const uint64_t handle = session.contexts().primary(static_cast<int>(op.device));
  if (handle == 0) return call.finish(CUDA_ERROR_INVALID_CONTEXT);
  forget(session, handle);
  session.contexts().drop(handle);
  call.finish(session.driver().cuDevicePrimaryCtxRelease_v2(static_cast<int>(op.device)));
}

void primary_reset(Session& session, const api::ops::PrimaryReset& op, Call& call) {
  const uint64_t handle = session.contexts().primary(static_cast<int>(op.device));
  session.links().destroy_of(handle);
  const CUresult result = session.driver().cuDevicePrimaryCtxReset_v2(static_cast<int>(op.device));
  if (result == CUDA_SUCCESS && handle != 0) {
    forget(session, handle);
    ContextState* context = session.contexts().find(handle);
    context->free_events.clear();  // gone with what the context held
    context->credit_event = nullptr;
    context->completed = context->submitted;
    context->open_captures = 0;
    context->end_capture();
    session.contexts().forget_current();
  }
  call.finish(result);
}

void primary_set_flags(Session& session, const api::ops::PrimarySetFlags& op, Call& call) {
  call.finish(session.driver().cuDevicePrimaryCtxSetFlags_v2(static_cast<int>(op.device), op.flags));
}

void context_create(Session& session, const api::ops::ContextCreate& op, Call& call) {
  if (const CUresult refused =
          check_new(session, session.contexts(), op.id.value, "a context handle that cannot be made");
      refused != CUDA_SUCCESS)
    return call.finish(refused);
  CUcontext real = nullptr;
  const DriverTable& driver = session.driver();
  const CUresult result = driver.cuCtxCreate_v2 != nullptr
                              ? driver.cuCtxCreate_v2(&real, op.flags, static_cast<int>(op.device))
                              : CUDA_ERROR_NOT_SUPPORTED;
  // It was pushed; left there, contexts that have ended would show from below those that end later.
  CUcontext popped = nullptr;
  if (result == CUDA_SUCCESS && driver.cuCtxPopCurrent_v2 != nullptr) driver.cuCtxPopCurrent_v2(&popped);
  call.finish(result != CUDA_SUCCESS ? result
                                     : adopt_real(session, op.id.value, real, static_cast<int>(op.device), false));
}

void context_destroy(Session& session, const api::ops::ContextDestroy& op, Call& call) {
  const ContextState* context = session.contexts().find(op.id.value);
  if (context == nullptr || context->primary || context->green != nullptr)
    return call.finish(CUDA_ERROR_INVALID_CONTEXT);
  const CUcontext real = context->real;
  forget(session, op.id.value);
  session.contexts().drop(op.id.value);
  call.finish(session.driver().cuCtxDestroy_v2(real));
}

void context_synchronize(Session& session, const api::ops::ContextSynchronize&, Call& call) {
  session.dispatcher().finish_after_context(call);
}

void context_settle(Session& session, const api::ops::ContextSettle&, Call& call) {
  // Parked until there was no work, unless a capture is open.
  api::ops::ContextSettleReply{session.context().open_captures == 0}.encode(call.reply());
  call.finish(CUDA_SUCCESS);
}

void context_set_flags(Session& session, const api::ops::ContextSetFlags& op, Call& call) {
  const auto set = session.driver().cuCtxSetFlags;
  call.finish(set == nullptr ? CUDA_ERROR_NOT_SUPPORTED : set(op.flags));
}

}  // namespace vgpu::worker::handlers
