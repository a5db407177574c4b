// Work on its way into a stream, or into the graph that the stream is captured to; and the rules of captures.
#pragma once

#include "worker/sim/api/entry.hpp"

namespace vgpu::sim::api {

using device::NodeType;
using device::Task;
using device::Work;

struct Submission {
  Task task;
  bool counted = true;
  bool runs_after_error = false;
  bool through_gate = true;
  bool wait = false;  ///< pageable copies: return when done
  std::uint64_t staging = 0;
  std::vector<device::MarkPtr> inner;  ///< see Command
};

/// Runs a function of the program; while it runs, its thread must not call the driver.
class HostFunctionScope {
 public:
  HostFunctionScope() { thread_state().in_host_function = true; }
  HostFunctionScope(const HostFunctionScope&) = delete;
  HostFunctionScope& operator=(const HostFunctionScope&) = delete;
  ~HostFunctionScope() { thread_state().in_host_function = false; }
};

/// Queues the task, or adds it to the graph under capture.
CUresult enqueue(const StreamPtr& stream, Submission submission);

bool is_capturing(const Stream& stream);

/// Work on the legacy stream, for the synchronous calls. Returns when it is done if `wait`; other threads' submissions
/// are held up.
CUresult run_on_legacy(const ContextPtr& context, Work work, bool wait);

/// For calls that CUDA calls unsafe during a capture: refused, and the capture lost, according to the modes of capture
/// and thread.
CUresult check_unsafe(const Context& context);
/// For calls that concern the whole context: refused, and every capture in it lost, in all modes.
CUresult check_conflicting(const Context& context);
/// For calls that touch the legacy stream: refused, and the capture lost, if a blocking stream is being captured.
CUresult check_legacy(const Context& context);
/// For queries and waits of one stream.
CUresult check_stream_wait(const StreamPtr& stream);

/// Waits until the context is idle, while other threads' submissions are held up. Prints what kernels printed.
CUresult wait_exclusively(const ContextPtr& context);

}  // namespace vgpu::sim::api
