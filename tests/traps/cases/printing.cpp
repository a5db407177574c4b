// SPDX-License-Identifier: Apache-2.0
// What kernels print: on the right stream of the program before the call that waits for them returns, and all of it.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>

#include "tests/conformance/harness/registry.hpp"
#include "tests/traps/support/crew.hpp"

namespace traps {
namespace {

/// Catches one of the two standard streams while it lives.
class Caught {
 public:
  explicit Caught(int descriptor)
      : descriptor_(descriptor), saved_(dup(descriptor)), file_(memfd_create("caught", MFD_CLOEXEC)) {
    std::fflush(nullptr);
    require(saved_ >= 0 && file_ >= 0 && dup2(file_, descriptor_) == descriptor_, "a standard stream can be caught");
  }
  Caught(const Caught&) = delete;
  Caught& operator=(const Caught&) = delete;
  ~Caught() {
    std::fflush(nullptr);
    dup2(saved_, descriptor_);
    close(saved_);
    close(file_);
  }
  /// All that was written so far. The C library's buffer counts as written: the program's own output goes through it.
  std::string text() const {
    std::fflush(nullptr);
    std::string all(static_cast<size_t>(lseek(file_, 0, SEEK_END)), '\0');
    const ssize_t got = pread(file_, all.data(), all.size(), 0);
    all.resize(got > 0 ? static_cast<size_t>(got) : 0);
    return all;
  }

 private:
  const int descriptor_, saved_, file_;
};

size_t count_lines(const std::string& text, const std::string& line) {
  size_t count = 0;
  for (size_t at = text.find(line); at != std::string::npos; at = text.find(line, at + line.size())) ++count;
  return count;
}

CASE(printing, arrives_before_each_call_that_waits_returns) {
  const Context context;
  const Module module(kPrinting);
  const Stream stream;
  const Event event;
  const CUfunction print = module.function("print");
  const std::function<void()> waits[] = {
      [&] { stream.synchronize(); }, [] { expect_ok(CU(cuCtxSynchronize)); },
      [&] {
        expect_ok(CU(cuEventRecord, event, stream));
        expect_ok(CU(cuEventSynchronize, event));
      },
      // Not in asking: with cuStreamQuery alone nothing had come on an H200 with driver 580.
  };
  for (size_t way = 0; way < std::size(waits); ++way) {
    std::string text;
    {
      const Caught out(STDOUT_FILENO), err(STDERR_FILENO);
      std::puts("before");
      std::fflush(stdout);
      launch(print, {}, {3}, stream);
      stands_at("waiting for a kernel that prints");
      waits[way]();
      text = out.text();
      require(err.text().empty(), "nothing goes to standard error (" + err.text() + ")");
    }
    expect_equal(text.size(), std::strlen("before\n") + 3 * std::strlen("thread 0 of 3\n"),
                 "the length of what was printed, way " + std::to_string(way));
    require(text.rfind("before\n", 0) == 0, "the program's own text comes first");
    for (const char* line : {"thread 0 of 3\n", "thread 1 of 3\n", "thread 2 of 3\n"})
      expect_equal(count_lines(text, line), size_t{1}, line);
  }
}

CASE(printing, more_than_any_ring_in_parts) {
  const Context context;
  const Module module(kPrinting);
  const Stream stream;
  const CUfunction print = module.function("print");
  constexpr unsigned kBlocks = 48, kThreads = 256, kLaunches = 12;
  std::string text;
  {
    const Caught out(STDOUT_FILENO);
    for (unsigned i = 0; i < kLaunches; ++i) {
      launch(print, {kBlocks}, {kThreads}, stream);
      stands_at("waiting for a kernel that prints much");
      stream.synchronize();
    }
    text = out.text();
  }
  observe(std::to_string(text.size()) + " bytes");
  for (const unsigned thread : {0U, 1U, 100U, 255U})
    expect_equal(count_lines(text, "thread " + std::to_string(thread) + " of 256\n"), size_t{kBlocks * kLaunches},
                 "lines of thread " + std::to_string(thread));
}

OWN_PROCESS_CASE(printing, more_than_the_buffer_at_once) {
  const Context context;
  const Module module(kPrinting);
  const Stream stream;
  const CUfunction print = module.function("print");
  expect_ok(CU(cuCtxSetLimit, CU_LIMIT_PRINTF_FIFO_SIZE, 1 << 20));
  std::string text, after;
  {
    const Caught out(STDOUT_FILENO), err(STDERR_FILENO);  // a simulator may say there that it dropped some
    launch(print, {1000}, {256}, stream);
    stands_at("waiting for a kernel that prints more than the buffer holds");
    stream.synchronize();
    text = out.text();
    launch(print, {}, {2}, stream);
    stream.synchronize();
    after = out.text().substr(text.size());
  }
  const size_t lines = count_lines(text, "\n");
  observe(std::to_string(lines) + " of 256000 lines");
  require(lines > 0 && lines < 256'000, "some of it is lost, not all");
  size_t whole = 0;
  for (unsigned thread = 0; thread < 256; ++thread)
    whole += count_lines(text, "thread " + std::to_string(thread) + " of 256\n");
  expect_equal(whole, lines, "whole lines");
  require(after.find("thread 1 of 2\n") != std::string::npos, "later text arrives again");
}

// One wait at the end of many launches, which are complete by then.
CASE(printing, of_many_launches_before_one_wait) {
  const Context context;
  const Module module(kPrinting);
  const Stream stream;
  const CUfunction print = module.function("print");
  const Event end;
  constexpr size_t kLaunches = 640;
  for (const bool by_context : {false, true}) {
    std::string text;
    {
      const Caught out(STDOUT_FILENO);
      for (size_t i = 0; i < kLaunches; ++i) launch(print, {}, {2}, stream);
      expect_ok(CU(cuEventRecord, end, stream));
      wait_until([&] { return driver().cuEventQuery(end) == CUDA_SUCCESS; }, "the last launch");
      stands_at("waiting once for much that was printed");
      if (by_context) {
        expect_ok(CU(cuCtxSynchronize));
      } else {
        stream.synchronize();
      }
      text = out.text();
    }
    expect_equal(count_lines(text, "thread 1 of 2\n"), kLaunches, "the lines that were printed");
  }
}

OWN_PROCESS_CASE(printing, an_assertion) {
  const Context context;
  const Module module(kPrinting);
  const Stream stream;
  std::string out_text, err_text;
  CUresult result = CUDA_SUCCESS;
  {
    const Caught out(STDOUT_FILENO), err(STDERR_FILENO);
    launch(module.function("fail_assertion"), {}, {}, stream);
    stands_at("waiting for a kernel whose assertion fails");
    result = driver().cuStreamSynchronize(stream);
    out_text = out.text(), err_text = err.text();
  }
  expect(Outcome{"cuStreamSynchronize", result}, CUDA_ERROR_ASSERT);
  require(
      err_text.find("here:42: it: block: [0,0,0], thread: [0,0,0] Assertion `broken` failed.\n") != std::string::npos,
      "the text of the assertion is on standard error (" + err_text + ")");
  require(out_text.empty(), "nothing is on standard output (" + out_text + ")");
  expect(CU(cuCtxSynchronize), CUDA_ERROR_ASSERT);
  CUdeviceptr address = 0;
  expect(CU(cuMemAlloc_v2, &address, 64), CUDA_ERROR_ASSERT);
}

}  // namespace
}  // namespace traps
