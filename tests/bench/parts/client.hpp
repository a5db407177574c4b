// SPDX-License-Identifier: Apache-2.0
// The program's side of the measurement: the shim's calls, with a context, a function and a stream.
#pragma once

#include <stdexcept>
#include <string>

#include "common/api/ops.gen.hpp"
#include "shim/client/context.hpp"
#include "shim/client/functions.hpp"

namespace bench {

/// Made by the first caller, in its thread; every later one gets the same.
class Client {
 public:
  static Client& instance();

  vgpu::cuda::CUresult launch() const { return launch_with_threads(32); }
  /// More threads than any block may have: refused after all that can be checked without the function's layout.
  vgpu::cuda::CUresult launch_refused() const { return launch_with_threads(4096); }
  void synchronise() const;
  vgpu::cuda::CUresult ask_limit() const;

  vgpu::cuda::CUfunction function() const { return function_; }
  vgpu::cuda::CUstream stream() const { return stream_; }
  uint64_t context_handle() const { return context_handle_; }
  /// What a launch's record carries.
  vgpu::api::ops::Launch record() const;
  /// Appends the record of a launch without the shim's own checks and counts.
  void post_record() const;
  /// The arguments of the launch.
  void** parameters() const { return parameters_; }

 private:
  Client();
  vgpu::cuda::CUresult launch_with_threads(unsigned threads) const;

  vgpu::cuda::CUfunction function_ = nullptr;
  vgpu::cuda::CUstream stream_ = nullptr;
  uint64_t context_handle_ = 0;
  uint32_t slot_ = 0;
  mutable uint64_t where_ = 0;
  mutable uint32_t value_ = 0, count_ = 0;
  mutable void* parameters_[3] = {&where_, &value_, &count_};
};

/// The packed arguments of the kernel `nothing`: a pointer and two numbers.
inline constexpr size_t kParameterBytes = 16;

inline void require(bool fact, const char* what) {
  if (!fact) throw std::runtime_error(what);
}

}  // namespace bench
