// SPDX-License-Identifier: Apache-2.0
// Host functions beside calls that wait for the GPU: whoever waits for whom, nobody waits for ever.
#include "tests/conformance/harness/registry.hpp"
#include "tests/traps/support/crew.hpp"

namespace traps {
namespace {

/// A host function that runs until it is let go.
struct Gate {
  std::atomic<bool> entered{false}, open{false};
  static void wait(void* self) {
    auto* gate = static_cast<Gate*>(self);
    gate->entered = true;
    comes_true([gate] { return gate->open.load(); }, kPatience / 2);
  }
};

/// What another thread gives back while a host function runs.
struct Release {
  const char* name;
  std::function<void()> body;
};

/// Runs the body on another thread while a host function holds a stream, then lets the function go. Returns whether the
/// body ended while the function was still there.
bool release_beside_a_host_function(const Context& context, const std::function<void()>& body) {
  const Stream stream;
  Gate gate;
  expect_ok(CU(cuLaunchHostFunc, stream, Gate::wait, &gate));
  wait_until([&] { return gate.entered.load(); }, "the host function");
  std::atomic<bool> done{false};
  Crew crew;
  crew.add(context, "releasing", [&] {
    stands_at("giving something back while a host function runs");
    body();
    done = true;
  });
  const bool at_once = comes_true([&] { return done.load(); }, std::chrono::milliseconds(100));
  gate.open = true;
  crew.join();
  stream.synchronize();
  return at_once;
}

CASE(host_function_trap, releases_while_it_runs) {
  const Context context;
  CUdeviceptr device = 0;
  void *pinned = nullptr, *large = nullptr;
  CUevent event = nullptr;
  CUstream other = nullptr;
  CUmodule module = nullptr;
  std::vector<uint8_t> pages(8192);
  expect_ok(CU(cuMemAlloc_v2, &device, 1 << 20));
  expect_ok(CU(cuMemHostAlloc, &pinned, 1 << 16, 0));
  expect_ok(CU(cuMemHostAlloc, &large, 20 << 20, 0));
  expect_ok(CU(cuEventCreate, &event, 0));
  expect_ok(CU(cuStreamCreate, &other, CU_STREAM_NON_BLOCKING));
  expect_ok(CU(cuModuleLoadData, &module, kNoop));
  expect_ok(CU(cuMemHostRegister_v2, pages.data(), pages.size(), 0));
  const Release releases[] = {
      {"cuMemFree", [&] { expect_ok(CU(cuMemFree_v2, device)); }},
      {"cuMemFreeHost", [&] { expect_ok(CU(cuMemFreeHost, pinned)); }},
      {"cuMemFreeHost of 20 MiB", [&] { expect_ok(CU(cuMemFreeHost, large)); }},
      {"cuMemHostUnregister", [&] { expect_ok(CU(cuMemHostUnregister, pages.data())); }},
      {"cuEventDestroy", [&] { expect_ok(CU(cuEventDestroy_v2, event)); }},
      {"cuStreamDestroy", [&] { expect_ok(CU(cuStreamDestroy_v2, other)); }},
      {"cuModuleUnload", [&] { expect_ok(CU(cuModuleUnload, module)); }},
  };
  for (const Release& release : releases) {
    const bool at_once = release_beside_a_host_function(context, release.body);
    observe(std::string(release.name) + (at_once ? " returns" : " waits"));
  }
}

CASE(host_function_trap, queued_behind_a_free) {
  const Context context;
  const Module module;
  const Stream stream;
  Spinner spinner(module);
  CUdeviceptr device = 0;
  expect_ok(CU(cuMemAlloc_v2, &device, 4096));
  std::atomic<int> calls{0};
  std::atomic<bool> freed{false};
  spinner.start(stream);
  Crew crew;
  crew.add(context, "freeing", [&] {
    stands_at("cuMemFree beside a spinning kernel");
    expect_ok(CU(cuMemFree_v2, device));
    freed = true;
  });
  comes_true([&] { return freed.load(); }, std::chrono::milliseconds(50));
  crew.add(context, "queueing", [&] {
    stands_at("cuLaunchHostFunc behind a spinning kernel, beside a cuMemFree");
    expect_ok(CU(
        cuLaunchHostFunc, stream, [](void* user) { ++*static_cast<std::atomic<int>*>(user); }, &calls));
  });
  spinner.release();
  crew.join();
  stream.synchronize();
  spinner.require_not_expired();
  expect_equal(calls.load(), 1, "the calls of the host function");
}

CASE(host_function_trap, behind_a_stream_ordered_free) {
  const Context context;
  const Stream stream;
  for (int i = 0; i < 20; ++i) {
    CUdeviceptr device = 0;
    expect_ok(CU(cuMemAllocAsync, &device, 1 << 16, stream));
    expect_ok(CU(cuMemsetD8Async, device, 1, 1 << 16, stream));
    expect_ok(CU(cuMemFreeAsync, device, stream));
    std::atomic<int> calls{0};
    expect_ok(CU(
        cuLaunchHostFunc, stream, [](void* user) { ++*static_cast<std::atomic<int>*>(user); }, &calls));
    stream.synchronize();
    expect_equal(calls.load(), 1, "the calls of the host function");
  }
}

/// A host function that waits until another thread has got an answer from the driver.
struct Errand {
  std::atomic<int> asked{0}, answered{0};
  static void run(void* self) {
    auto* errand = static_cast<Errand*>(self);
    const int mine = ++errand->asked;
    comes_true([=] { return errand->answered.load() >= mine; }, kPatience / 2);
  }
};

// While a cuMemFree waits, queries of other threads get through natively, so host functions that wait for one come to
// an end, and the cuMemFree with them.
CASE(host_function_trap, waits_for_a_query_of_another_thread) {
  const Context context;
  const Module module;
  const Stream stream;
  const Event event;
  const CUfunction noop = module.function("noop");
  Errand errand;
  std::atomic<bool> freed{false}, fed{false};
  expect_ok(CU(cuEventRecord, event, stream));
  stream.synchronize();
  Crew crew;
  crew.add(context, "asking", [&] {
    stands_at("cuEventQuery for a host function");
    while (!fed) {
      const int wanted = errand.asked.load();
      if (errand.answered.load() < wanted) {
        expect_ok(CU(cuEventQuery, event));
        errand.answered = wanted;
      }
      std::this_thread::yield();
    }
  });
  crew.add(context, "feeding", [&] {
    stands_at("launching host functions that wait for a query");
    for (int i = 0; i < 20'000 && !freed; ++i) {
      launch(noop, {}, {}, stream);
      expect_ok(CU(cuLaunchHostFunc, stream, Errand::run, &errand));
      // Some are always waiting, so that nobody finds the GPU idle.
      wait_until([&] { return errand.asked > i - 20; }, "the host functions");
    }
    stream.synchronize();
    fed = true;
  });
  const auto begun = std::chrono::steady_clock::now();
  for (int i = 0; i < 10; ++i) {
    CUdeviceptr device = 0;
    expect_ok(CU(cuMemAlloc_v2, &device, 4096));
    stands_at("cuMemFree beside host functions that wait for a query");
    expect_ok(CU(cuMemFree_v2, device));
  }
  freed = true;
  crew.join();
  require(std::chrono::steady_clock::now() - begun < kPatience / 2, "nobody had to wait for a time-out");
}

struct CallsBack {
  CUdeviceptr memory = 0;
  CUstream stream = nullptr;
  CUresult free = CUDA_SUCCESS, synchronise = CUDA_SUCCESS, allocate = CUDA_SUCCESS;
  static void run(void* self) {
    auto* calls = static_cast<CallsBack*>(self);
    CUdeviceptr address = 0;
    calls->free = driver().cuMemFree_v2(calls->memory);
    calls->synchronise = driver().cuStreamSynchronize(calls->stream);
    calls->allocate = driver().cuMemAlloc_v2(&address, 64);
  }
};

// CUDA forbids it and leaves open what comes of it: on an H200 with driver 580 the first such call never returned.
CASE(host_function_trap, that_calls_the_driver_is_told_not_to) {
  const Context context;
  const Stream stream;
  const DeviceMemory memory(64);
  CallsBack calls{memory.at(), stream};
  expect_ok(CU(cuLaunchHostFunc, stream, CallsBack::run, &calls));
  stands_at("waiting for a host function that calls the driver");
  stream.synchronize();
  expect(Outcome{"cuMemFree in a host function", calls.free}, CUDA_ERROR_NOT_PERMITTED);
  expect(Outcome{"cuStreamSynchronize in a host function", calls.synchronise}, CUDA_ERROR_NOT_PERMITTED);
  expect(Outcome{"cuMemAlloc in a host function", calls.allocate}, CUDA_ERROR_NOT_PERMITTED);
}

}  // namespace
}  // namespace traps
