// Options of module and library loading as CUDA passes them (parallel arrays, numbers dressed as pointers), and how
// they travel.
#pragma once

#include <cstdint>
#include <vector>

#include "common/api/cuda_types.hpp"
#include "common/wire/reader.hpp"

namespace vgpu::shim {

using namespace vgpu::cuda;

class JitOptions {
 public:
  /// INVALID_VALUE for arrays that make no sense, NOT_SUPPORTED for options that point into the program.
  CUresult read(unsigned count, const CUjit_option* options, void** values);

  /// What travels: repeated {u32 option, u32 0, u64 value}.
  wire::Bytes encoded() const { return {encoded_.data(), encoded_.size()}; }
  /// Room that the worker may fill: first the info log, then the error log.
  uint32_t info_log_size() const { return info_.size; }
  uint32_t error_log_size() const { return error_.size; }

  /// Hands the results to the program: its log buffers, the used sizes and the time in the array of values.
  void finish(const uint8_t* logs, uint32_t info_used, uint32_t error_used, float wall_time) const;

 private:
  struct Log {
    char* buffer = nullptr;
    uint32_t size = 0;
    void** size_value = nullptr;
  };
  static void hand_over(const Log& log, const uint8_t* from, uint32_t used);

  Log info_, error_;
  void** wall_time_value_ = nullptr;
  std::vector<uint8_t> encoded_;
};

/// Library options that concern the host: repeated {u32 option, u32 0, u64 value}.
CUresult encode_library_options(unsigned count, const CUlibraryOption* options, void** values,
                                std::vector<uint8_t>& encoded);

}  // namespace vgpu::shim
