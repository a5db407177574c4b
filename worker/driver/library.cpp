#include "worker/driver/library.hpp"

#include <dlfcn.h>
#include <fmt/format.h>
#include <limits.h>
#include <unistd.h>

#include <filesystem>

namespace vgpu::worker {
namespace {

constexpr const char* kSoftwareGpu = "libvgpu-simcuda.so.1";

bool nvidia_device_exists() {
  std::error_code ignored;
  return std::filesystem::exists("/dev/nvidiactl", ignored) ||
         std::filesystem::exists("/proc/driver/nvidia", ignored) || std::filesystem::exists("/dev/dxg", ignored);
}

/// The software GPU lies beside the program: in the build tree ../lib, in a bundle ../lib, or in the same folder.
std::string software_gpu_path() {
  char self[PATH_MAX];
  const ssize_t length = ::readlink("/proc/self/exe", self, sizeof self - 1);
  if (length <= 0) return kSoftwareGpu;
  const auto folder = std::filesystem::path(std::string(self, static_cast<size_t>(length))).parent_path();
  for (const auto& candidate : {folder.parent_path() / "lib" / kSoftwareGpu, folder / kSoftwareGpu}) {
    std::error_code ignored;
    if (std::filesystem::exists(candidate, ignored)) return candidate.string();
  }
  return kSoftwareGpu;
}

}  // namespace

base::Result<DriverLibrary> open_driver(const std::string& driver) {
  DriverLibrary library;
  library.is_software = driver == "sim" || (driver == "auto" && !nvidia_device_exists());
  library.path = library.is_software                      ? software_gpu_path()
                 : driver == "nvidia" || driver == "auto" ? "libcuda.so.1"
                                                          : driver;
  void* handle = ::dlopen(library.path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    return base::Error{0, fmt::format("cannot open the CUDA driver {} (driver = \"{}\"): {}; install the NVIDIA "
                                      "driver, or set driver = \"sim\" for the software GPU",
                                      library.path, driver, ::dlerror())};
  }
  cuda::for_each_function(library.functions,
                          [handle](const char* symbol, void** slot) { *slot = ::dlsym(handle, symbol); });
  if (library.functions.cuInit == nullptr || library.functions.cuDriverGetVersion == nullptr) {
    return base::Error{0, fmt::format("{} is not a CUDA driver: it has no cuInit", library.path)};
  }
  return library;
}

}  // namespace vgpu::worker
