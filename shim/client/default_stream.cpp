#include "shim/client/default_stream.hpp"

#include "shim/client/contexts.hpp"
#include "shim/client/handles.hpp"
#include "shim/client/request.hpp"
#include "shim/client/stream_table.hpp"
#include "shim/client/thread_state.hpp"
#include "shim/cuda/entry.hpp"

namespace vgpu::shim {
namespace {

thread_local bool t_per_thread = false;

constexpr uint64_t kLegacyOnWire = 1;

CUresult own_stream(uint64_t& value) {
  Context* context = current_context();
  if (context == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
  ThreadState& thread = this_thread();
  const uint32_t epoch = context->epoch.load(std::memory_order_acquire);
  std::erase_if(thread.default_streams, [](const DefaultStream& stream) {
    return stream.epoch != stream.context->epoch.load(std::memory_order_acquire);
  });
  for (const DefaultStream& stream : thread.default_streams) {
    if (stream.context != context) continue;
    value = stream.handle;
    return CUDA_SUCCESS;
  }
  Request request(api::Op::stream_create, true);
  const uint64_t handle = request.make_handle(wire::Kind::stream);
  request.body().put(static_cast<uint32_t>(CU_STREAM_DEFAULT));
  request.body().put(static_cast<int32_t>(0));
  if (const CUresult result = request.post(); result != CUDA_SUCCESS) {
    request.discard_handle(handle);
    return result;
  }
  streams().insert(handle, {context, CU_STREAM_DEFAULT, 0, next_object_id(), {}});
  thread.default_streams.push_back({context, epoch, handle});
  value = handle;
  return CUDA_SUCCESS;
}

}  // namespace

PerThreadDefaultStream::PerThreadDefaultStream() : before_(t_per_thread) { t_per_thread = true; }
PerThreadDefaultStream::~PerThreadDefaultStream() { t_per_thread = before_; }
bool PerThreadDefaultStream::active() { return t_per_thread; }

bool means_per_thread(CUstream stream) { return stream == CU_STREAM_PER_THREAD || (stream == nullptr && t_per_thread); }
bool means_legacy(CUstream stream) { return stream == CU_STREAM_LEGACY || (stream == nullptr && !t_per_thread); }

CUresult resolve_stream(CUstream stream, uint64_t& value) {
  if (means_legacy(stream)) {
    value = kLegacyOnWire;
    return CUDA_SUCCESS;
  }
  if (means_per_thread(stream)) return own_stream(value);
  value = reinterpret_cast<uint64_t>(stream);
  return streams().find(value) != nullptr ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

void destroy_default_streams(ThreadState& thread) {
  for (const DefaultStream& stream : thread.default_streams) {
    if (stream.epoch != stream.context->epoch.load(std::memory_order_acquire)) continue;
    if (StreamFacts* facts = streams().find(stream.handle); facts != nullptr) close_flow(facts->flow);
    if (!streams().remove(stream.handle)) continue;
    Request request(api::Op::stream_destroy, false);
    request.use_context(*stream.context);
    request.body().put(stream.handle);
    request.post();
    request.discard_handle(stream.handle);
  }
  thread.default_streams.clear();
}

}  // namespace vgpu::shim
