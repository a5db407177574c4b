// What every exported entry needs.
#pragma once

#include "common/api/cuda_types.hpp"

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

/// CUDA_ERROR_NOT_SUPPORTED, and one line on standard error the first time `symbol` is called.
int not_supported(const char* symbol);

}  // namespace vgpu::shim
