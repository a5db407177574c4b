#include "shim/client/parameter_block.hpp"

#include <cstring>

namespace vgpu::shim {

CUresult ParameterBlock::take_extra(void** extra) {
  const void* buffer = nullptr;
  const size_t* size = nullptr;
  // Two keys exist, so a well-formed list ends after at most two pairs; a longer one is garbage.
  for (unsigned pairs = 0; reinterpret_cast<uintptr_t>(*extra) != kLaunchParamEnd; extra += 2) {
    if (++pairs > 4) return CUDA_ERROR_INVALID_VALUE;
    switch (reinterpret_cast<uintptr_t>(*extra)) {
      case kLaunchParamBufferPointer:
        buffer = extra[1];
        break;
      case kLaunchParamBufferSize:
        size = static_cast<const size_t*>(extra[1]);
        break;
      default:
        return CUDA_ERROR_INVALID_VALUE;
    }
  }
  if (size == nullptr || *size > kMost || (buffer == nullptr && *size != 0)) return CUDA_ERROR_INVALID_VALUE;
  bytes_ = {static_cast<const uint8_t*>(buffer), *size};
  return CUDA_SUCCESS;
}

CUresult ParameterBlock::pack(const std::vector<Parameter>& layout, size_t total, void** parameters, void** extra) {
  if (extra != nullptr) return parameters != nullptr ? CUDA_ERROR_INVALID_VALUE : take_extra(extra);
  if (layout.empty()) return CUDA_SUCCESS;
  if (parameters == nullptr || total > kMost) return CUDA_ERROR_INVALID_VALUE;
  uint8_t* to = small_.data();
  if (total > small_.size()) {
    large_ = std::make_unique<uint8_t[]>(total);
    to = large_.get();
  }
  size_t filled = 0;
  for (size_t i = 0; i < layout.size(); ++i) {
    const Parameter& parameter = layout[i];
    // Gaps between parameters are padding of the kernel's; no bytes of our stack travel.
    if (parameter.offset > filled) std::memset(to + filled, 0, parameter.offset - filled);
    std::memcpy(to + parameter.offset, parameters[i], parameter.size);
    filled = static_cast<size_t>(parameter.offset) + parameter.size;
  }
  bytes_ = {to, total};
  return CUDA_SUCCESS;
}

}  // namespace vgpu::shim
