// SPDX-License-Identifier: Apache-2.0
// How programs end: with work in flight, from any thread, and with CUDA calls after main. Quiet, and with the status
// that the program gives.
#include <unistd.h>

#include <cstdlib>
#include <vector>

#include "tests/conformance/harness/driver.hpp"
#include "tests/conformance/harness/registry.hpp"
#include "tests/traps/support/act.hpp"
#include "tests/traps/support/crew.hpp"

namespace traps {
namespace {

constexpr int kStatus = 7;

/// Everything a program may have at its end, never given back.
struct InFlight {
  CUcontext context = nullptr;
  CUmodule module = nullptr;
  std::vector<CUmodule> others;
  CUfunction spin = nullptr, increment = nullptr;
  CUstream stream = nullptr, idle = nullptr;
  CUevent event = nullptr;
  void* flag = nullptr;
  CUdeviceptr memory = 0;
};
InFlight* flying = nullptr;

/// As many as libraries of kernels have, with functions in use.
std::vector<CUmodule> load_many() {
  std::vector<CUmodule> modules(60);
  for (CUmodule& module : modules) {
    CUfunction function = nullptr;
    expect_ok(CU(cuModuleLoadData, &module, kKernels));
    for (const char* name : {"spin", "increment"}) expect_ok(CU(cuModuleGetFunction, &function, module, name));
  }
  return modules;
}

/// Opens the library and starts a kernel that nobody will end.
void take_off(const std::string& libcuda, bool spinning = true) {
  std::string error;
  require(open_driver(libcuda, error), error);
  flying = new InFlight;
  InFlight& all = *flying;
  expect_ok(CU(cuInit, 0));
  expect_ok(CU(cuDevicePrimaryCtxRetain, &all.context, 0));
  expect_ok(CU(cuCtxSetCurrent, all.context));
  // Some come and go before the end, others are unloaded at it: what is remembered of the former must still be there.
  for (CUmodule module : load_many()) expect_ok(CU(cuModuleUnload, module));
  all.others = load_many();
  expect_ok(CU(cuModuleLoadData, &all.module, kKernels));
  expect_ok(CU(cuModuleGetFunction, &all.spin, all.module, "spin"));
  expect_ok(CU(cuModuleGetFunction, &all.increment, all.module, "increment"));
  expect_ok(CU(cuStreamCreate, &all.stream, CU_STREAM_NON_BLOCKING));
  expect_ok(CU(cuStreamCreate, &all.idle, CU_STREAM_NON_BLOCKING));
  expect_ok(CU(cuEventCreate, &all.event, 0));
  expect_ok(CU(cuMemHostAlloc, &all.flag, 4096, CU_MEMHOSTALLOC_DEVICEMAP));
  expect_ok(CU(cuMemAlloc_v2, &all.memory, 4096));
  *static_cast<volatile uint32_t*>(all.flag) = 0;
  CUdeviceptr flag = 0;
  expect_ok(CU(cuMemHostGetDevicePointer_v2, &flag, all.flag, 0));
  if (spinning) launch(all.spin, {}, {}, all.stream, flag);
  launch(all.increment, {}, {}, all.idle, all.memory);
  expect_ok(CU(cuEventRecord, all.event, all.idle));
}

/// Calls as destructors of libraries make them. The driver may have ended by then and say so; more it must not do.
void call_after_main() {
  if (flying == nullptr) return;
  CUcontext current = nullptr;
  for (const CUresult result : {driver().cuCtxGetCurrent(&current), driver().cuCtxSetCurrent(flying->context),
                                driver().cuEventDestroy_v2(flying->event), driver().cuStreamDestroy_v2(flying->idle)}) {
    if (result != CUDA_SUCCESS && result != CUDA_ERROR_DEINITIALIZED && result != CUDA_ERROR_CONTEXT_IS_DESTROYED)
      std::fprintf(stderr, "a call after main gave %s\n", describe(result).c_str());
  }
}

/// And those of programs that have ended their own work: everything is given back.
void give_back_after_main() {
  if (flying == nullptr) return;
  driver().cuCtxSetCurrent(flying->context);
  driver().cuMemFree_v2(flying->memory);
  driver().cuMemFreeHost(flying->flag);
  driver().cuModuleUnload(flying->module);
  for (CUmodule module : flying->others) driver().cuModuleUnload(module);
  driver().cuDevicePrimaryCtxRelease_v2(0);
}

struct AtStaticEnd {
  void (*call)() = nullptr;
  ~AtStaticEnd() {
    if (call != nullptr) call();
  }
} at_static_end;

struct AtThreadEnd {
  bool armed = false;
  ~AtThreadEnd() {
    if (armed) call_after_main();
  }
};
thread_local AtThreadEnd at_thread_end;

void wait_for_ever() {
  for (;;) pause();
}

ACT(returns_from_main) {
  take_off(libcuda);
  return kStatus;
}
ACT(exits_in_a_second_thread) {
  take_off(libcuda);
  std::thread([] { std::exit(kStatus); }).detach();
  wait_for_ever();
  return 0;
}
ACT(exits_while_others_wait) {
  take_off(libcuda);
  for (int i = 0; i < 3; ++i) {
    std::thread([i] {
      driver().cuCtxSetCurrent(flying->context);
      if (i == 0) driver().cuStreamSynchronize(flying->stream);
      if (i == 1) driver().cuCtxSynchronize();
      if (i == 2) driver().cuMemFree_v2(flying->memory);
      wait_for_ever();
    }).detach();
  }
  tell("waiting");
  return kStatus;
}
ACT(exits_in_a_host_function) {
  take_off(libcuda, false);
  expect_ok(CU(
      cuLaunchHostFunc, flying->stream, [](void*) { std::exit(kStatus); }, nullptr));
  wait_for_ever();
  return 0;
}
ACT(returns_with_a_host_function_running) {
  take_off(libcuda, false);
  static std::atomic<bool> entered;
  expect_ok(CU(
      cuLaunchHostFunc, flying->stream,
      [](void*) {
        entered = true;
        wait_for_ever();
      },
      nullptr));
  return comes_true([] { return entered.load(); }, kPatience) ? kStatus : 1;
}
ACT(calls_in_a_static_destructor) {
  take_off(libcuda);
  at_static_end.call = call_after_main;
  return kStatus;
}
ACT(calls_in_an_atexit_handler) {
  take_off(libcuda);
  std::atexit(call_after_main);
  return kStatus;
}
ACT(gives_back_in_a_static_destructor) {
  take_off(libcuda, false);
  at_static_end.call = give_back_after_main;
  return kStatus;
}
ACT(calls_in_a_thread_destructor) {
  take_off(libcuda);
  std::thread([] {
    driver().cuCtxSetCurrent(flying->context);
    at_thread_end.armed = true;
  }).join();
  return kStatus;
}
ACT(calls_in_the_main_threads_destructor) {
  take_off(libcuda);
  at_thread_end.armed = true;
  return kStatus;
}
ACT(ends_at_once) {
  take_off(libcuda);
  _exit(kStatus);
}
ACT(ends_quickly) {
  take_off(libcuda);
  std::quick_exit(kStatus);
}
ACT(initialises_and_returns) {
  std::string error;
  require(open_driver(libcuda, error), error);
  expect_ok(CU(cuInit, 0));
  return kStatus;
}

/// Several at a time: each start costs a real driver a good part of a second.
void expect_quiet_ends(std::initializer_list<const char*> acts) {
  std::vector<std::unique_ptr<Player>> players;
  for (const char* act : acts) players.push_back(std::make_unique<Player>(act));
  std::string complaints;
  size_t number = 0;
  for (const char* act : acts) {
    const Player::End end = players[number++]->end();
    if (end.how != "exit status " + std::to_string(kStatus) || !end.errors.empty())
      complaints += std::string(act) + ": " + end.how + " " + end.errors + "; ";
  }
  require(complaints.empty(), "quiet ends with status 7 (" + complaints + ")");
}

UNINITIALISED_CASE(exit_trap, from_main_and_other_threads) {
  expect_quiet_ends(
      {"initialises_and_returns", "returns_from_main", "exits_in_a_second_thread", "exits_while_others_wait"});
}
UNINITIALISED_CASE(exit_trap, with_host_functions) {
  expect_quiet_ends({"exits_in_a_host_function", "returns_with_a_host_function_running"});
}
UNINITIALISED_CASE(exit_trap, with_calls_after_main) {
  expect_quiet_ends(
      {"calls_in_a_static_destructor", "calls_in_an_atexit_handler", "gives_back_in_a_static_destructor"});
}
UNINITIALISED_CASE(exit_trap, with_calls_at_the_end_of_threads) {
  expect_quiet_ends({"calls_in_a_thread_destructor", "calls_in_the_main_threads_destructor"});
}
UNINITIALISED_CASE(exit_trap, without_ceremony) { expect_quiet_ends({"ends_at_once", "ends_quickly"}); }

}  // namespace
}  // namespace traps
