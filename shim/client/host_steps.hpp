// Guest steps: functions of the program that run when a stream gets there. A thread of the shim, the agent, runs them
// one after the other.
#pragma once

#include <cstdint>

#include "common/api/cuda_types.hpp"

namespace vgpu::shim {

using namespace vgpu::cuda;

/// What the agent runs. `function` or `callback` is set.
struct HostStep {
  CUhostFn function = nullptr;
  CUstreamCallback callback = nullptr;
  CUstream stream = nullptr;
  void* user = nullptr;
  bool repeats = false;  // part of a graph: runs as often as that is launched
};

/// Puts the step into a stream, as cuLaunchHostFunc or cuStreamAddCallback do.
CUresult send_host_step(CUstream stream, const HostStep& step);

/// Whether this thread is in a function of the program that a stream runs: such functions may not call CUDA, and would
/// wait for themselves if they could.
bool in_host_step();
/// Runs a function of the program that may not call CUDA either, on a thread of ours.
void run_as_host_step(CUhostFn function, void* user);

/// The number under which the worker asks for the step; 0 if no agent thread can be had.
uint64_t add_host_step(const HostStep& step);
/// The step behind a number; false if there is none (any more).
bool find_host_step(uint64_t id, HostStep& step);
/// Takes one back that was not sent.
void drop_host_step(uint64_t id);

}  // namespace vgpu::shim
