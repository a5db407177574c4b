// Who captures what, in which mode (decision 11): the worker's threads are in relaxed mode for life, so the rules are
// applied here.
#pragma once

#include <atomic>
#include <cstdint>

#include "common/api/cuda_types.hpp"

namespace vgpu::shim {

using namespace vgpu::cuda;

namespace capture {

/// How a call disturbs captures (column `capture` of the table).
enum class Unsafe {
  by_mode,       // refused or allowed by the modes of the capture and of the calling thread: allocation, free, queries,
                 // waits, unloading
  context_wide,  // never allowed while a stream of the current context captures: cuCtxSynchronize
};

/// Number of open captures in this process.
extern std::atomic<uint32_t> open_captures;

/// A capture that began on `stream` (a handle as it travels), by this thread.
/// `graph`: the one that it goes into, if that was there before.
void began(uint64_t stream, CUcontext context, CUstreamCaptureMode mode, uint64_t id, uint64_t graph = 0);
/// What became of the capture that began on `stream`; the record is gone afterwards.
struct Ended {
  bool known = false;
  bool invalidated = false;
  uint64_t graph = 0;       ///< the handle that was told by graph_of(), 0 if nobody asked; the caller's from now on
  bool into_graph = false;  ///< that graph was there before the capture, and stays
};
Ended ended(uint64_t stream);
/// CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD if only another thread may end the capture on `stream`.
CUresult check_may_end(uint64_t stream);

/// Status and id of the capture that began on `stream`; false if none did (the stream may have joined one through an
/// event).
bool status_of(uint64_t stream, CUstreamCaptureStatus& status, uint64_t& id);
/// True if the capture with this id was invalidated in the guest.
bool is_invalidated(uint64_t id);
/// The handle that the graph of the capture with this id will have once it is complete: made when first asked for, 0 if
/// there is no such capture or no handle left.
uint64_t graph_of(uint64_t id);
/// Whether the worker has been told that handle; if not, whoever asks is to tell it and then says so.
bool is_graph_told(uint64_t id);
void note_graph_told(uint64_t id);
/// Swaps the calling thread's mode.
CUstreamCaptureMode exchange_thread_mode(CUstreamCaptureMode mode);
/// The stream, or the context with all its streams, is gone.
void forget_stream(uint64_t stream);
void forget_context(CUcontext context);

CUresult refuse_slow(Unsafe call);

}  // namespace capture

/// CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, with the captures that forbid the call invalidated, as the driver does;
/// otherwise success. Calls marked capture=unsafe ask here first. One relaxed load when nothing is being captured.
inline CUresult refuse_if_capturing(capture::Unsafe call = capture::Unsafe::by_mode) {
  if (capture::open_captures.load(std::memory_order_relaxed) == 0) [[likely]]
    return CUDA_SUCCESS;
  return capture::refuse_slow(call);
}

}  // namespace vgpu::shim
