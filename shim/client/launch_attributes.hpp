// Attributes of a launch as they travel: repeated {u32 id, u32 0, 64 bytes of value}.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>

#include "common/api/cuda_types.hpp"
#include "common/wire/reader.hpp"

namespace vgpu::shim {

using namespace vgpu::cuda;

class LaunchAttributes {
 public:
  static constexpr size_t kEncoded = 72;
  static constexpr size_t kMost = 28;               // what the operation carries
  static constexpr size_t kInline = 10 * kEncoded;  // what fits into a record's inline part beside the rest

  // The buffer stays uninitialised: most launches have no attribute.
  LaunchAttributes() {}

  CUresult add_all(const CUlaunchAttribute* attributes, unsigned count) {
    if (count != 0 && attributes == nullptr) return CUDA_ERROR_INVALID_VALUE;
    for (unsigned i = 0; i < count; ++i) {
      const CUresult result = add(attributes[i]);
      if (result != CUDA_SUCCESS) return result;
    }
    return CUDA_SUCCESS;
  }

  void add_cooperative() {
    CUlaunchAttribute attribute{.id = CU_LAUNCH_ATTRIBUTE_COOPERATIVE};
    attribute.value.bytes[0] = 1;
    static_cast<void>(add(attribute));
  }

  bool cooperative() const { return cooperative_; }
  wire::Bytes encoded() const { return {buffer_.data(), size_}; }

  /// A grid consists of whole clusters.
  CUresult check_cluster(const std::array<unsigned, 3>& grid) const {
    for (unsigned i = 0; i < 3; ++i) {
      if (cluster_[i] != 0 && grid[i] % cluster_[i] != 0) return CUDA_ERROR_INVALID_VALUE;
    }
    return CUDA_SUCCESS;
  }

 private:
  CUresult add(const CUlaunchAttribute& attribute) {
    if (attribute.id == CU_LAUNCH_ATTRIBUTE_IGNORE) return CUDA_SUCCESS;
    // It answers with a handle of the device's own.
    if (attribute.id == CU_LAUNCH_ATTRIBUTE_DEVICE_UPDATABLE_KERNEL_NODE) return CUDA_ERROR_NOT_SUPPORTED;
    if (size_ == buffer_.size()) return CUDA_ERROR_INVALID_VALUE;
    if (attribute.id == CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION)
      std::memcpy(cluster_.data(), attribute.value.bytes, sizeof cluster_);
    if (attribute.id == CU_LAUNCH_ATTRIBUTE_COOPERATIVE) cooperative_ = attribute.value.bytes[0] != 0;
    const uint32_t head[2] = {attribute.id, 0};
    std::memcpy(buffer_.data() + size_, head, sizeof head);
    std::memcpy(buffer_.data() + size_ + sizeof head, attribute.value.bytes, sizeof attribute.value.bytes);
    size_ += kEncoded;
    return CUDA_SUCCESS;
  }

  size_t size_ = 0;
  bool cooperative_ = false;
  std::array<unsigned, 3> cluster_{};
  std::array<uint8_t, kMost * kEncoded> buffer_;
};

}  // namespace vgpu::shim
