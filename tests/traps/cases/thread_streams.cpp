// SPDX-License-Identifier: Apache-2.0
// Every thread's own default stream.
#include "tests/conformance/harness/registry.hpp"
#include "tests/traps/support/crew.hpp"

namespace traps {
namespace {

constexpr int kThreads = 16;
constexpr uint32_t kWords = 1024;

/// Entries that mean the thread's own stream by 0, as programs compiled for it use them; null where the library does
/// not export them, and the stream is named by its handle instead.
struct OwnStream {
  proto::cuLaunchKernel* launch = find<proto::cuLaunchKernel>("cuLaunchKernel_ptsz");
  proto::cuMemcpyHtoDAsync_v2* to_device = find<proto::cuMemcpyHtoDAsync_v2>("cuMemcpyHtoDAsync_v2_ptsz");
  proto::cuMemcpyDtoHAsync_v2* to_host = find<proto::cuMemcpyDtoHAsync_v2>("cuMemcpyDtoHAsync_v2_ptsz");
  proto::cuStreamSynchronize* synchronize = find<proto::cuStreamSynchronize>("cuStreamSynchronize_ptsz");
  CUstream stream = nullptr;

  OwnStream() {
    if (launch != nullptr) return;
    launch = driver().cuLaunchKernel;
    to_device = driver().cuMemcpyHtoDAsync_v2;
    to_host = driver().cuMemcpyDtoHAsync_v2;
    synchronize = driver().cuStreamSynchronize;
    stream = CU_STREAM_PER_THREAD;
  }
  template <typename Prototype>
  static Prototype* find(const char* name) {
    return reinterpret_cast<Prototype*>(exported_symbol(name));
  }
};

void compute(const OwnStream& own, CUfunction fill, CUfunction increment, uint32_t seed) {
  const DeviceMemory memory(kWords * 4);
  const PinnedMemory back(kWords * 4);
  for (uint32_t round = 0; round < 20; ++round) {
    std::vector<uint32_t> words(kWords, seed * 1000 + round);
    CUdeviceptr at = memory.at();
    uint32_t value = seed + round, count = kWords / 2;
    void* fill_parameters[] = {&at, &value, &count};
    void* increment_parameters[] = {&at};
    stands_at("working on the stream of the thread");
    expect(Outcome{"copy to the device", own.to_device(at, words.data(), kWords * 4, own.stream)}, CUDA_SUCCESS);
    expect(
        Outcome{"launch", own.launch(fill, kWords / 2 / 128, 1, 1, 128, 1, 1, 0, own.stream, fill_parameters, nullptr)},
        CUDA_SUCCESS);
    for (int i = 0; i < 5; ++i)
      expect(Outcome{"launch", own.launch(increment, 1, 1, 1, 1, 1, 1, 0, own.stream, increment_parameters, nullptr)},
             CUDA_SUCCESS);
    expect(Outcome{"copy to the host", own.to_host(back.get(), at, kWords * 4, own.stream)}, CUDA_SUCCESS);
    expect(Outcome{"synchronise", own.synchronize(own.stream)}, CUDA_SUCCESS);
    expect_equal(back.word(0), seed + round + 5, "the first word");
    expect_equal(back.word(1), seed + round, "the second word");
    expect_equal(back.word(kWords - 1), seed * 1000 + round, "the last word");
  }
}

CASE(thread_stream, sixteen_threads_compute) {
  const Context context;
  const Module module;
  const OwnStream own;
  const CUfunction fill = module.function("fill"), increment = module.function("increment");
  Crew crew;
  for (uint32_t t = 0; t < kThreads; ++t)
    crew.add(context, "computing", [&, t] { compute(own, fill, increment, 100 * (t + 1)); });
  crew.join();
}

// One thread's stream stands still, the others' go on; each in its turn.
CASE(thread_stream, one_stands_still_the_others_go_on) {
  const Context context;
  const Module module;
  const CUfunction noop = module.function("noop");
  std::vector<std::unique_ptr<OtherThread>> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.push_back(std::make_unique<OtherThread>());
    threads.back()->run([&] { expect_ok(CU(cuCtxSetCurrent, context.get())); });
  }
  for (int still = 0; still < kThreads; ++still) {
    Spinner spinner(module);
    threads[size_t(still)]->run([&] { spinner.start(CU_STREAM_PER_THREAD); });
    for (int t = 0; t < kThreads; ++t) {
      if (t == still) continue;
      threads[size_t(t)]->run([&] {
        launch(noop, {}, {}, CU_STREAM_PER_THREAD);
        stands_at("waiting for the own stream while another thread's stands still");
        expect_ok(CU(cuStreamSynchronize, CU_STREAM_PER_THREAD));
      });
    }
    threads[size_t(still)]->run([&] {
      expect(CU(cuStreamQuery, CU_STREAM_PER_THREAD), CUDA_ERROR_NOT_READY);
      spinner.release();
      expect_ok(CU(cuStreamSynchronize, CU_STREAM_PER_THREAD));
      spinner.require_not_expired();
    });
  }
}

// Threads come and go, and their streams with them; what they had begun is completed.
CASE(thread_stream, of_threads_that_end_with_work_in_flight) {
  const Context context;
  const Module module;
  const CUfunction count = module.function("count_threads");
  const DeviceMemory counter(4);
  counter.write_word(0);
  for (int round = 0; round < 10; ++round) {
    Crew crew;
    for (int t = 0; t < kThreads; ++t) {
      crew.add(context, "passing", [&] {
        for (int i = 0; i < 10; ++i) launch(count, {}, {}, CU_STREAM_PER_THREAD, counter.at());
      });
    }
    crew.join();
  }
  expect_ok(CU(cuCtxSynchronize));
  expect_equal(counter.word(), uint32_t{10 * kThreads * 10}, "the launches that ran");
}

}  // namespace
}  // namespace traps
