#include "worker/nvml/library.hpp"

#include <dlfcn.h>
#include <fmt/format.h>
#include <unistd.h>

#include <vector>

#include "worker/nvml/from_cuda.hpp"

namespace vgpu::worker::nvml {
namespace {

constexpr const char* kName = "libnvidia-ml.so.1";
constexpr unsigned kMoreProcesses = 16;  // that may begin between the count and the list

}  // namespace

nvmlReturn_t Library::open() {
  if (is_tried_) return opened_;
  is_tried_ = true;
  if (!driver_->is_software) opened_ = open_real();
  if (opened_ == NVML_SUCCESS) return opened_;
  use_cuda(functions_, driver_->functions);
  if (driver_->is_software) add_simulated(functions_);
  return opened_ = initialise();
}

nvmlReturn_t Library::open_real() {
  void* handle = ::dlopen(kName, RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    complaint_ = fmt::format("cannot open {}: {}; NVML says no more than CUDA knows", kName, ::dlerror());
    return NVML_ERROR_LIBRARY_NOT_FOUND;
  }
  for_each_function(functions_, [handle](const char* symbol, void** slot) { *slot = ::dlsym(handle, symbol); });
  const nvmlReturn_t result = initialise();
  if (result != NVML_SUCCESS)
    complaint_ =
        fmt::format("{} does not start: error {}; NVML says no more than CUDA knows", kName, static_cast<int>(result));
  return result;
}

nvmlReturn_t Library::initialise() {
  if (functions_.nvmlInit_v2 == nullptr || functions_.nvmlDeviceGetCount_v2 == nullptr ||
      functions_.nvmlDeviceGetHandleByIndex_v2 == nullptr)
    return NVML_ERROR_FUNCTION_NOT_FOUND;
  if (const nvmlReturn_t result = functions_.nvmlInit_v2(); result != NVML_SUCCESS) return result;
  return functions_.nvmlDeviceGetCount_v2(&device_count_);
}

bool Library::device(uint32_t index, nvmlDevice_t& handle) const {
  return index < device_count_ && functions_.nvmlDeviceGetHandleByIndex_v2(index, &handle) == NVML_SUCCESS;
}

bool Library::is_same(nvmlDevice_t handle, int driver_device) const {
  nvmlPciInfo_t pci{};
  if (functions_.nvmlDeviceGetPciInfo_v3 == nullptr) return false;
  if (functions_.nvmlDeviceGetPciInfo_v3(handle, &pci) != NVML_SUCCESS) return false;
  const auto has = [&](unsigned attribute, unsigned wanted) {
    int value = 0;
    return driver_->functions.cuDeviceGetAttribute(&value, attribute, driver_device) == cuda::CUDA_SUCCESS &&
           static_cast<unsigned>(value) == wanted;
  };
  return has(cuda::CU_DEVICE_ATTRIBUTE_PCI_DOMAIN_ID, pci.domain) &&
         has(cuda::CU_DEVICE_ATTRIBUTE_PCI_BUS_ID, pci.bus) && has(cuda::CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID, pci.device);
}

uint64_t Library::own_memory(nvmlDevice_t handle, uint64_t allocated) const {
  const auto list = functions_.nvmlDeviceGetComputeRunningProcesses_v3;
  unsigned count = 0;
  if (list != nullptr && list(handle, &count, nullptr) == NVML_ERROR_INSUFFICIENT_SIZE) {
    std::vector<nvmlProcessInfo_v2_t> processes(count += kMoreProcesses);
    if (list(handle, &count, processes.data()) != NVML_SUCCESS) count = 0;
    for (unsigned i = 0; i < count && i < processes.size(); ++i)
      if (processes[i].pid == static_cast<unsigned>(::getpid())) return processes[i].usedGpuMemory;
  }
  // In a namespace of its own this process has another number than the driver knows it by.
  return allocated;
}

}  // namespace vgpu::worker::nvml
