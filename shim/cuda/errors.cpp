// cuGetErrorName and cuGetErrorString: from the table, at any time, also before cuInit.
#include <algorithm>
#include <iterator>

#include "shim/cuda/calls.gen.hpp"

namespace vgpu::shim::calls {
namespace {

struct ErrorText {
  int code;
  const char* name;
  const char* text;
};

// Ordered by code.
constexpr ErrorText kErrors[] = {
#include "common/api/errors.gen.inc"
};

const ErrorText* find(CUresult error) {
  const int code = static_cast<int>(error);
  const auto* found = std::lower_bound(std::begin(kErrors), std::end(kErrors), code,
                                       [](const ErrorText& row, int wanted) { return row.code < wanted; });
  return found != std::end(kErrors) && found->code == code ? found : nullptr;
}

CUresult answer(CUresult error, const char** to, const char* ErrorText::*member) {
  if (to == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const ErrorText* found = find(error);
  *to = found != nullptr ? found->*member : nullptr;
  return found != nullptr ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

}  // namespace

CUresult cuGetErrorName(CUresult error, const char** pStr) { return answer(error, pStr, &ErrorText::name); }
CUresult cuGetErrorString(CUresult error, const char** pStr) { return answer(error, pStr, &ErrorText::text); }

}  // namespace vgpu::shim::calls
