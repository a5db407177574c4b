// SPDX-License-Identifier: Apache-2.0
// Threads that share a context and do everything at once: each on streams and memory of its own, each checking what it
// gets.
#include <algorithm>
#include <cstring>
#include <random>
#include <shared_mutex>
#include <thread>

#include "tests/conformance/fixtures/objects.hpp"
#include "tests/conformance/fixtures/side_by_side.hpp"
#include "tests/conformance/harness/registry.hpp"

namespace conformance {
namespace {

/// A synchronisation of the whole context ends every capture in it, whosever it is: the threads keep them apart.
std::shared_mutex captures;

class Worker {
 public:
  explicit Worker(uint32_t seed) : random_(seed) { word_.write_word(0); }

  void do_something() {
    using Step = void (Worker::*)();
    constexpr Step kSteps[] = {&Worker::launch_some,    &Worker::copy_pageable,   &Worker::copy_pinned,
                               &Worker::run_a_graph,    &Worker::load_and_unload, &Worker::use_two_streams,
                               &Worker::call_the_host,  &Worker::wait_for_all,    &Worker::allocate_and_free,
                               &Worker::wait_for_events};
    (this->*kSteps[below(std::size(kSteps))])();
  }
  void check() {
    stream_.synchronize();
    expect_equal(word_.word(), count_, "launches so far");
  }

 private:
  uint32_t below(size_t most) { return static_cast<uint32_t>(random_() % most); }

  void add(CUfunction function, CUstream stream, unsigned times) {
    for (unsigned i = 0; i < times; ++i) launch(function, {}, {}, stream, word_.at());
    count_ += times;
  }
  void launch_some() {
    add(increment_, stream_, below(50));
    check();
  }
  void copy_pageable() {
    const auto there = pattern(below(3) == 0 ? 9'000'000 : 1 + below(100'000), below(1000));
    const DeviceMemory memory(there.size());
    memory.write(there);
    expect_same(memory.read(), there);
  }
  void copy_pinned() {
    const auto there = pattern(1 + below(4'000'000), below(1000));
    const PinnedMemory pinned(there.size());
    std::memcpy(pinned.get(), there.data(), there.size());
    CUdeviceptr memory = 0;
    std::vector<uint8_t> back(there.size());
    expect_ok(CU(cuMemAllocAsync, &memory, there.size(), stream_));
    expect_ok(CU(cuMemcpyHtoDAsync_v2, memory, pinned.get(), there.size(), stream_));
    expect_ok(CU(cuMemcpyDtoHAsync_v2, back.data(), memory, back.size(), stream_));
    expect_ok(CU(cuMemFreeAsync, memory, stream_));
    stream_.synchronize();
    expect_same(back, there);
  }
  void run_a_graph() {
    const std::shared_lock capturing(captures);
    const unsigned nodes = 1 + below(10), runs = below(5);
    CUgraph graph = nullptr;
    CUgraphExec exec = nullptr;
    expect_ok(CU(cuStreamBeginCapture_v2, stream_, CU_STREAM_CAPTURE_MODE_RELAXED));
    for (unsigned i = 0; i < nodes; ++i) launch(increment_, {}, {}, stream_, word_.at());
    expect_ok(CU(cuStreamEndCapture, stream_, &graph));
    expect_ok(CU(cuGraphInstantiateWithFlags, &exec, graph, 0));
    for (unsigned i = 0; i < runs; ++i) expect_ok(CU(cuGraphLaunch, exec, stream_));
    count_ += nodes * runs;
    expect_ok(CU(cuGraphExecDestroy, exec));
    expect_ok(CU(cuGraphDestroy, graph));
  }
  void load_and_unload() {
    const Module module;
    add(module.function("increment"), stream_, 1);
    stream_.synchronize();
  }
  void use_two_streams() {
    const Event event(CU_EVENT_DISABLE_TIMING);
    const Stream other(below(2) == 0 ? CU_STREAM_DEFAULT : CU_STREAM_NON_BLOCKING);
    expect_ok(CU(cuEventRecord, event, stream_));
    expect_ok(CU(cuStreamWaitEvent, other, event, 0));
    add(increment_, other, below(300));
    expect_ok(CU(cuEventRecord, event, other));
    expect_ok(CU(cuStreamWaitEvent, stream_, event, 0));
  }
  void call_the_host() {
    unsigned calls = 0;
    const unsigned wanted = 1 + below(5);
    const auto count = [](void* number) { ++*static_cast<unsigned*>(number); };
    for (unsigned i = 0; i < wanted; ++i) expect_ok(CU(cuLaunchHostFunc, stream_, count, &calls));
    stream_.synchronize();
    expect_equal(calls, wanted, "calls of the host function");
  }
  void wait_for_all() {
    {
      const std::unique_lock nobody_captures(captures);
      expect_ok(CU(cuCtxSynchronize));
    }
    expect_equal(word_.word(), count_, "launches so far");
  }
  void allocate_and_free() {
    const size_t size = 1 + below(8'000'000);
    const auto value = static_cast<unsigned char>(below(256));
    DeviceMemory memory(size);
    unsigned char last = 0;
    expect_ok(CU(cuMemsetD8Async, memory.at(), value, size, stream_));
    expect_ok(CU(cuMemcpyDtoHAsync_v2, &last, memory.at(size - 1), 1, stream_));
    expect_ok(CU(cuMemFree_v2, memory.release()));
    stream_.synchronize();
    expect_equal(unsigned{last}, unsigned{value}, "the last byte");
  }
  void wait_for_events() {
    const Event event;
    add(increment_, stream_, below(40));
    expect_ok(CU(cuEventRecord, event, stream_));
    if (below(2) == 0)
      expect_ok(CU(cuEventSynchronize, event));
    else
      poll(event);
    expect_equal(word_.word(), count_, "launches before the event");
  }

  /// Asked thousands of times, so not by way of what notes each answer.
  static void poll(CUevent event) {
    CUresult now = CUDA_ERROR_NOT_READY;
    while (now == CUDA_ERROR_NOT_READY) {
      std::this_thread::yield();
      now = driver().cuEventQuery(event);
    }
    require(now == CUDA_SUCCESS, "the event is complete in the end");
  }

  std::mt19937 random_;
  const Module module_;
  const CUfunction increment_ = module_.function("increment");
  const Stream stream_;
  const DeviceMemory word_{4};
  uint32_t count_ = 0;
};

CASE(shared_context, threads_that_do_everything) {
  constexpr uint32_t kThreads = 4, kSteps = 100;
  const Context context;
  if (device_attribute(CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED) == 0) skip("the device has no memory pools");
  side_by_side(kThreads, [&](uint32_t thread) {
    expect_ok(CU(cuCtxSetCurrent, context.get()));
    Worker worker(thread + 1);
    for (uint32_t i = 0; i < kSteps; ++i) worker.do_something();
    worker.check();
  });
}

}  // namespace
}  // namespace conformance
