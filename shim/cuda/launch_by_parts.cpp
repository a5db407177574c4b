// Launches as they were before cuLaunchKernel: block, shared memory and parameters are set on the function, one by one,
// and the launch takes what is there.
#include <array>
#include <cstring>
#include <map>
#include <mutex>
#include <vector>

#include "shim/client/functions.hpp"
#include "shim/client/parameter_block.hpp"
#include "shim/client/request.hpp"
#include "shim/cuda/calls.gen.hpp"

namespace vgpu::shim::calls {
namespace {

struct Parts {
  std::array<unsigned, 3> block{1, 1, 1};
  unsigned shared_bytes = 0;
  std::vector<uint8_t> parameters;  // as far as they were written
  unsigned size = 0;                // that the kernel gets
};

constinit std::mutex g_mutex;
/// Never destroyed: calls may come after static destructors. Handles come back with another generation only, so parts
/// of a function that is gone are never another's.
std::map<CUfunction, Parts>& all_parts() {
  static auto* const all = new std::map<CUfunction, Parts>;
  return *all;
}

template <typename Change>
CUresult change(CUfunction function, Change change) {
  const Request probe(api::Op::launch, true);
  if (probe.refusal() != CUDA_SUCCESS) return probe.refusal();
  if (functions::find(function) == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  const std::lock_guard lock(g_mutex);
  return change(all_parts()[function]);
}

CUresult set_parameter(CUfunction function, int offset, const void* value, unsigned size) {
  return change(function, [&](Parts& parts) {
    if (value == nullptr || offset < 0 || size > ParameterBlock::kMost) return CUDA_ERROR_INVALID_VALUE;
    const size_t end = static_cast<size_t>(offset) + size;
    if (end > ParameterBlock::kMost) return CUDA_ERROR_INVALID_VALUE;
    if (parts.parameters.size() < end) parts.parameters.resize(end);
    std::memcpy(parts.parameters.data() + offset, value, size);
    return CUDA_SUCCESS;
  });
}

CUresult launch_parts(CUfunction function, int width, int height, CUstream stream) {
  Parts parts;
  const CUresult taken = change(function, [&](const Parts& set) {
    parts = set;
    return CUDA_SUCCESS;
  });
  if (taken != CUDA_SUCCESS) return taken;
  if (width <= 0 || height <= 0) return CUDA_ERROR_INVALID_VALUE;
  parts.parameters.resize(parts.size);
  size_t size = parts.size;
  void* extra[] = {reinterpret_cast<void*>(kLaunchParamBufferPointer), parts.parameters.data(),
                   reinterpret_cast<void*>(kLaunchParamBufferSize), &size, reinterpret_cast<void*>(kLaunchParamEnd)};
  return cuLaunchKernel(function, static_cast<unsigned>(width), static_cast<unsigned>(height), 1, parts.block[0],
                        parts.block[1], parts.block[2], parts.shared_bytes, stream, nullptr,
                        size != 0 ? extra : nullptr);
}

}  // namespace

CUresult cuFuncSetBlockShape(CUfunction hfunc, int x, int y, int z) {
  return change(hfunc, [&](Parts& parts) {
    if (x <= 0 || y <= 0 || z <= 0) return CUDA_ERROR_INVALID_VALUE;
    parts.block = {static_cast<unsigned>(x), static_cast<unsigned>(y), static_cast<unsigned>(z)};
    return CUDA_SUCCESS;
  });
}
CUresult cuFuncSetSharedSize(CUfunction hfunc, unsigned bytes) {
  return change(hfunc, [&](Parts& parts) {
    parts.shared_bytes = bytes;
    return CUDA_SUCCESS;
  });
}

CUresult cuParamSetSize(CUfunction hfunc, unsigned numbytes) {
  return change(hfunc, [&](Parts& parts) {
    if (numbytes > ParameterBlock::kMost) return CUDA_ERROR_INVALID_VALUE;
    parts.size = numbytes;
    return CUDA_SUCCESS;
  });
}
CUresult cuParamSeti(CUfunction hfunc, int offset, unsigned value) {
  return set_parameter(hfunc, offset, &value, sizeof value);
}
CUresult cuParamSetf(CUfunction hfunc, int offset, float value) {
  return set_parameter(hfunc, offset, &value, sizeof value);
}
CUresult cuParamSetv(CUfunction hfunc, int offset, void* ptr, unsigned numbytes) {
  return set_parameter(hfunc, offset, ptr, numbytes);
}

CUresult cuLaunch(CUfunction f) { return launch_parts(f, 1, 1, nullptr); }
CUresult cuLaunchGrid(CUfunction f, int grid_width, int grid_height) {
  return launch_parts(f, grid_width, grid_height, nullptr);
}
CUresult cuLaunchGridAsync(CUfunction f, int grid_width, int grid_height, CUstream hStream) {
  return launch_parts(f, grid_width, grid_height, hStream);
}

}  // namespace vgpu::shim::calls
