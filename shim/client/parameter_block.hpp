// The arguments of a launch, packed as the kernel expects them.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "shim/client/functions.hpp"

namespace vgpu::shim {

class ParameterBlock {
 public:
  /// The largest block a kernel may have.
  static constexpr size_t kMost = 32764;

  // The buffer stays uninitialised: it is filled as far as it is used.
  ParameterBlock() {}

  /// From one pointer per parameter, or from `extra`, which is packed already (and then is not copied). Both at once is
  /// an error of the program.
  CUresult pack(const std::vector<Parameter>& layout, size_t total, void** parameters, void** extra);
  std::span<const uint8_t> bytes() const { return bytes_; }

 private:
  CUresult take_extra(void** extra);

  std::span<const uint8_t> bytes_;
  std::unique_ptr<uint8_t[]> large_;
  std::array<uint8_t, 4096> small_;
};

}  // namespace vgpu::shim
