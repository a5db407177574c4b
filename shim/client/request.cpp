#include "shim/client/request.hpp"

#include <cstdlib>

#include "shim/client/capture_state.hpp"
#include "shim/client/channel.hpp"
#include "shim/client/contexts.hpp"
#include "shim/client/default_stream.hpp"
#include "shim/client/flow_control.hpp"
#include "shim/client/handles.hpp"
#include "shim/client/host_steps.hpp"
#include "shim/client/pauses.hpp"
#include "shim/client/thread_state.hpp"

namespace vgpu::shim {
namespace {

bool is_strict() {
  static const bool strict = [] {
    const char* value = ::secure_getenv("VGPU_STRICT");
    return value != nullptr && value[0] != '\0' && value[0] != '0';
  }();
  return strict;
}

}  // namespace

Request::Request(api::Op op, bool needs_context) : op_(op), writer_(std::span<uint8_t>(body_)), reader_(wire::Bytes()) {
  Channel* channel = open_channel();
  if (channel == nullptr) {
    refusal_ = CUDA_ERROR_NOT_INITIALIZED;
    return;
  }
  refusal_ = channel->health();
  if (refusal_ != CUDA_SUCCESS) [[unlikely]] {
    drain_console(*channel);
    return;
  }
  if (in_host_step()) [[unlikely]] {
    refusal_ = CUDA_ERROR_NOT_PERMITTED;
    return;
  }
  const Context* context = current_context();
  if (context != nullptr && is_alive(*context)) [[likely]] {
    context_ = reinterpret_cast<uint64_t>(handle_of(*context));
  } else if (needs_context) {
    refusal_ = context == nullptr ? CUDA_ERROR_INVALID_CONTEXT : CUDA_ERROR_CONTEXT_IS_DESTROYED;
  }
}

Request::~Request() = default;

void Request::use_context(const Context& context) {
  context_ = reinterpret_cast<uint64_t>(handle_of(context));
  if (refusal_ == CUDA_ERROR_INVALID_CONTEXT || refusal_ == CUDA_ERROR_CONTEXT_IS_DESTROYED) refusal_ = CUDA_SUCCESS;
}

void Request::put(CUstream stream) {
  uint64_t value = 0;
  if (refusal_ == CUDA_SUCCESS) refusal_ = resolve_stream(stream, value);
  stream_ = value;
  writer_.put(value);
}

uint64_t Request::make_handle(wire::Kind kind) {
  const uint64_t handle = handles(kind).make();
  if (handle == 0 && refusal_ == CUDA_SUCCESS) refusal_ = CUDA_ERROR_OUT_OF_MEMORY;
  writer_.put(handle);
  return handle;
}

void Request::discard_handle(uint64_t handle) { handles(wire::kind_of(handle)).discard(handle); }

CUresult Request::call(std::span<const uint8_t> tail) {
  if (refusal_ != CUDA_SUCCESS) return refusal_;
  if (writer_.failed()) return CUDA_ERROR_INVALID_VALUE;
  Channel* channel = open_channel();
  if (channel == nullptr) return CUDA_ERROR_NOT_INITIALIZED;
  wait_while_paused(op_);
  const Pause pause(pauses_others(op_) && !channel->is_idle());
  Answer answer;
  const CUresult sent = channel->call(slot_of(this_thread()), static_cast<uint16_t>(op_), context_, writer_.written(),
                                      tail, std::span<uint8_t>(answer_), answer);
  drain_console(*channel);
  if (sent != CUDA_SUCCESS) return sent;
  took_effect_ = answer.result == CUDA_SUCCESS;
  reader_ = wire::Reader(wire::Bytes(answer_, answer.length));
  return answer.result != CUDA_SUCCESS ? answer.result : answer.deferred;
}

CUresult Request::post(std::span<const uint8_t> tail) {
  if (refusal_ != CUDA_SUCCESS) return refusal_;
  if (writer_.failed()) return CUDA_ERROR_INVALID_VALUE;
  Channel* channel = open_channel();
  if (channel == nullptr) return CUDA_ERROR_NOT_INITIALIZED;
  wait_while_paused(op_);
  // While something is being captured, the driver refuses at once what would break the capture, and programs rely on
  // that.
  const bool waits = is_strict() || capture::open_captures.load(std::memory_order_relaxed) != 0;
  const CUresult sent =
      waits ? call(tail)
            : channel->post(slot_of(this_thread()), static_cast<uint16_t>(op_), context_, writer_.written(), tail);
  if (stream_ == 0 || sent != CUDA_SUCCESS) return sent;
  return count_posted(op_, context_, stream_, tail.size());
}

CUresult surface_deferred() {
  // Any call that waits brings what failed before it on this thread; this one does nothing else.
  Request request(api::Op::console_read, false);
  return request.call();
}

}  // namespace vgpu::shim
