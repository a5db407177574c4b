#include "shim/nvml/start.hpp"

#include <dlfcn.h>

#include <atomic>
#include <climits>
#include <cstdio>
#include <cstring>

#include "common/api/cuda_types.hpp"
#include "shim/nvml/entry.hpp"

namespace vgpu::shim::nvml {
namespace {

constexpr const char* kCuda = "libcuda.so.1";

constinit std::atomic<unsigned> g_users{0};
constinit std::atomic<const Bridge*> g_bridge{nullptr};
constinit std::atomic<uint32_t> g_device_count{0};
constinit Once g_complained;

/// The program's, if it has one; else the one beside this library; else by its name.
void* open_cuda() {
  if (void* loaded = ::dlopen(kCuda, RTLD_NOW | RTLD_NOLOAD); loaded != nullptr) return loaded;
  Dl_info self{};
  char path[PATH_MAX];
  if (::dladdr(reinterpret_cast<void*>(&open_cuda), &self) != 0 && self.dli_fname != nullptr) {
    const char* slash = std::strrchr(self.dli_fname, '/');
    const int folder = slash == nullptr ? 0 : static_cast<int>(slash - self.dli_fname) + 1;
    const int length = std::snprintf(path, sizeof path, "%.*s%s", folder, self.dli_fname, kCuda);
    if (folder != 0 && length > 0 && static_cast<size_t>(length) < sizeof path)
      if (void* beside = ::dlopen(path, RTLD_NOW); beside != nullptr) return beside;
  }
  return ::dlopen(kCuda, RTLD_NOW);
}

/// Null, after one line, where there is no libcuda of ours.
const Bridge* find_bridge() {
  if (const Bridge* known = g_bridge.load(std::memory_order_acquire); known != nullptr) return known;
  void* library = open_cuda();
  if (library == nullptr) {
    if (g_complained.first()) say("no NVML: %s", ::dlerror());
    return nullptr;
  }
  using GetTable = cuda::CUresult (*)(const void**, const cuda::CUuuid*);
  const auto get_table = reinterpret_cast<GetTable>(::dlsym(library, "cuGetExportTable"));
  cuda::CUuuid id{};
  std::memcpy(id.bytes, kBridgeId, sizeof kBridgeId);
  const void* table = nullptr;
  if (get_table == nullptr || get_table(&table, &id) != cuda::CUDA_SUCCESS || table == nullptr) {
    if (g_complained.first())
      say("no NVML: the libcuda.so.1 of this program is not the vGPU's; put both libraries' folder first in its "
          "library "
          "path");
    return nullptr;
  }
  const auto* found = static_cast<const Bridge*>(table);
  if (found->size < sizeof(Bridge) || found->version != kBridgeVersion) {
    if (g_complained.first())
      say("no NVML: libcuda.so.1 and libnvidia-ml.so.1 are of different versions; install both from one package");
    return nullptr;
  }
  g_bridge.store(found, std::memory_order_release);
  return found;
}

}  // namespace

nvmlReturn_t result_of(int cuda_result) {
  switch (cuda_result) {
    case cuda::CUDA_SUCCESS:
      return NVML_SUCCESS;
    case cuda::CUDA_ERROR_INVALID_VALUE:
      return NVML_ERROR_INVALID_ARGUMENT;
    case cuda::CUDA_ERROR_OUT_OF_MEMORY:
      return NVML_ERROR_MEMORY;
    case cuda::CUDA_ERROR_NO_DEVICE:
    case cuda::CUDA_ERROR_NOT_INITIALIZED:
    case cuda::CUDA_ERROR_SYSTEM_NOT_READY:
      return NVML_ERROR_DRIVER_NOT_LOADED;
    case cuda::CUDA_ERROR_UNKNOWN:
      return NVML_ERROR_UNKNOWN;
    default:  // a sticky error, or the worker is gone
      return NVML_ERROR_GPU_IS_LOST;
  }
}

nvmlReturn_t initialize(unsigned flags) {
  if ((flags & ~(kInitNoGpus | kInitNoAttach)) != 0) return NVML_ERROR_INVALID_ARGUMENT;
  const Bridge* found = find_bridge();
  if (found == nullptr) return NVML_ERROR_LIBRARY_NOT_FOUND;
  uint32_t result = NVML_SUCCESS, count = 0;
  const int asked = found->open(&result, &count);
  const nvmlReturn_t started = asked == cuda::CUDA_SUCCESS ? static_cast<nvmlReturn_t>(result) : result_of(asked);
  if (started != NVML_SUCCESS) return started;
  g_device_count.store(count, std::memory_order_relaxed);
  g_users.fetch_add(1, std::memory_order_release);
  return NVML_SUCCESS;
}

nvmlReturn_t shutdown() {
  unsigned users = g_users.load(std::memory_order_relaxed);
  while (users != 0)
    if (g_users.compare_exchange_weak(users, users - 1, std::memory_order_relaxed)) return NVML_SUCCESS;
  return NVML_ERROR_UNINITIALIZED;
}

bool is_initialized() { return g_users.load(std::memory_order_acquire) != 0; }
const Bridge& bridge() { return *g_bridge.load(std::memory_order_acquire); }
unsigned device_count() { return g_device_count.load(std::memory_order_relaxed); }

nvmlReturn_t not_supported(const char* symbol, Once& once) {
  if (!is_initialized()) return NVML_ERROR_UNINITIALIZED;
  if (once.first()) say("%s is not supported (said once)", symbol);
  return NVML_ERROR_NOT_SUPPORTED;
}

}  // namespace vgpu::shim::nvml
