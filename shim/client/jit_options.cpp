#include "shim/client/jit_options.hpp"

#include <algorithm>
#include <cstring>

#include "shim/client/diagnostics.hpp"

namespace vgpu::shim {
namespace {

// More would not fit into a record's inline part; there are 35 in all.
constexpr unsigned kMaxJitOptions = 35;
constexpr unsigned kMaxLibraryOptions = 8;
/// The longest log we carry; a longer buffer of the program stays partly unused.
constexpr uint64_t kMaxLog = 1u << 20;

/// Options that are numbers and concern the compiler: these travel. Others point into the program, or are about
/// linking.
bool travels(CUjit_option option) {
  switch (option) {
    case CU_JIT_MAX_REGISTERS:
    case CU_JIT_THREADS_PER_BLOCK:
    case CU_JIT_OPTIMIZATION_LEVEL:
    case CU_JIT_GENERATE_DEBUG_INFO:
    case CU_JIT_LOG_VERBOSE:
    case CU_JIT_GENERATE_LINE_INFO:
    case CU_JIT_CACHE_MODE:
    case 8:  // target from the context
    case CU_JIT_TARGET:
    case 10:  // fallback strategy
      return true;
    default:
      return false;
  }
}

/// Accepted without effect: about link-time optimisation, or internal.
bool has_no_effect(CUjit_option option) { return option == 15 || option == 16 || (option >= 20 && option <= 24); }

void append(std::vector<uint8_t>& to, uint32_t option, uint64_t value) {
  uint8_t triple[16] = {};
  std::memcpy(triple, &option, sizeof option);
  std::memcpy(triple + 8, &value, sizeof value);
  to.insert(to.end(), triple, triple + sizeof triple);
}

}  // namespace

CUresult JitOptions::read(unsigned count, const CUjit_option* options, void** values) {
  if (count == 0) return CUDA_SUCCESS;
  if (count > kMaxJitOptions || options == nullptr || values == nullptr) {
    if (debug_enabled())
      say("%u JIT options at %p with values at %p", count, static_cast<const void*>(options),
          static_cast<void*>(values));
    return CUDA_ERROR_INVALID_VALUE;
  }
  for (unsigned i = 0; i < count; ++i) {
    const auto number = reinterpret_cast<uint64_t>(values[i]);
    switch (options[i]) {
      case CU_JIT_WALL_TIME:
        wall_time_value_ = &values[i];
        break;
      case CU_JIT_INFO_LOG_BUFFER:
        info_.buffer = static_cast<char*>(values[i]);
        break;
      case CU_JIT_ERROR_LOG_BUFFER:
        error_.buffer = static_cast<char*>(values[i]);
        break;
      case CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES:
        info_.size = static_cast<uint32_t>(std::min(number & UINT32_MAX, kMaxLog));
        info_.size_value = &values[i];
        break;
      case CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES:
        error_.size = static_cast<uint32_t>(std::min(number & UINT32_MAX, kMaxLog));
        error_.size_value = &values[i];
        break;
      default:
        if (options[i] >= CU_JIT_NUM_OPTIONS) return CUDA_ERROR_INVALID_VALUE;
        if (!travels(options[i]) && !has_no_effect(options[i])) return CUDA_ERROR_NOT_SUPPORTED;
        if (travels(options[i])) append(encoded_, options[i], number);
    }
  }
  if (info_.buffer == nullptr) info_.size = 0;
  if (error_.buffer == nullptr) error_.size = 0;
  return CUDA_SUCCESS;
}

void JitOptions::hand_over(const Log& log, const uint8_t* from, uint32_t used) {
  used = std::min(used, log.size);
  if (log.size != 0) {
    std::memcpy(log.buffer, from, used);
    log.buffer[used < log.size ? used : log.size - 1] = '\0';
  }
  if (log.size_value != nullptr) *log.size_value = reinterpret_cast<void*>(static_cast<uintptr_t>(used));
}

void JitOptions::finish(const uint8_t* logs, uint32_t info_used, uint32_t error_used, float wall_time) const {
  hand_over(info_, logs, info_used);
  hand_over(error_, logs != nullptr ? logs + info_.size : nullptr, error_used);
  if (wall_time_value_ != nullptr) std::memcpy(wall_time_value_, &wall_time, sizeof wall_time);
}

CUresult encode_library_options(unsigned count, const CUlibraryOption* options, void** values,
                                std::vector<uint8_t>& encoded) {
  if (count == 0) return CUDA_SUCCESS;
  // cuBLASLt hands over options without values.
  if (count > kMaxLibraryOptions || options == nullptr) return CUDA_ERROR_INVALID_VALUE;
  for (unsigned i = 0; i < count; ++i) {
    // The table of host functions is the program's own business; the driver does not need it.
    if (options[i] == CU_LIBRARY_HOST_UNIVERSAL_FUNCTION_AND_DATA_TABLE) continue;
    if (options[i] != CU_LIBRARY_BINARY_IS_PRESERVED) {
      if (debug_enabled()) say("library option %u is none that is known", options[i]);
      return CUDA_ERROR_INVALID_VALUE;
    }
    append(encoded, options[i], values != nullptr && values[i] != nullptr ? 1 : 0);
  }
  return CUDA_SUCCESS;
}

}  // namespace vgpu::shim
