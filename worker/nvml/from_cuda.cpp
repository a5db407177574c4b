#include "worker/nvml/from_cuda.hpp"

#include <cstdio>
#include <cstring>

namespace vgpu::worker::nvml {
namespace {

constinit const cuda::DriverTable* g_driver = nullptr;

/// A device's handle is its number in the driver, from 1: never null, and never followed.
nvmlDevice_t handle_of(unsigned index) { return reinterpret_cast<nvmlDevice_t>(static_cast<uintptr_t>(index) + 1); }
int driver_device(nvmlDevice_t handle) { return static_cast<int>(reinterpret_cast<uintptr_t>(handle) - 1); }

nvmlReturn_t result_of(cuda::CUresult result) {
  return result == cuda::CUDA_SUCCESS ? NVML_SUCCESS : NVML_ERROR_UNKNOWN;
}

nvmlReturn_t attribute(nvmlDevice_t device, unsigned number, int& value) {
  return result_of(g_driver->cuDeviceGetAttribute(&value, number, driver_device(device)));
}

nvmlReturn_t put(char* to, unsigned size, const char* text) {
  if (std::strlen(text) >= size) return NVML_ERROR_INSUFFICIENT_SIZE;
  std::snprintf(to, size, "%s", text);
  return NVML_SUCCESS;
}

nvmlReturn_t init() { return NVML_SUCCESS; }

nvmlReturn_t get_count(unsigned* count) {
  int known = 0;
  const nvmlReturn_t result = result_of(g_driver->cuDeviceGetCount(&known));
  *count = known < 0 ? 0 : static_cast<unsigned>(known);
  return result;
}

nvmlReturn_t get_handle(unsigned index, nvmlDevice_t* device) {
  *device = handle_of(index);
  return NVML_SUCCESS;
}

/// The kernel module's own word.
nvmlReturn_t get_driver_version(char* version, unsigned length) {
  char text[80] = {};
  std::FILE* file = std::fopen("/sys/module/nvidia/version", "re");
  if (file == nullptr) return NVML_ERROR_NOT_SUPPORTED;
  const bool was_read = std::fscanf(file, "%79s", text) == 1;
  std::fclose(file);
  return was_read ? put(version, length, text) : NVML_ERROR_NOT_SUPPORTED;
}

nvmlReturn_t get_simulated_version(char* version, unsigned length) {
  int number = 0;
  if (const nvmlReturn_t result = result_of(g_driver->cuDriverGetVersion(&number)); result != NVML_SUCCESS)
    return result;
  // What a driver of that age is called.
  return put(version, length, number >= 13000 ? "580.00" : number >= 12000 ? "525.00" : "450.00");
}

nvmlReturn_t get_nvml_version(char* version, unsigned length) { return put(version, length, "13.580.00"); }

nvmlReturn_t get_name(nvmlDevice_t device, char* name, unsigned length) {
  char text[256] = {};
  const nvmlReturn_t result = result_of(g_driver->cuDeviceGetName(text, sizeof text - 1, driver_device(device)));
  return result == NVML_SUCCESS ? put(name, length, text) : result;
}

nvmlReturn_t get_uuid(nvmlDevice_t device, char* uuid, unsigned length) {
  cuda::CUuuid id{};
  const auto ask = g_driver->cuDeviceGetUuid_v2 != nullptr ? g_driver->cuDeviceGetUuid_v2 : g_driver->cuDeviceGetUuid;
  if (const nvmlReturn_t result = result_of(ask(&id, driver_device(device))); result != NVML_SUCCESS) return result;
  char text[kUuidText] = "GPU-";
  size_t at = 4;
  for (size_t i = 0; i < sizeof id.bytes; ++i) {
    const char* dash = i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "";
    at += static_cast<size_t>(
        std::snprintf(text + at, sizeof text - at, "%s%02x", dash, static_cast<unsigned char>(id.bytes[i])));
  }
  return put(uuid, length, text);
}

nvmlReturn_t get_pci(nvmlDevice_t device, nvmlPciInfo_t* pci) {
  int domain = 0, bus = 0, number = 0;
  nvmlReturn_t result = attribute(device, cuda::CU_DEVICE_ATTRIBUTE_PCI_DOMAIN_ID, domain);
  if (result == NVML_SUCCESS) result = attribute(device, cuda::CU_DEVICE_ATTRIBUTE_PCI_BUS_ID, bus);
  if (result == NVML_SUCCESS) result = attribute(device, cuda::CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID, number);
  if (result != NVML_SUCCESS) return result;
  pci->domain = static_cast<unsigned>(domain);
  pci->bus = static_cast<unsigned>(bus);
  pci->device = static_cast<unsigned>(number);
  std::snprintf(pci->busIdLegacy, sizeof pci->busIdLegacy, "%04X:%02X:%02X.0", pci->domain, pci->bus, pci->device);
  std::snprintf(pci->busId, sizeof pci->busId, "%08X:%02X:%02X.0", pci->domain, pci->bus, pci->device);
  return NVML_SUCCESS;
}

nvmlReturn_t get_pci_ext(nvmlDevice_t device, nvmlPciInfoExt_v1_t* pci) {
  nvmlPciInfo_t known{};
  const nvmlReturn_t result = get_pci(device, &known);
  pci->domain = known.domain;
  pci->bus = known.bus;
  pci->device = known.device;
  pci->baseClass = 0x3;  // a display controller: 3D
  pci->subClass = 0x2;
  std::memcpy(pci->busId, known.busId, sizeof pci->busId);
  return result;
}

nvmlReturn_t get_capability(nvmlDevice_t device, int* major, int* minor) {
  const nvmlReturn_t result = attribute(device, cuda::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, *major);
  return result != NVML_SUCCESS ? result
                                : attribute(device, cuda::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, *minor);
}

/// As NVML numbers them: 7 Ampere, 8 Ada, 9 Hopper, 10 Blackwell.
nvmlReturn_t get_architecture(nvmlDevice_t device, nvmlDeviceArchitecture_t* architecture) {
  int major = 0, minor = 0;
  const nvmlReturn_t result = get_capability(device, &major, &minor);
  *architecture = major >= 9 ? static_cast<unsigned>(major) : major == 8 ? (minor == 9 ? 8 : 7) : ~0u;
  return result;
}

/// Of the device whose context is current; without one this client has allocated nothing, and others' memory is not
/// known.
bool ask_free_memory(nvmlDevice_t device, size_t& free) {
  cuda::CUdevice current = -1;
  size_t all = 0;
  return g_driver->cuCtxGetDevice != nullptr && g_driver->cuCtxGetDevice(&current) == cuda::CUDA_SUCCESS &&
         current == driver_device(device) && g_driver->cuMemGetInfo_v2(&free, &all) == cuda::CUDA_SUCCESS;
}

nvmlReturn_t get_memory(nvmlDevice_t device, nvmlMemory_t* memory) {
  size_t total = 0, free = 0;
  const nvmlReturn_t result = result_of(g_driver->cuDeviceTotalMem_v2(&total, driver_device(device)));
  if (!ask_free_memory(device, free) || free > total) free = total;
  *memory = {total, free, total - free};
  return result;
}

nvmlReturn_t get_memory_v2(nvmlDevice_t device, nvmlMemory_v2_t* memory) {
  nvmlMemory_t known{};
  const nvmlReturn_t result = get_memory(device, &known);
  *memory = {memory->version, known.total, 0, known.free, known.used};
  return result;
}

/// A processor's time, which is no GPU's.
nvmlReturn_t get_utilization(nvmlDevice_t, nvmlUtilization_t* utilization) {
  *utilization = {0, 0};
  return NVML_SUCCESS;
}

template <unsigned Attribute>
nvmlReturn_t get_number(nvmlDevice_t device, unsigned* number) {
  int value = 0;
  const nvmlReturn_t result = attribute(device, Attribute, value);
  *number = static_cast<unsigned>(value);
  return result;
}

/// Graphics, SM, memory, video. The driver says kilohertz.
nvmlReturn_t get_clock(nvmlDevice_t device, nvmlClockType_t type, unsigned* clock) {
  constexpr nvmlClockType_t kMemory = 2;
  int value = 0;
  const nvmlReturn_t result = attribute(
      device, type == kMemory ? cuda::CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE : cuda::CU_DEVICE_ATTRIBUTE_CLOCK_RATE,
      value);
  *clock = static_cast<unsigned>(value) / 1000;
  return result;
}

template <unsigned Value>
nvmlReturn_t get_constant(nvmlDevice_t, unsigned* value) {
  *value = Value;
  return NVML_SUCCESS;
}

}  // namespace

void use_cuda(Functions& functions, const cuda::DriverTable& driver) {
  g_driver = &driver;
  for_each_function(functions, [](const char*, void** slot) { *slot = nullptr; });
  functions.nvmlInit_v2 = &init;
  functions.nvmlDeviceGetCount_v2 = &get_count;
  functions.nvmlDeviceGetHandleByIndex_v2 = &get_handle;
  functions.nvmlSystemGetDriverVersion = &get_driver_version;
  functions.nvmlDeviceGetName = &get_name;
  functions.nvmlDeviceGetUUID = &get_uuid;
  functions.nvmlDeviceGetPciInfo_v3 = &get_pci;
  functions.nvmlDeviceGetPciInfoExt = &get_pci_ext;
  functions.nvmlDeviceGetCudaComputeCapability = &get_capability;
  functions.nvmlDeviceGetArchitecture = &get_architecture;
  functions.nvmlDeviceGetMemoryInfo = &get_memory;
  functions.nvmlDeviceGetMemoryInfo_v2 = &get_memory_v2;
  functions.nvmlDeviceGetMemoryBusWidth = &get_number<cuda::CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH>;
  functions.nvmlDeviceGetMaxClockInfo = &get_clock;
  functions.nvmlDeviceGetBrand = &get_constant<0>;  // unknown
}

void add_simulated(Functions& functions) {
  functions.nvmlSystemGetDriverVersion = &get_simulated_version;
  functions.nvmlSystemGetNVMLVersion = &get_nvml_version;
  functions.nvmlDeviceGetUtilizationRates = &get_utilization;
  functions.nvmlDeviceGetClockInfo = &get_clock;
  functions.nvmlDeviceGetMultiGpuBoard = &get_constant<0>;
  functions.nvmlDeviceGetComputeMode = &get_constant<0>;  // shared by processes
  functions.nvmlDeviceGetPersistenceMode = &get_constant<1>;
  functions.nvmlDeviceGetPerformanceState = &get_constant<0>;
}

}  // namespace vgpu::worker::nvml
