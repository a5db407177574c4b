// What the shim keeps per thread of the program: one pointer in thread-local storage, everything else on the heap.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "shim/client/context.hpp"

namespace vgpu::shim {

class Staging;

/// The stream that stands for CU_STREAM_PER_THREAD of one thread in one context.
struct DefaultStream {
  Context* context;
  uint32_t epoch;  // of the context when it was made; a context that was reset has lost it
  uint64_t handle;
};

struct ThreadState {
  uint32_t slot = 0;
  bool shares_slot = false;
  bool has_slot = false;
  std::vector<Context*> contexts;  // the stack; the last one is current
  std::vector<DefaultStream> default_streams;
  std::unique_ptr<Staging> staging;
  // What cuStreamGetCaptureInfo answered last: the driver lends its array, so we lend ours.
  std::vector<CUgraphNode> capture_nodes;
  std::vector<CUgraphEdgeData> capture_edges;

  ThreadState();
  ~ThreadState();
};

/// Made on first use, and destroyed when the thread ends; a destructor of the program that runs later gets a new one.
ThreadState& this_thread();
/// Null if this thread has none yet.
ThreadState* this_thread_if_any();
/// The thread's reply slot, taken on first use.
uint32_t slot_of(ThreadState& thread);

}  // namespace vgpu::shim
