// A link in the making: PTX texts that become one, which the module loader takes. Names that two of them define for
// themselves alone are not told apart.
#pragma once

#include <cstddef>
#include <mutex>
#include <string>

#include "common/api/cuda_types.hpp"

namespace vgpu::sim::device {

/// A log in memory of the program, which lends it as long as the link lives.
struct ProgramLog {
  char* buffer = nullptr;
  std::size_t room = 0;
  void** used = nullptr;  ///< where its length goes
  std::string text;

  void add(const std::string& line);
};

struct PtxLink {
  std::mutex mutex;  ///< guards what follows
  ProgramLog info, error;
  std::string text;
  bool complete = false;
};

}  // namespace vgpu::sim::device
