// What every exported entry needs.
#pragma once

#include "common/api/cuda_types.hpp"
#include "shim/client/diagnostics.hpp"

#define VGPU_ENTRY extern "C" __attribute__((visibility("default")))

namespace vgpu::shim {

/// While it lives, stream 0 means the calling thread's own default stream (the entry was a _ptsz or _ptds variant).
class PerThreadDefaultStream {
 public:
  PerThreadDefaultStream();
  ~PerThreadDefaultStream();
  PerThreadDefaultStream(const PerThreadDefaultStream&) = delete;
  PerThreadDefaultStream& operator=(const PerThreadDefaultStream&) = delete;

  static bool active();

 private:
  bool before_;
};

/// With VGPU_LOG=debug, one line per call that fails.
void tell_failure(const char* symbol, cuda::CUresult result);
inline cuda::CUresult told(const char* symbol, cuda::CUresult result) {
  if (result != cuda::CUDA_SUCCESS && result != cuda::CUDA_ERROR_NOT_READY) [[unlikely]]
    tell_failure(symbol, result);
  return result;
}

/// A function that is not supported, and why, in words for its user.
struct Refusal {
  const char* symbol;
  const char* why;
  Once said{};
};
/// CUDA_ERROR_NOT_SUPPORTED; one line on standard error the first time. Takes no lock: a forked child may call it.
int refuse(Refusal& refusal);

}  // namespace vgpu::shim
