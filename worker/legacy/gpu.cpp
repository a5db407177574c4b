#include "worker/legacy/gpu.hpp"

#include <fmt/format.h>

namespace vgpu::worker::legacy {
namespace {

constexpr const char* kKernel = R"(
.version 7.0
.target sm_70
.address_size 64

.visible .entry vgpu_legacy_add(.param .u64 sum, .param .u32 left, .param .u32 right)
{
  .reg .u64 %where;
  .reg .u32 %left, %right;

  ld.param.u64 %where, [sum];
  ld.param.u32 %left, [left];
  ld.param.u32 %right, [right];
  cvta.to.global.u64 %where, %where;
  add.u32 %left, %left, %right;
  st.global.u32 [%where], %left;
  ret;
}
)";

}  // namespace

base::Result<void> Gpu::check(CUresult result, const char* call) const {
  if (result == CUDA_SUCCESS) return {};
  const char* name = nullptr;
  if (library_ && library_->functions.cuGetErrorName != nullptr) library_->functions.cuGetErrorName(result, &name);
  return base::Error{static_cast<int>(result), fmt::format("{} of the host's driver failed: {}", call,
                                                           name ? name : std::to_string(static_cast<int>(result)))};
}

base::Result<void> Gpu::open() {
  if (library_) return {};
  auto library = open_driver(driver_);
  if (!library) return library.error();
  const auto& driver = library->functions;
  if (auto done = check(driver.cuInit(0), "cuInit"); !done) return done;
  if (auto done = check(driver.cuDeviceGet(&device_, 0), "cuDeviceGet"); !done) return done;
  library_.emplace(std::move(*library));
  return {};
}

base::Result<void> Gpu::make_ready() {
  if (auto done = open(); !done) return done;
  if (sum_ != 0) return {};
  const auto& driver = library_->functions;
  CUmodule module = nullptr;
  if (auto done = check(driver.cuDevicePrimaryCtxRetain(&context_, device_), "cuDevicePrimaryCtxRetain"); !done)
    return done;
  if (auto done = check(driver.cuCtxSetCurrent(context_), "cuCtxSetCurrent"); !done) return done;
  if (auto done = check(driver.cuModuleLoadData(&module, kKernel), "cuModuleLoadData"); !done) return done;
  if (auto done = check(driver.cuModuleGetFunction(&kernel_, module, "vgpu_legacy_add"), "cuModuleGetFunction"); !done)
    return done;
  return check(driver.cuMemAlloc_v2(&sum_, sizeof(uint32_t)), "cuMemAlloc");
}

base::Result<uint32_t> Gpu::add(uint32_t left, uint32_t right) {
  if (auto done = make_ready(); !done) return done.error();
  const auto& driver = library_->functions;
  void* parameters[] = {&sum_, &left, &right};
  const auto launched = driver.cuLaunchKernel(kernel_, 1, 1, 1, 1, 1, 1, 0, nullptr, parameters, nullptr);
  if (auto done = check(launched, "cuLaunchKernel"); !done) return done.error();
  uint32_t sum = 0;
  if (auto done = check(driver.cuMemcpyDtoH_v2(&sum, sum_, sizeof sum), "cuMemcpyDtoH"); !done) return done.error();
  return sum;
}

base::Result<Response> Gpu::information() {
  if (auto done = open(); !done) return done.error();
  const auto& driver = library_->functions;
  int devices = 0, version = 0;
  size_t memory = 0;
  char name[128] = {};
  if (auto done = check(driver.cuDeviceGetCount(&devices), "cuDeviceGetCount"); !done) return done.error();
  if (auto done = check(driver.cuDriverGetVersion(&version), "cuDriverGetVersion"); !done) return done.error();
  if (auto done = check(driver.cuDeviceTotalMem_v2(&memory, device_), "cuDeviceTotalMem"); !done) return done.error();
  if (auto done = check(driver.cuDeviceGetName(name, sizeof name - 1, device_), "cuDeviceGetName"); !done)
    return done.error();
  const auto attribute = [&](CUdevice_attribute which) {
    int value = 0;
    driver.cuDeviceGetAttribute(&value, which, device_);  // 0 where the driver does not know it
    return static_cast<uint32_t>(value);
  };
  Response response;
  response.results.resize(VGPU_LEGACY_INFO_COUNT);
  auto& results = response.results;
  results[VGPU_LEGACY_INFO_DEVICES] = static_cast<uint32_t>(devices);
  results[VGPU_LEGACY_INFO_DRIVER_VERSION] = static_cast<uint32_t>(version);
  results[VGPU_LEGACY_INFO_MAJOR] = attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR);
  results[VGPU_LEGACY_INFO_MINOR] = attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
  results[VGPU_LEGACY_INFO_MEMORY_MIB] = static_cast<uint32_t>(memory >> 20);
  results[VGPU_LEGACY_INFO_MULTIPROCESSORS] = attribute(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
  results[VGPU_LEGACY_INFO_CLOCK_KHZ] = attribute(CU_DEVICE_ATTRIBUTE_CLOCK_RATE);
  results[VGPU_LEGACY_INFO_IS_SOFTWARE] = library_->is_software ? 1 : 0;
  response.data = response.text = name;
  return response;
}

}  // namespace vgpu::worker::legacy
