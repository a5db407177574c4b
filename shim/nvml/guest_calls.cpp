// What the guest answers by itself: start and end, counts, and where it must agree with the guest rather than with the
// host.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "shim/nvml/calls.gen.hpp"
#include "shim/nvml/devices.hpp"
#include "shim/nvml/start.hpp"

namespace vgpu::shim::nvml::calls {
namespace {

nvmlReturn_t give(unsigned* to, unsigned value) {
  if (to == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  *to = value;
  return NVML_SUCCESS;
}

nvmlReturn_t give_for(nvmlDevice_t device, unsigned* to, unsigned value) {
  unsigned index = 0;
  return index_of(device, index) ? give(to, value) : NVML_ERROR_INVALID_ARGUMENT;
}

constexpr unsigned char kFabricNotSupported = 0;

/// As CUDA's attributes say: nothing of the host's fabric reaches a guest.
template <typename Info>
nvmlReturn_t give_no_fabric(nvmlDevice_t device, Info* info) {
  unsigned index = 0;
  if (!index_of(device, index) || info == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  Info none{};
  if constexpr (requires { info->version; }) none.version = info->version;
  none.status = NVML_SUCCESS;
  none.state = kFabricNotSupported;
  *info = none;
  return NVML_SUCCESS;
}

// nvidia-smi asks for this one and calls nothing of it: known of an open-source library that gives it as many nulls.
constexpr unsigned char kTableOfSmi[16] = {0xc4, 0xfe, 0x3e, 0x6c, 0xc9, 0x8f, 0x6c, 0x4e,
                                           0xa3, 0x27, 0xee, 0x69, 0x6e, 0x12, 0xf7, 0xc4};
constexpr const void* kNulls[512] = {};

}  // namespace

nvmlReturn_t nvmlInternalGetExportTable(const void** table, const void* id) {
  if (table == nullptr || id == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  const bool is_known = std::memcmp(id, kTableOfSmi, sizeof kTableOfSmi) == 0;
  *table = is_known ? static_cast<const void*>(kNulls) : nullptr;
  return is_known ? NVML_SUCCESS : NVML_ERROR_NOT_SUPPORTED;
}

nvmlReturn_t nvmlInit() { return initialize(0); }
nvmlReturn_t nvmlInit_v2() { return initialize(0); }
nvmlReturn_t nvmlInitWithFlags(unsigned flags) { return initialize(flags); }
nvmlReturn_t nvmlShutdown() { return shutdown(); }

nvmlReturn_t nvmlSystemGetCudaDriverVersion(int* cudaDriverVersion) {
  if (cudaDriverVersion == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  *cudaDriverVersion = bridge().driver_version();
  return NVML_SUCCESS;
}

nvmlReturn_t nvmlSystemGetCudaDriverVersion_v2(int* cudaDriverVersion) {
  return nvmlSystemGetCudaDriverVersion(cudaDriverVersion);
}

// Processes are the guest's. A longer name is cut, as natively.
nvmlReturn_t nvmlSystemGetProcessName(unsigned pid, char* name, unsigned length) {
  if (name == nullptr || length == 0) return NVML_ERROR_INVALID_ARGUMENT;
  char path[32];
  std::snprintf(path, sizeof path, "/proc/%u/cmdline", pid);
  const int file = ::open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return NVML_ERROR_NOT_FOUND;
  char line[1024];
  const ssize_t size = ::read(file, line, sizeof line - 1);
  ::close(file);
  if (size <= 0) return NVML_ERROR_NOT_FOUND;
  line[size] = '\0';
  std::snprintf(name, length, "%s", line);
  return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetCount(unsigned* deviceCount) { return give(deviceCount, device_count()); }
nvmlReturn_t nvmlDeviceGetCount_v2(unsigned* deviceCount) { return give(deviceCount, device_count()); }

nvmlReturn_t nvmlDeviceGetIndex(nvmlDevice_t device, unsigned* index) {
  unsigned known = 0;
  return index_of(device, known) ? give(index, known) : NVML_ERROR_INVALID_ARGUMENT;
}

// There is no /dev/nvidiaN in a guest; the host's number is none of its business.
nvmlReturn_t nvmlDeviceGetMinorNumber(nvmlDevice_t device, unsigned* minorNumber) {
  return nvmlDeviceGetIndex(device, minorNumber);
}

nvmlReturn_t nvmlDeviceGetGpuFabricInfo(nvmlDevice_t device, nvmlGpuFabricInfo_t* gpuFabricInfo) {
  return give_no_fabric(device, gpuFabricInfo);
}

nvmlReturn_t nvmlDeviceGetGpuFabricInfoV(nvmlDevice_t device, nvmlGpuFabricInfo_v3_t* gpuFabricInfo) {
  if (gpuFabricInfo == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  if (gpuFabricInfo->version == versioned<nvmlGpuFabricInfo_v3_t>(3)) return give_no_fabric(device, gpuFabricInfo);
  if (gpuFabricInfo->version == versioned<nvmlGpuFabricInfo_v2_t>(2))
    return give_no_fabric(device, reinterpret_cast<nvmlGpuFabricInfo_v2_t*>(gpuFabricInfo));
  return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
}

nvmlReturn_t nvmlDeviceIsMigDeviceHandle(nvmlDevice_t device, unsigned* isMigDevice) {
  return give_for(device, isMigDevice, 0);
}

nvmlReturn_t nvmlDeviceGetMigDeviceHandleByIndex(nvmlDevice_t device, unsigned, nvmlDevice_t* migDevice) {
  unsigned index = 0;
  const bool is_right = index_of(device, index) && migDevice != nullptr;
  return is_right ? NVML_ERROR_NOT_FOUND : NVML_ERROR_INVALID_ARGUMENT;
}

nvmlReturn_t nvmlUnitGetCount(unsigned* unitCount) { return give(unitCount, 0); }
nvmlReturn_t nvmlGetExcludedDeviceCount(unsigned* deviceCount) { return give(deviceCount, 0); }
nvmlReturn_t nvmlGetBlacklistDeviceCount(unsigned* deviceCount) { return give(deviceCount, 0); }

}  // namespace vgpu::shim::nvml::calls
