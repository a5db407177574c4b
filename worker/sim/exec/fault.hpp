// How a kernel ends badly: the CUDA error that becomes the context's, and a sentence for the log.
#pragma once

#include <string>

namespace vgpu::sim::exec {

enum class FaultCode : int {
  none = 0,
  illegal_address = 700,
  assertion = 710,
  stack = 714,
  illegal_instruction = 715,
  misaligned = 716,
  invalid_address_space = 717,
  invalid_pc = 718,
  launch_failed = 719,
};

struct Fault {
  FaultCode code = FaultCode::none;
  std::string text;
};

}  // namespace vgpu::sim::exec
