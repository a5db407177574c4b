// SPDX-License-Identifier: Apache-2.0
// Contexts that threads make and end while other threads work in theirs: nobody notices anything of the others.
#include <cstring>
#include <functional>

#include "tests/conformance/fixtures/objects.hpp"
#include "tests/conformance/fixtures/side_by_side.hpp"
#include "tests/conformance/harness/registry.hpp"

namespace conformance {
namespace {

/// A context of the thread's own, current while the object lives.
class OwnContext {
 public:
  OwnContext() { expect_ok(CU(cuCtxCreate_v2, &context_, 0, 0)); }
  OwnContext(const OwnContext&) = delete;
  OwnContext& operator=(const OwnContext&) = delete;
  ~OwnContext() { driver().cuCtxDestroy_v2(context_); }

 private:
  CUcontext context_ = nullptr;
};

/// What a thread does in each of its contexts; the number is another one each time.
using Body = std::function<void(uint32_t number)>;

/// Threads that make a context, work in it and end it, again and again. Passes the first failure on.
void in_many_contexts(const Body& body) {
  constexpr uint32_t kThreads = 4, kContexts = 6;
  side_by_side(kThreads, [&](uint32_t thread) {
    for (uint32_t round = 0; round < kContexts; ++round) {
      const OwnContext context;
      body(thread * kContexts + round);
    }
  });
}

CASE(context_threads, pageable_copies) {
  in_many_contexts([](uint32_t number) {
    constexpr size_t kSizes[] = {600, 20'000, 800'000, 12'000'000};
    const auto there = pattern(kSizes[number % 4], number);
    const DeviceMemory memory(there.size());
    for (int i = 0; i < 4; ++i) {
      memory.write(there);
      expect_same(memory.read(), there);
    }
  });
}
CASE(context_threads, pinned_copies) {
  in_many_contexts([](uint32_t number) {
    constexpr size_t kSizes[] = {600, 20'000, 800'000, 12'000'000};
    const auto there = pattern(kSizes[number % 4], number);
    const DeviceMemory memory(there.size());
    const Stream stream;
    for (int i = 0; i < 4; ++i) {
      const PinnedMemory pinned(there.size());
      std::memcpy(pinned.get(), there.data(), there.size());
      expect_ok(CU(cuMemcpyHtoDAsync_v2, memory.at(), pinned.get(), there.size(), stream));
      stream.synchronize();
      expect_same(memory.read(), there);
    }
  });
}
CASE(context_threads, launches) {
  in_many_contexts([](uint32_t number) {
    constexpr unsigned kLaunches = 300;
    const Module module;
    const CUfunction increment = module.function("increment");
    const DeviceMemory word(4);
    word.write_word(number);
    const Event event;
    {
      const Stream first, second;
      for (unsigned i = 0; i < kLaunches; ++i) launch(increment, {}, {}, first, word.at());
      expect_ok(CU(cuEventRecord, event, first));
      expect_ok(CU(cuStreamWaitEvent, second, event, 0));
      for (unsigned i = 0; i < kLaunches; ++i) launch(increment, {}, {}, second, word.at());
    }
    expect_ok(CU(cuEventSynchronize, event));
    expect_ok(CU(cuCtxSynchronize));
    expect_equal(word.word(), number + 2 * kLaunches, "the word");
  });
}
/// Calls that wait for the work of their own context, while other contexts end.
CASE(context_threads, frees_and_loads) {
  in_many_contexts([](uint32_t number) {
    const Stream stream;
    for (unsigned i = 0; i < 4; ++i) {
      const Module module;
      const DeviceMemory memory(1 << 20);
      expect_ok(CU(cuMemsetD8Async, memory.at(), static_cast<unsigned char>(number), memory.size(), stream));
      const DeviceMemory other(4);
      other.write_word(number);
      launch(module.function("increment"), {}, {}, stream, other.at());
      stream.synchronize();
      expect_equal(other.word(), number + 1, "the word");
    }
  });
}

}  // namespace
}  // namespace conformance
