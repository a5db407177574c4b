#include <mutex>
#include <set>

#include "shim/client/diagnostics.hpp"
#include "shim/cuda/entry.hpp"

namespace vgpu::shim {
namespace {
constinit std::mutex g_mutex;
}

void tell_failure(const char* symbol, cuda::CUresult result) {
  if (debug_enabled()) say("%s gives %d", symbol, static_cast<int>(result));
}

int not_supported(const char* symbol) {
  static auto* const said = new std::set<const char*>;  // literals: one address per symbol
  {
    const std::lock_guard lock(g_mutex);
    if (!said->insert(symbol).second) return cuda::CUDA_ERROR_NOT_SUPPORTED;
  }
  say("%s is not supported (said once)", symbol);
  return cuda::CUDA_ERROR_NOT_SUPPORTED;
}

}  // namespace vgpu::shim
