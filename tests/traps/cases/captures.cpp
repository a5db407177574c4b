// SPDX-License-Identifier: Apache-2.0
// A capture in one thread, allocations in another: the modes of both decide (measured).
#include "tests/conformance/harness/registry.hpp"
#include "tests/traps/support/crew.hpp"

namespace traps {
namespace {

constexpr unsigned kGlobal = CU_STREAM_CAPTURE_MODE_GLOBAL, kThreadLocal = CU_STREAM_CAPTURE_MODE_THREAD_LOCAL,
                   kRelaxed = CU_STREAM_CAPTURE_MODE_RELAXED;

const char* name_of(unsigned mode) {
  return mode == kGlobal ? "global" : mode == kThreadLocal ? "thread-local" : "relaxed";
}

/// What another thread may hold before the capture begins.
struct Belongings {
  CUdeviceptr device = 0;
  void* pinned = nullptr;
  CUevent event = nullptr;
  CUmodule module = nullptr;
};

struct Call {
  const char* name;
  CUresult (*make)(Belongings& own, CUstream other);
};
constexpr Call kCalls[] = {
    {"cuMemAlloc", [](Belongings& own, CUstream) { return driver().cuMemAlloc_v2(&own.device, 4096); }},
    {"cuMemFree",
     [](Belongings& own, CUstream) {
       const CUresult result = driver().cuMemFree_v2(own.device);
       if (result == CUDA_SUCCESS) own.device = 0;
       return result;
     }},
    {"cuMemHostAlloc", [](Belongings& own, CUstream) { return driver().cuMemHostAlloc(&own.pinned, 4096, 0); }},
    {"cuMemFreeHost",
     [](Belongings& own, CUstream) {
       const CUresult result = driver().cuMemFreeHost(own.pinned);
       if (result == CUDA_SUCCESS) own.pinned = nullptr;
       return result;
     }},
    {"cuStreamSynchronize", [](Belongings&, CUstream other) { return driver().cuStreamSynchronize(other); }},
    {"cuEventQuery", [](Belongings& own, CUstream) { return driver().cuEventQuery(own.event); }},
    {"cuModuleUnload",
     [](Belongings& own, CUstream) {
       const CUresult result = driver().cuModuleUnload(own.module);
       if (result == CUDA_SUCCESS) own.module = nullptr;
       return result;
     }},
};

/// A capture of `mode` on this thread; meanwhile another thread, of mode `its`, makes one call.
void capture_beside(const Context& context, const Module& module, OtherThread& other, const Call& call, unsigned mode,
                    unsigned its) {
  const Stream stream, unrelated;
  const DeviceMemory word(4);
  word.write_word(0);
  Belongings own;
  expect_ok(CU(cuMemAlloc_v2, &own.device, 64));
  expect_ok(CU(cuMemHostAlloc, &own.pinned, 64, 0));
  expect_ok(CU(cuEventCreate, &own.event, 0));
  expect_ok(CU(cuModuleLoadData, &own.module, kNoop));
  Belongings before = own;
  expect_ok(CU(cuStreamBeginCapture_v2, stream, mode));
  launch(module.function("increment"), {}, {}, stream, word.at());
  CUresult got = CUDA_SUCCESS;
  other.run([&] {
    expect_ok(CU(cuCtxSetCurrent, context.get()));
    unsigned swapped = its;
    expect_ok(CU(cuThreadExchangeStreamCaptureMode, &swapped));
    stands_at(call.name);
    got = call.make(own, unrelated);
    expect_ok(CU(cuThreadExchangeStreamCaptureMode, &swapped));
  });
  const bool refused = mode == kGlobal && its == kGlobal;
  const std::string what =
      std::string(call.name) + " beside a " + name_of(mode) + " capture, by a " + name_of(its) + " thread";
  CUgraph made = nullptr;
  expect(Outcome{what.c_str(), got}, refused ? CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED : CUDA_SUCCESS);
  expect(CU(cuStreamEndCapture, stream, &made), refused ? CUDA_ERROR_STREAM_CAPTURE_INVALIDATED : CUDA_SUCCESS);
  if (!refused) {
    const Graph graph(made);
    const GraphExec exec(graph);
    expect_ok(CU(cuGraphLaunch, exec.get(), stream));
    stream.synchronize();
    expect_equal(word.word(), 1U, "the word that the graph increments");
  }
  if (own.device != 0) expect_ok(CU(cuMemFree_v2, own.device));
  if (own.pinned != nullptr) expect_ok(CU(cuMemFreeHost, own.pinned));
  if (own.module != nullptr) expect_ok(CU(cuModuleUnload, own.module));
  if (own.device != 0 && own.device != before.device) expect_ok(CU(cuMemFree_v2, before.device));
  if (own.pinned != nullptr && own.pinned != before.pinned) expect_ok(CU(cuMemFreeHost, before.pinned));
  expect_ok(CU(cuEventDestroy_v2, own.event));
}

CASE(capture_trap, every_mode_beside_every_call) {
  const Context context;
  const Module module;
  OtherThread other;
  for (const unsigned mode : {kGlobal, kThreadLocal, kRelaxed})
    for (const unsigned its : {kGlobal, kThreadLocal, kRelaxed})
      for (const Call& call : kCalls) capture_beside(context, module, other, call, mode, its);
}

/// Captures and runs graphs while another thread allocates and frees all the time.
void captures_beside_allocations(unsigned mode, unsigned its, bool may_clash) {
  const Context context;
  const Module module;
  const Stream stream;
  const DeviceMemory word(4);
  word.write_word(0);
  const CUfunction increment = module.function("increment");
  std::atomic<bool> done{false};
  std::atomic<int> refused{0}, rounds{0};
  Crew crew;
  crew.add(context, "allocating", [&] {
    unsigned swapped = its;
    expect_ok(CU(cuThreadExchangeStreamCaptureMode, &swapped));
    while (!done) {
      CUdeviceptr device = 0;
      stands_at("cuMemAlloc beside captures");
      const CUresult allocated = driver().cuMemAlloc_v2(&device, 4096);
      ++rounds;
      if (allocated == CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED && may_clash) {
        ++refused;
        continue;
      }
      expect(Outcome{"cuMemAlloc", allocated}, CUDA_SUCCESS);
      stands_at("cuMemFree beside captures");
      for (CUresult freed = CUDA_ERROR_UNKNOWN; freed != CUDA_SUCCESS;) {
        freed = driver().cuMemFree_v2(device);
        if (freed == CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED && may_clash) {
          ++refused;
          continue;
        }
        expect(Outcome{"cuMemFree", freed}, CUDA_SUCCESS);
      }
    }
  });
  uint32_t ran = 0;
  int lost = 0;
  for (int i = 0; i < 200 || (rounds < 50 && i < 20'000); ++i) {
    CUgraph made = nullptr;
    stands_at("capturing");
    expect_ok(CU(cuStreamBeginCapture_v2, stream, mode));
    const Outcome launched = launch_outcome(increment, {}, {}, 0, stream, word.at());
    const Outcome ended = CU(cuStreamEndCapture, stream, &made);
    if (ended.code == CUDA_ERROR_STREAM_CAPTURE_INVALIDATED && may_clash) {
      ++lost;
      continue;
    }
    expect_ok(launched);
    expect_ok(ended);
    const Graph graph(made);
    GraphExec exec(graph);
    stands_at("launching what was captured");
    expect_ok(CU(cuGraphLaunch, exec.get(), stream));
    ++ran;
    expect_ok(CU(cuStreamSynchronize, stream));
  }
  done = true;
  crew.join();
  stream.synchronize();
  expect_equal(word.word(), ran, "the word that every graph incremented");
  if (!may_clash) expect_equal(lost + refused, 0, "captures lost and calls refused");
}

CASE(capture_trap, thread_local_ones_beside_allocations) { captures_beside_allocations(kThreadLocal, kGlobal, false); }
CASE(capture_trap, relaxed_ones_beside_allocations) { captures_beside_allocations(kRelaxed, kGlobal, false); }
CASE(capture_trap, global_ones_beside_allocations_of_a_relaxed_thread) {
  captures_beside_allocations(kGlobal, kRelaxed, false);
}
CASE(capture_trap, global_ones_clash_with_allocations_and_nothing_else_suffers) {
  captures_beside_allocations(kGlobal, kGlobal, true);
}

}  // namespace
}  // namespace traps
