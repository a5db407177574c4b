#include "shim/client/capture_state.hpp"

#include <algorithm>
#include <mutex>
#include <utility>
#include <vector>

#include "shim/client/channel.hpp"
#include "shim/client/context.hpp"
#include "shim/client/context_end.hpp"
#include "shim/client/handles.hpp"
#include "shim/client/user_objects.hpp"

namespace vgpu::shim::capture {
namespace {

struct Capture {
  uint64_t stream;
  CUcontext context;
  CUstreamCaptureMode mode;
  uint64_t id;
  const void* thread;
  bool invalidated;
  uint64_t graph;   // handle that was promised for the graph; 0: none
  bool into_graph;  // the graph was there before
  bool told;        // the worker knows the graph by its handle
};

std::mutex mutex;
/// Few at any time. Never destroyed: calls may come after static destructors.
std::vector<Capture>& captures = *new std::vector<Capture>;
constinit thread_local CUstreamCaptureMode thread_mode = CU_STREAM_CAPTURE_MODE_GLOBAL;

/// Stands for the calling thread.
const void* this_thread() {
  static thread_local char mark;
  return &mark;
}

std::vector<Capture>::iterator find(uint64_t stream) {
  return std::find_if(captures.begin(), captures.end(), [stream](const Capture& one) { return one.stream == stream; });
}

std::vector<Capture>::iterator find_by_id(uint64_t id) {
  return std::find_if(captures.begin(), captures.end(), [id](const Capture& one) { return one.id == id; });
}

void publish_count() { open_captures.store(static_cast<uint32_t>(captures.size()), std::memory_order_relaxed); }

/// Whether this capture forbids a call that the modes decide about (measured: experiments, E8).
bool forbids(const Capture& one) {
  const bool mine = one.thread == this_thread();
  switch (thread_mode) {
    case CU_STREAM_CAPTURE_MODE_RELAXED:
      return false;
    case CU_STREAM_CAPTURE_MODE_THREAD_LOCAL:
      return mine && one.mode != CU_STREAM_CAPTURE_MODE_RELAXED;
    default:
      return one.mode == CU_STREAM_CAPTURE_MODE_GLOBAL || (mine && one.mode == CU_STREAM_CAPTURE_MODE_THREAD_LOCAL);
  }
}

template <typename Matches>
void forget_if(Matches matches) {
  const std::lock_guard lock(mutex);
  std::erase_if(captures, [&matches](const Capture& one) {
    const bool gone = matches(one);
    if (gone && one.graph != 0 && !one.into_graph) {
      user_objects::graph_gone(one.graph);
      handles(wire::Kind::graph).discard(one.graph);
    }
    return gone;
  });
  publish_count();
}

}  // namespace

std::atomic<uint32_t> open_captures{0};

void began(uint64_t stream, CUcontext context, CUstreamCaptureMode mode, uint64_t id, uint64_t graph) {
  watch_context_ends();
  const std::lock_guard lock(mutex);
  captures.push_back({stream, context, mode, id, this_thread(), false, graph, graph != 0, graph != 0});
  publish_count();
}

Ended ended(uint64_t stream) {
  const std::lock_guard lock(mutex);
  const auto found = find(stream);
  if (found == captures.end()) return {};
  const Ended how{
      .known = true, .invalidated = found->invalidated, .graph = found->graph, .into_graph = found->into_graph};
  captures.erase(found);
  publish_count();
  return how;
}

CUresult check_may_end(uint64_t stream) {
  const std::lock_guard lock(mutex);
  const auto found = find(stream);
  if (found == captures.end() || found->mode == CU_STREAM_CAPTURE_MODE_RELAXED || found->thread == this_thread())
    return CUDA_SUCCESS;
  return CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD;
}

bool status_of(uint64_t stream, CUstreamCaptureStatus& status, uint64_t& id) {
  const std::lock_guard lock(mutex);
  const auto found = find(stream);
  if (found == captures.end()) return false;
  status = found->invalidated ? CU_STREAM_CAPTURE_STATUS_INVALIDATED : CU_STREAM_CAPTURE_STATUS_ACTIVE;
  id = found->id;
  return true;
}

bool is_invalidated(uint64_t id) {
  const std::lock_guard lock(mutex);
  return std::any_of(captures.begin(), captures.end(),
                     [id](const Capture& one) { return one.id == id && one.invalidated; });
}

uint64_t graph_of(uint64_t id) {
  const std::lock_guard lock(mutex);
  const auto found = find_by_id(id);
  if (found == captures.end()) return 0;
  if (found->graph == 0) found->graph = handles(wire::Kind::graph).make();
  return found->graph;
}

bool is_graph_told(uint64_t id) {
  const std::lock_guard lock(mutex);
  const auto found = find_by_id(id);
  return found != captures.end() && found->told;
}

void note_graph_told(uint64_t id) {
  const std::lock_guard lock(mutex);
  if (const auto found = find_by_id(id); found != captures.end()) found->told = true;
}

CUstreamCaptureMode exchange_thread_mode(CUstreamCaptureMode mode) { return std::exchange(thread_mode, mode); }

void forget_stream(uint64_t stream) {
  if (open_captures.load(std::memory_order_relaxed) == 0) return;
  forget_if([stream](const Capture& one) { return one.stream == stream; });
}

void forget_context(CUcontext context) {
  forget_if([context](const Capture& one) { return one.context == context; });
}

CUresult refuse_slow(Unsafe call) {
  // A worker that is gone, or an error that sticks, is the answer to every call, in a capture too.
  if (const Channel* channel = open_channel(); channel != nullptr)
    if (const CUresult lost = channel->health(); lost != CUDA_SUCCESS) return lost;
  const Context* current = current_context();
  const CUcontext context = current != nullptr ? handle_of(*current) : nullptr;
  bool refused = false;
  const std::lock_guard lock(mutex);
  for (Capture& one : captures) {
    if (call == Unsafe::context_wide ? one.context == context : forbids(one)) one.invalidated = refused = true;
  }
  return refused ? CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED : CUDA_SUCCESS;
}

}  // namespace vgpu::shim::capture
