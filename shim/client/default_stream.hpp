// What stream 0, CU_STREAM_LEGACY and CU_STREAM_PER_THREAD stand for.
#pragma once

#include "shim/client/context.hpp"

namespace vgpu::shim {

struct ThreadState;

/// True if `stream` means the calling thread's own default stream.
bool means_per_thread(CUstream stream);
/// True if it means the legacy stream.
bool means_legacy(CUstream stream);

/// The number that travels: 1 for the legacy stream, else a stream handle. CU_STREAM_PER_THREAD becomes a stream of
/// this thread and the current context, made on demand. CUDA_ERROR_INVALID_HANDLE for what is no stream.
CUresult resolve_stream(CUstream stream, uint64_t& value);

/// When the thread ends.
void destroy_default_streams(ThreadState& thread);

}  // namespace vgpu::shim
