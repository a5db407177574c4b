// The software GPU as a program sees it: the shared library, opened at run time, with a context.
#pragma once

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "common/api/driver.gen.hpp"

namespace vgpu::sim::test {

using namespace vgpu::cuda;

/// The functions of the library; opened once.
const DriverTable& driver();

/// A fresh ordinary context, current on this thread, destroyed at the end.
class DriverContext {
 public:
  DriverContext();
  DriverContext(const DriverContext&) = delete;
  DriverContext& operator=(const DriverContext&) = delete;
  ~DriverContext();

  CUcontext handle = nullptr;
};

/// PTX of the kernels that the tests use.
extern const char* const test_kernels;

/// A module loaded from `test_kernels`, and its functions.
class TestModule {
 public:
  TestModule();
  CUfunction function(const char* name) const;

 private:
  CUmodule module_ = nullptr;
};

/// Memory that kernels and the program both see.
class PinnedWords {
 public:
  explicit PinnedWords(std::size_t count);
  PinnedWords(const PinnedWords&) = delete;
  PinnedWords& operator=(const PinnedWords&) = delete;

  unsigned load(std::size_t i) const { return __atomic_load_n(words_ + i, __ATOMIC_ACQUIRE); }
  void store(std::size_t i, unsigned value) { __atomic_store_n(words_ + i, value, __ATOMIC_RELEASE); }
  CUdeviceptr address(std::size_t i = 0) const { return reinterpret_cast<CUdeviceptr>(words_ + i); }
  unsigned* data() { return words_; }

 private:
  unsigned* words_ = nullptr;
};

/// A kernel that runs until its word is set, and sets it at the end of its life at the latest.
class Spin {
 public:
  Spin(const TestModule& module, CUstream stream);
  Spin(const Spin&) = delete;
  Spin& operator=(const Spin&) = delete;
  ~Spin() { release(); }
  void release() { words_.store(0, 1); }
  /// Waits until the kernel runs.
  void await_start() const;

 private:
  PinnedWords words_{2};
};

/// Launches one thread (or `threads`) with the arguments.
template <typename... Arguments>
CUresult launch(CUfunction function, CUstream stream, unsigned blocks, unsigned threads, Arguments... arguments) {
  void* parameters[] = {&arguments..., nullptr};
  return driver().cuLaunchKernel(function, blocks, 1, 1, threads, 1, 1, 0, stream,
                                 sizeof...(arguments) == 0 ? nullptr : parameters, nullptr);
}

CUstream new_stream(unsigned flags = CU_STREAM_NON_BLOCKING);
CUdeviceptr allocate(std::size_t bytes);

}  // namespace vgpu::sim::test
