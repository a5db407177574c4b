// SPDX-License-Identifier: Apache-2.0
// Many threads in calls that wait, all at once.
#include "tests/conformance/harness/registry.hpp"
#include "tests/traps/support/crew.hpp"

namespace traps {
namespace {

constexpr std::chrono::milliseconds kSeconds{3000};

/// One thread's turn: whatever it does, its own results are right.
class Worker {
 public:
  explicit Worker(uint32_t seed) : seed_(seed) {}
  void turn(unsigned kind) {
    ++round_;
    switch (kind % 8) {
      case 0:
        return wait_for_stream();
      case 1:
        return wait_for_event();
      case 2:
        return wait_for_context();
      case 3:
        return copy();
      case 4:
        return allocate_and_free();
      case 5:
        return pin_and_free();
      case 6:
        return load_and_unload();
      default:
        return call_host_function();
    }
  }

 private:
  void increment_once() { launch(increment_, {}, {}, stream_, word_.at()); }
  void expect_word() {
    uint32_t got = 0;
    expect_ok(CU(cuMemcpyDtoHAsync_v2, back_.get(), word_.at(), 4, stream_));
    stream_.synchronize();
    got = back_.word();
    expect_equal(got, seed_ + round_, "the word of a thread");
  }
  void wait_for_stream() {
    stands_at("cuStreamSynchronize");
    increment_once();
    stream_.synchronize();
    expect_word();
  }
  void wait_for_event() {
    stands_at("cuEventSynchronize");
    increment_once();
    expect_ok(CU(cuEventRecord, event_, stream_));
    expect_ok(CU(cuEventSynchronize, event_));
    expect_word();
  }
  void wait_for_context() {
    stands_at("cuCtxSynchronize");
    increment_once();
    expect_ok(CU(cuCtxSynchronize));
    expect_word();
  }
  void copy() {
    stands_at("synchronous copies");
    increment_once();
    stream_.synchronize();
    expect_equal(word_.word(), seed_ + round_, "the word of a thread");
  }
  void allocate_and_free() {
    stands_at("cuMemAlloc and cuMemFree");
    const auto bytes = pattern(100'000, seed_ + round_);
    const DeviceMemory memory(bytes.size());
    memory.write(bytes);
    increment_once();
    expect_same(memory.read(), bytes);
    expect_word();
  }
  void pin_and_free() {
    stands_at("cuMemHostAlloc and cuMemFreeHost");
    const PinnedMemory pinned(size_t{1} << (12 + round_ % 9));
    increment_once();
    expect_ok(CU(cuMemcpyDtoHAsync_v2, pinned.get(), word_.at(), 4, stream_));
    stream_.synchronize();
    expect_equal(pinned.word(), seed_ + round_, "the word in fresh pinned memory");
  }
  void load_and_unload() {
    stands_at("cuModuleLoadData and cuModuleUnload");
    const Module other(kVariables);
    increment_once();
    expect_word();
  }
  void call_host_function() {
    stands_at("cuLaunchHostFunc");
    std::atomic<uint32_t> seen{0};
    increment_once();
    expect_ok(CU(
        cuLaunchHostFunc, stream_, [](void* user) { *static_cast<std::atomic<uint32_t>*>(user) = 1; }, &seen));
    stream_.synchronize();
    expect_equal(seen.load(), 1U, "the call of a host function");
    expect_word();
  }

  const uint32_t seed_;
  uint32_t round_ = 0;
  const Module module_;
  const CUfunction increment_ = module_.function("increment");
  const Stream stream_;
  const Event event_;
  const PinnedMemory back_{64};
  const DeviceMemory word_{4};

 public:
  void begin() { word_.write_word(seed_); }
};

void crowd(unsigned threads, const std::function<unsigned(unsigned thread, unsigned round)>& kind) {
  const Context context;
  std::atomic<int> rounds{0};
  const auto end = std::chrono::steady_clock::now() + kSeconds;
  Crew crew;
  for (unsigned t = 0; t < threads; ++t) {
    crew.add(context, "crowd", [&, t] {
      Worker worker(1000 * (t + 1));
      worker.begin();
      for (unsigned round = 0; std::chrono::steady_clock::now() < end && !crew.has_failed(); ++round, ++rounds)
        worker.turn(kind(t, round));
    });
  }
  crew.join();
  observe(std::to_string(rounds.load()) + " rounds");
}

CASE(crowd, every_thread_waits_in_another_way) {
  crowd(8, [](unsigned thread, unsigned) { return thread; });
}
CASE(crowd, every_thread_waits_in_every_way) {
  crowd(12, [](unsigned thread, unsigned round) { return thread + round; });
}

}  // namespace
}  // namespace traps
