// Answers that never change, kept until the process ends. A list that only grows: no lock, so a fork at any moment
// leaves it whole.
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/api/nvml_types.hpp"

namespace vgpu::shim::nvml {

using namespace ::vgpu::nvml;

/// What was asked: of which device, with which arguments.
struct Asked {
  uint32_t question;
  uint32_t device;
  const uint8_t* arguments;
  size_t size;
};

struct Kept {
  nvmlReturn_t result;
  const uint8_t* answer;
  size_t size;
};

/// False if it was not asked before.
bool find_kept(const Asked& asked, Kept& kept);
/// Without memory for it the question is asked again next time.
void keep(const Asked& asked, const Kept& answer);

}  // namespace vgpu::shim::nvml
