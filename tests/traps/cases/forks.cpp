// SPDX-License-Identifier: Apache-2.0
// Programs that fork: a child of a process that uses CUDA may not use it, may end as it likes and may become another
// program; its parent goes on unharmed.
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>

#include "tests/conformance/harness/driver.hpp"
#include "tests/conformance/harness/registry.hpp"
#include "tests/traps/support/act.hpp"
#include "tests/traps/support/crew.hpp"

namespace traps {
namespace {

constexpr unsigned kChildSeconds = 15;

enum class Leaves { by_underscore_exit, by_exit };

/// Runs the body in a forked child and waits for its end, which must come and be good.
void in_child(const char* where, const std::function<void()>& body, Leaves leaves = Leaves::by_underscore_exit) {
  std::fflush(nullptr);
  const pid_t child = fork();
  require(child >= 0, "fork");
  if (child == 0) {
    alarm(kChildSeconds);
    signal(SIGALRM, SIG_DFL);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    end_with_all_that_is_held();
    int status = 0;
    try {
      body();
    } catch (const std::exception& thrown) {
      std::fprintf(stderr, "child forked %s: %s\n", where, thrown.what());
      status = 1;
    }
    if (leaves == Leaves::by_exit) std::exit(status);
    _exit(status);
  }
  int status = 0;
  stands_at(where);
  wait_until([&] { return waitpid(child, &status, WNOHANG) == child; }, "the end of a forked child");
  require(WIFEXITED(status) && WEXITSTATUS(status) == 0,
          std::string("the child forked ") + where + " ends well (" +
              (WIFSIGNALED(status) ? std::string("killed by ") + strsignal(WTERMSIG(status)) : "it failed") + ")");
}

/// What a child of a process that has initialised CUDA hears.
void expect_nothing_works() {
  CUdeviceptr address = 0;
  CUcontext context = nullptr;
  CUstream stream = nullptr;
  void* pinned = nullptr;
  expect(CU(cuInit, 0), CUDA_ERROR_NOT_INITIALIZED);
  expect(CU(cuMemAlloc_v2, &address, 64), CUDA_ERROR_NOT_INITIALIZED);
  expect(CU(cuMemHostAlloc, &pinned, 64, 0), CUDA_ERROR_NOT_INITIALIZED);
  expect(CU(cuCtxSynchronize), CUDA_ERROR_NOT_INITIALIZED);
  expect(CU(cuStreamCreate, &stream, 0), CUDA_ERROR_NOT_INITIALIZED);
  expect(CU(cuDevicePrimaryCtxRetain, &context, 0), CUDA_ERROR_NOT_INITIALIZED);
}

/// A program of its own, in place of the child.
[[noreturn]] void become_another_program() {
  auto command = command_of("computes_once", {});
  std::vector<char*> arguments;
  for (auto& word : command) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  execv("/proc/self/exe", arguments.data());
  _exit(9);
}

ACT(computes_once) {
  return play(
      libcuda,
      [](const std::vector<std::string>&) {
        const Context context;
        const Module module;
        const DeviceMemory word(4);
        word.write_word(41);
        launch(module.function("increment"), {}, {}, nullptr, word.at());
        expect_equal(word.word(), 42U, "the word");
      },
      words);
}

/// What the parent does to see that it is unharmed.
class Parent {
 public:
  Parent() { word_.write_word(0); }
  CUstream stream() const { return stream_; }
  const Module& module() const { return module_; }
  void check(Where where = Where::current()) {
    launch(increment_, {}, {}, stream_, word_.at());
    stream_.synchronize();
    expect_equal(word_.word(), ++count_, "the parent's word", where);
  }

 private:
  const Module module_;
  const Stream stream_;
  const DeviceMemory word_{4};
  const CUfunction increment_ = module_.function("increment");
  uint32_t count_ = 0;
};

UNINITIALISED_CASE(fork_trap, before_anything) {
  in_child("before anything", become_another_program);
  in_child("before anything", [] {
    expect_ok(CU(cuInit, 0));
    const Context context;
    Parent().check();
  });
  expect_ok(CU(cuInit, 0));
  const Context context;
  Parent().check();
}

// Asking for the version initialises nothing: a child may still do that, and so may its parent.
UNINITIALISED_CASE(fork_trap, after_asking_for_the_version) {
  int version = 0;
  expect_ok(CU(cuDriverGetVersion, &version));
  in_child("after cuDriverGetVersion", [] {
    expect_ok(CU(cuInit, 0));
    const Context context;
    Parent().check();
  });
  expect_ok(CU(cuInit, 0));
  const Context context;
  Parent().check();
}

OWN_PROCESS_CASE(fork_trap, after_initialisation) {
  in_child("after cuInit", expect_nothing_works);
  in_child("after cuInit", become_another_program);
  in_child(
      "after cuInit", [] {}, Leaves::by_exit);
  const Context context;
  Parent().check();
}

CASE(fork_trap, with_a_context) {
  const Context context;
  Parent parent;
  parent.check();
  in_child("with a context", expect_nothing_works);
  parent.check();
  in_child("with a context", expect_nothing_works, Leaves::by_exit);
  parent.check();
  in_child("with a context", become_another_program);
  parent.check();
}

CASE(fork_trap, with_work_in_flight) {
  const Context context;
  Parent parent;
  const PinnedMemory memory(1 << 20);
  Spinner spinner(parent.module());
  spinner.start(parent.stream());
  in_child("with work in flight", expect_nothing_works);
  in_child("with work in flight", expect_nothing_works, Leaves::by_exit);
  in_child("with work in flight", become_another_program);
  spinner.require_not_expired();
  spinner.release();
  parent.check();
}

CASE(fork_trap, in_a_capture) {
  const Context context;
  Parent parent;
  const Stream stream;
  const DeviceMemory word(4);
  word.write_word(0);
  expect_ok(CU(cuStreamBeginCapture_v2, stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
  launch(parent.module().function("increment"), {}, {}, stream, word.at());
  in_child("in a capture", expect_nothing_works);
  in_child(
      "in a capture", [] {}, Leaves::by_exit);
  CUgraph made = nullptr;
  expect_ok(CU(cuStreamEndCapture, stream, &made));
  const Graph graph(made);
  const GraphExec exec(graph);
  expect_ok(CU(cuGraphLaunch, exec.get(), stream));
  stream.synchronize();
  expect_equal(word.word(), 1U, "the word that the graph increments");
  parent.check();
}

CASE(fork_trap, with_a_host_function_pending) {
  const Context context;
  Parent parent;
  Spinner spinner(parent.module());
  static std::atomic<int> calls;
  calls = 0;
  spinner.start(parent.stream());
  expect_ok(CU(
      cuLaunchHostFunc, parent.stream(), [](void*) { ++calls; }, nullptr));
  in_child("with a host function pending", [] {
    expect_nothing_works();
    expect_equal(calls.load(), 0, "the calls in the child");
  });
  in_child(
      "with a host function pending", [] {}, Leaves::by_exit);
  spinner.release();
  parent.check();
  spinner.require_not_expired();
  expect_equal(calls.load(), 1, "the calls in the parent");
}

// Whatever locks other threads hold at the moment of the fork, the child does not wait for them.
CASE(fork_trap, while_other_threads_are_busy) {
  const Context context;
  Parent parent;
  std::atomic<bool> done{false};
  Crew crew;
  for (int t = 0; t < 3; ++t) {
    crew.add(context, "busy", [&] {
      const Stream stream;
      while (!done) {
        stands_at("working beside forks");
        const PinnedMemory pinned(4096);
        const DeviceMemory memory(4096);
        const Event event;
        expect_ok(CU(cuMemcpyHtoDAsync_v2, memory.at(), pinned.get(), 4096, stream));
        expect_ok(CU(cuEventRecord, event, stream));
        expect_ok(CU(cuEventSynchronize, event));
        CUcontext same = nullptr;
        expect_ok(CU(cuDevicePrimaryCtxRetain, &same, 0));
        expect_ok(CU(cuDevicePrimaryCtxRelease_v2, 0));
      }
    });
  }
  // Forked by threads that end in the child as well, with what belongs to them.
  for (int i = 0; i < 40; ++i) {
    on_other_thread([&] {
      expect_ok(CU(cuCtxSetCurrent, context.get()));
      launch(parent.module().function("noop"), {}, {}, CU_STREAM_PER_THREAD);
      in_child("while others are busy", [&] {
        expect_nothing_works();
        void* pinned = reinterpret_cast<void*>(0x1000);
        CUdeviceptr device = 0x1000;
        CUcontext current = nullptr;
        // Nothing is said of what these answer, only that they do.
        driver().cuMemFreeHost(pinned);
        driver().cuMemFree_v2(device);
        driver().cuPointerGetAttribute(&current, CU_POINTER_ATTRIBUTE_CONTEXT, device);
        driver().cuCtxGetCurrent(&current);
        driver().cuCtxSetCurrent(nullptr);
        driver().cuStreamDestroy_v2(parent.stream());
        driver().cuStreamSynchronize(parent.stream());
        driver().cuLaunchHostFunc(
            parent.stream(), [](void*) {}, nullptr);
        driver().cuModuleUnload(parent.module().get());
        driver().cuDevicePrimaryCtxRelease_v2(0);
        driver().cuDevicePrimaryCtxReset_v2(0);
        driver().cuMemHostUnregister(pinned);
        driver().cuStreamEndCapture(parent.stream(), nullptr);
        driver().cuCtxPopCurrent_v2(&current);
      });
    });
  }
  done = true;
  crew.join();
  parent.check();
}

}  // namespace
}  // namespace traps
