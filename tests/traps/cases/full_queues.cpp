// SPDX-License-Identifier: Apache-2.0
// Full queues. The driver holds 1,021 commands a stream and 8,168 in all (measured); up to there nobody waits, beyond
// it only who fills the queue.
#include "tests/conformance/harness/registry.hpp"
#include "tests/traps/support/crew.hpp"

namespace traps {
namespace {

constexpr int kInOneQueue = 1000;

/// A kernel that waits for a word, which a kernel on another stream sets. If nobody does, a watchdog sets it, and the
/// case fails.
class Flagged {
 public:
  ~Flagged() {
    if (watchdog_.joinable()) watchdog_.join();
    driver().cuCtxSynchronize();
  }
  const Module& module() const { return module_; }
  CUfunction noop() const { return module_.function("noop"); }
  void start(CUstream stream) {
    launch(spin_, {}, {}, stream, flag_.device());
    watchdog_ = std::thread([this] {
      if (comes_true([this] { return flag_.word() != 0; }, kPatience)) return;
      expired_ = true;
      flag_.set_word(1);
    });
  }
  void release_by_kernel(CUstream stream) { launch(store_, {}, {}, stream, flag_.device(), uint32_t{1}); }
  void release_by_host() { flag_.set_word(1); }
  void require_released(Where where = Where::current()) const {
    require(!expired_.load(), "the flag was set in time: no call waited for the kernel that waits for it", where);
  }

 private:
  const Module module_;
  const PinnedMemory flag_{4};
  const CUfunction spin_ = module_.function("spin"), store_ = module_.function("store");
  std::atomic<bool> expired_{false};
  std::thread watchdog_;
};

/// Waits until a count has stood still for a while, or has reached its end.
void wait_until_stuck(const std::atomic<int>& count, int end) {
  for (int before = -1; before != count.load() && count.load() < end;) {
    before = count.load();
    comes_true([&] { return count.load() >= end; }, std::chrono::milliseconds(50));
  }
}

CASE(queue, full_until_another_thread_releases_it) {
  const Context context;
  Flagged flagged;
  const Stream waiting, other;
  const DeviceMemory counter(4);
  counter.write_word(0);
  const CUfunction increment = flagged.module().function("increment");
  flagged.start(waiting);
  constexpr int kLaunches = 3000;
  std::atomic<int> posted{0};
  Crew crew;
  crew.add(context, "filling", [&] {
    stands_at("launching into a full queue");
    for (; posted < kLaunches; ++posted) launch(increment, {}, {}, waiting, counter.at());
  });
  crew.add(context, "releasing", [&] {
    wait_until_stuck(posted, kLaunches);
    stands_at("launching what sets the flag");
    flagged.release_by_kernel(other);
  });
  crew.join();
  waiting.synchronize();
  flagged.require_released();
  expect_equal(counter.word(), uint32_t{kLaunches}, "the launches that ran");
}

CASE(queue, filled_by_several_threads) {
  const Context context;
  Flagged flagged;
  const Stream waiting, other;
  const DeviceMemory counter(4);
  counter.write_word(0);
  const CUfunction count = flagged.module().function("count_threads");
  flagged.start(waiting);
  constexpr int kThreads = 6, kLaunches = 700;
  std::atomic<int> posted{0};
  Crew crew;
  for (int t = 0; t < kThreads; ++t) {
    crew.add(context, "filling", [&] {
      stands_at("launching into a queue that others fill, too");
      for (int i = 0; i < kLaunches; ++i, ++posted) launch(count, {}, {}, waiting, counter.at());
    });
  }
  crew.add(context, "releasing", [&] {
    wait_until_stuck(posted, kThreads * kLaunches);
    stands_at("launching what sets the flag");
    flagged.release_by_kernel(other);
  });
  crew.join();
  waiting.synchronize();
  flagged.require_released();
  expect_equal(counter.word(), uint32_t{kThreads * kLaunches}, "the launches that ran");
}

/// What a case posts with.
struct Ground {
  Flagged& flagged;
  CUstream stream;
  CUfunction noop;
  const DeviceMemory& memory;
  const Event& event;
};

/// What fits behind a kernel that waits, before the same thread posts what lets it go.
void fill_then_release(int times, const std::function<void(const Ground&)>& post) {
  const Context context;
  Flagged flagged;
  const Stream waiting, other;
  const DeviceMemory memory(4096);
  const Event event(CU_EVENT_DISABLE_TIMING);
  const Ground ground{flagged, waiting, flagged.noop(), memory, event};
  flagged.start(waiting);
  stands_at("posting what fits into the queue");
  for (int i = 0; i < times; ++i) post(ground);
  flagged.release_by_kernel(other);
  waiting.synchronize();
  flagged.require_released();
}

CASE(queue, a_thousand_launches_then_the_release_by_the_same_thread) {
  fill_then_release(kInOneQueue, [](const Ground& on) { launch(on.noop, {}, {}, on.stream); });
}
CASE(queue, a_thousand_fills_then_the_release_by_the_same_thread) {
  fill_then_release(kInOneQueue, [](const Ground& on) {
    expect_ok(CU(cuMemsetD8Async, on.memory.at(), 1, on.memory.size(), on.stream));
  });
}
CASE(queue, a_thousand_pageable_words_then_the_release_by_the_same_thread) {
  const uint32_t word = 7;
  fill_then_release(kInOneQueue, [&](const Ground& on) {
    expect_ok(CU(cuMemcpyHtoDAsync_v2, on.memory.at(), &word, sizeof word, on.stream));
  });
}
// Records and host functions take no place in the queue.
CASE(queue, five_thousand_event_records_then_the_release_by_the_same_thread) {
  fill_then_release(5000, [](const Ground& on) { expect_ok(CU(cuEventRecord, on.event, on.stream)); });
}
CASE(queue, three_thousand_host_functions_then_the_release_by_the_same_thread) {
  std::atomic<int> calls{0};
  fill_then_release(3000, [&](const Ground& on) {
    expect_ok(CU(
        cuLaunchHostFunc, on.stream, [](void* user) { ++*static_cast<std::atomic<int>*>(user); }, &calls));
  });
  expect_equal(calls.load(), 3000, "the calls of host functions");
}

// On an H200 with driver 580 this blocks natively too, so fewer than 7,200 fit in all where eight streams wait for an
// event.
CASE(queue, eight_streams_of_nine_hundred_then_the_release_by_the_same_thread) {
  const Context context;
  Flagged flagged;
  const Stream waiting, other;
  const Event begun(CU_EVENT_DISABLE_TIMING);
  const CUfunction noop = flagged.noop();
  flagged.start(waiting);
  expect_ok(CU(cuEventRecord, begun, waiting));
  const Stream streams[8];
  for (const Stream& stream : streams) expect_ok(CU(cuStreamWaitEvent, stream, begun, 0));
  stands_at("filling eight queues");
  for (int i = 0; i < 900; ++i)
    for (const Stream& stream : streams) launch(noop, {}, {}, stream);
  flagged.release_by_kernel(other);
  for (const Stream& stream : streams) stream.synchronize();
  flagged.require_released();
}

// More than the driver's queues hold by far, and more than a sanitizer makes too slow.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr int kBeside = 7000;
#else
constexpr int kBeside = 12'000;
#endif

/// A kernel that stays for the whole of a program's life, as schedulers on the GPU do, and ordinary work beside it.
void work_beside_a_kernel_that_stays(CUstream beside) {
  Flagged flagged;
  const Stream staying;
  const DeviceMemory counter(4);
  counter.write_word(0);
  const CUfunction increment = flagged.module().function("increment");
  flagged.start(staying);
  stands_at("launching beside a kernel that stays");
  for (int i = 0; i < kBeside; ++i) launch(increment, {}, {}, beside, counter.at());
  expect_ok(CU(cuStreamSynchronize, beside));
  expect(CU(cuStreamQuery, staying), CUDA_ERROR_NOT_READY);
  flagged.release_by_host();
  staying.synchronize();
  flagged.require_released();
  expect_equal(counter.word(), uint32_t{kBeside}, "the launches that ran");
}
CASE(queue, launches_beside_a_kernel_that_stays) {
  const Context context;
  const Stream beside;
  work_beside_a_kernel_that_stays(beside);
}
CASE(queue, launches_on_the_legacy_stream_beside_a_kernel_that_stays) {
  const Context context;
  work_beside_a_kernel_that_stays(nullptr);
}
CASE(queue, launches_on_the_stream_of_the_thread_beside_a_kernel_that_stays) {
  const Context context;
  work_beside_a_kernel_that_stays(CU_STREAM_PER_THREAD);
}

// Copies from pageable memory take staging memory of the driver's, 4 MiB of it. Questions get through while it is full.
CASE(queue, pageable_copies_beyond_the_staging_memory) {
  const Context context;
  Flagged flagged;
  const Stream waiting;
  constexpr size_t kSize = 32 << 10;
  constexpr int kCopies = 300;
  const DeviceMemory memory(kSize);
  const auto bytes = pattern(kSize, 3);
  flagged.start(waiting);
  std::atomic<int> posted{0};
  Crew crew;
  crew.add(context, "copying", [&] {
    stands_at("copying from pageable memory behind a kernel that waits");
    for (; posted < kCopies; ++posted) expect_ok(CU(cuMemcpyHtoDAsync_v2, memory.at(), bytes.data(), kSize, waiting));
  });
  crew.add(context, "asking", [&] {
    wait_until_stuck(posted, kCopies);
    stands_at("cuMemGetInfo beside a thread that waits for staging memory");
    size_t free = 0, total = 0;
    expect_ok(CU(cuMemGetInfo_v2, &free, &total));
    flagged.release_by_host();
  });
  crew.join();
  waiting.synchronize();
  flagged.require_released();
  expect_same(memory.read(), bytes);
}

}  // namespace
}  // namespace traps
