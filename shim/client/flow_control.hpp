// Flow control: the driver's queues hold 1,021 commands a stream and eight times that in all, and a full one would
// block the worker, and with it everybody. So posted commands are counted, marks in the stream say how far the GPU has
// got, and the thread that fills a queue waits, as the driver would make it wait. A mark costs nobody else anything,
// and covers one stream: a kernel that stays for ever on another holds nothing up.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "common/api/cuda_types.hpp"
#include "common/api/ops.gen.hpp"

namespace vgpu::shim {

using namespace vgpu::cuda;

struct Context;
/// What of one stream is on its way. Never freed; used again for later streams.
struct Flow;

/// The flow of a stream or of a context's legacy stream, made when the first command is counted.
struct FlowPointer {
  std::atomic<Flow*> value{nullptr};
  FlowPointer() = default;
  FlowPointer(const FlowPointer&) {}  // a copy of a stream's facts counts nothing
  FlowPointer& operator=(const FlowPointer&) {
    value.store(nullptr, std::memory_order_relaxed);
    return *this;
  }
};

/// Counts a command that was posted to a stream (as it travels), and waits where the queue is full. `bytes`: of a
/// launch's parameters or of a copy's data within the record.
CUresult count_posted(api::Op op, uint64_t context, uint64_t stream, size_t bytes);

/// Whether the driver has room to stage a copy from pageable memory of this size; if not, another way must be taken.
bool may_stage_in_driver(size_t bytes);

/// The stream is about to be destroyed: what it still has to do counts until it is done.
void close_flow(FlowPointer& flow);
/// The stream's context is about to end: no thread posts a mark there any more, and none waits for one.
void stop_flow(FlowPointer& flow);
/// The stream's context is gone, and its work with it.
void drop_flow(FlowPointer& flow);

}  // namespace vgpu::shim
