// cuGetProcAddress, answered from what this library exports.
#include <dlfcn.h>

#include <cstring>
#include <string>

#include "worker/sim/api/device_facts.hpp"
#include "worker/sim/api/entry.hpp"

using namespace vgpu::sim::api;

VGPU_SIM_EXPORT(cuGetProcAddress);
VGPU_SIM_EXPORT(cuGetProcAddress_v2);
VGPU_SIM_EXPORT(cuGetExportTable);

namespace {

/// This library's own symbols, whatever else the process has loaded.
void* own_symbol(const std::string& name) {
  static void* const self = [] {
    Dl_info info{};
    if (::dladdr(reinterpret_cast<void*>(&cuGetProcAddress_v2), &info) == 0) return static_cast<void*>(nullptr);
    return ::dlopen(info.dli_fname, RTLD_NOW | RTLD_NOLOAD);
  }();
  return self == nullptr ? nullptr : ::dlsym(self, name.c_str());
}

}  // namespace

CUresult cuGetProcAddress_v2(const char* name, void** out, int version, cuuint64_t flags,
                             CUdriverProcAddressQueryResult* status) {
  return guarded([&] {
    constexpr std::size_t longest_name = 128;
    if (name == nullptr || out == nullptr || flags > CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM ||
        version > facts::driver_version)
      return CUDA_ERROR_INVALID_VALUE;
    *out = nullptr;
    if (::strnlen(name, longest_name) < longest_name && std::strncmp(name, "cu", 2) == 0) {
      // The newest variant: the older ones differ only where no current program asks for them.
      const std::string base = name;
      for (const char* suffix : {"_v3", "_v2", ""}) {
        if (*out == nullptr) *out = own_symbol(base + suffix);
      }
      if (base == "cuGetProcAddress" && version < 12000) *out = reinterpret_cast<void*>(&cuGetProcAddress);
      // In 13.0 these gained a context argument under the same base name.
      if (version < 13000 && (base == "cuCtxGetDevice" || base == "cuCtxSynchronize")) *out = own_symbol(base);
    }
    if (status != nullptr)
      *status = *out != nullptr ? CU_GET_PROC_ADDRESS_SUCCESS : CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND;
    return CUDA_SUCCESS;
  });
}

// The older form has no place for the status, and an error in its stead.
CUresult cuGetProcAddress(const char* name, void** out, int version, cuuint64_t flags) {
  CUdriverProcAddressQueryResult status = CU_GET_PROC_ADDRESS_SUCCESS;
  const CUresult result = cuGetProcAddress_v2(name, out, version, flags, &status);
  return result == CUDA_SUCCESS && status != CU_GET_PROC_ADDRESS_SUCCESS ? CUDA_ERROR_NOT_FOUND : result;
}

// There are no undocumented tables here.
CUresult cuGetExportTable(const void** table, const CUuuid*) {
  if (table != nullptr) *table = nullptr;
  return CUDA_ERROR_INVALID_VALUE;
}
