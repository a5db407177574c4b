// Initialisation and the device.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "worker/sim/api/device_facts.hpp"
#include "worker/sim/api/entry.hpp"
#include "worker/sim/device/visible_devices.hpp"

using namespace vgpu::sim::api;
using vgpu::sim::device::bus_of;
using vgpu::sim::device::uuid_of;

VGPU_SIM_EXPORT(cuInit);
VGPU_SIM_EXPORT(cuDriverGetVersion);
VGPU_SIM_EXPORT(cuDeviceGet);
VGPU_SIM_EXPORT(cuDeviceGetCount);
VGPU_SIM_EXPORT(cuDeviceGetName);
VGPU_SIM_EXPORT(cuDeviceGetUuid);
VGPU_SIM_EXPORT(cuDeviceGetUuid_v2);
VGPU_SIM_EXPORT(cuDeviceGetLuid);
VGPU_SIM_EXPORT(cuDeviceTotalMem);
VGPU_SIM_EXPORT(cuDeviceTotalMem_v2);
VGPU_SIM_EXPORT(cuDeviceGetAttribute);
VGPU_SIM_EXPORT(cuDeviceGetProperties);
VGPU_SIM_EXPORT(cuDeviceComputeCapability);
VGPU_SIM_EXPORT(cuDeviceGetPCIBusId);
VGPU_SIM_EXPORT(cuDeviceGetByPCIBusId);
VGPU_SIM_EXPORT(cuDeviceCanAccessPeer);
VGPU_SIM_EXPORT(cuDeviceGetP2PAttribute);
VGPU_SIM_EXPORT(cuGetErrorName);
VGPU_SIM_EXPORT(cuGetErrorString);
VGPU_SIM_EXPORT(cuModuleGetLoadingMode);
VGPU_SIM_EXPORT(cuProfilerStart);
VGPU_SIM_EXPORT(cuProfilerStop);

namespace {

struct ErrorText {
  int code;
  const char* name;
  const char* text;
};
constexpr ErrorText errors[] = {
#include "common/api/errors.gen.inc"
};

const ErrorText* find_error(int code) {
  const auto found =
      std::find_if(std::begin(errors), std::end(errors), [&](const ErrorText& error) { return error.code == code; });
  return found == std::end(errors) ? nullptr : found;
}

/// Checks what all device queries check, then runs `body`.
template <typename Body>
CUresult of_device(CUdevice device, Body body) {
  if (const CUresult result = check_callable(); result != CUDA_SUCCESS) return result;
  if (!Simulator::get().has(device)) return CUDA_ERROR_INVALID_DEVICE;
  return body();
}

unsigned index_of(CUdevice device) { return Simulator::get().devices[static_cast<std::size_t>(device)]->index; }

CUresult copy_text(char* out, int length, const char* text) {
  if (out == nullptr || length <= 0) return CUDA_ERROR_INVALID_VALUE;
  std::snprintf(out, static_cast<std::size_t>(length), "%s", text);
  return CUDA_SUCCESS;
}

}  // namespace

CUresult cuInit(unsigned flags) {
  if (flags != 0) return CUDA_ERROR_INVALID_VALUE;
  return guarded(initialise);
}

CUresult cuDriverGetVersion(int* version) {
  if (version == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *version = facts::driver_version;
  return CUDA_SUCCESS;
}

CUresult cuDeviceGet(CUdevice* device, int ordinal) {
  return without_context([&] {
    if (device == nullptr) return CUDA_ERROR_INVALID_VALUE;
    if (!Simulator::get().has(ordinal)) return CUDA_ERROR_INVALID_DEVICE;
    *device = ordinal;
    return CUDA_SUCCESS;
  });
}

CUresult cuDeviceGetCount(int* count) {
  return without_context([&] {
    if (count == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *count = static_cast<int>(Simulator::get().devices.size());
    return CUDA_SUCCESS;
  });
}

CUresult cuDeviceGetName(char* name, int length, CUdevice device) {
  return of_device(device, [&] { return copy_text(name, length, facts::device_name); });
}

CUresult cuDeviceGetUuid(CUuuid* uuid, CUdevice device) {
  return of_device(device, [&] {
    if (uuid == nullptr) return CUDA_ERROR_INVALID_VALUE;
    const auto bytes = uuid_of(index_of(device));
    std::memcpy(uuid->bytes, bytes.data(), sizeof uuid->bytes);
    return CUDA_SUCCESS;
  });
}

CUresult cuDeviceGetUuid_v2(CUuuid* uuid, CUdevice device) { return cuDeviceGetUuid(uuid, device); }

// The driver answers LUIDs on Windows only.
CUresult cuDeviceGetLuid(char*, unsigned*, CUdevice device) {
  return of_device(device, [] { return CUDA_ERROR_NOT_SUPPORTED; });
}

CUresult cuDeviceTotalMem_v2(std::size_t* bytes, CUdevice device) {
  return of_device(device, [&] {
    if (bytes == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *bytes = Simulator::get().arena.capacity();
    return CUDA_SUCCESS;
  });
}

CUresult cuDeviceTotalMem(unsigned* bytes, CUdevice device) {
  std::size_t total = 0;
  const CUresult result = cuDeviceTotalMem_v2(&total, device);
  if (result != CUDA_SUCCESS) return result;
  if (bytes == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *bytes = static_cast<unsigned>(std::min<std::size_t>(total, ~0u));
  return CUDA_SUCCESS;
}

CUresult cuDeviceGetAttribute(int* value, CUdevice_attribute attribute, CUdevice device) {
  return of_device(device, [&] {
    if (value == nullptr || attribute == 0 || attribute >= facts::attribute_count) return CUDA_ERROR_INVALID_VALUE;
    *value = attribute == CU_DEVICE_ATTRIBUTE_PCI_BUS_ID ? static_cast<int>(bus_of(index_of(device)))
                                                         : facts::attributes[attribute];
    return CUDA_SUCCESS;
  });
}

CUresult cuDeviceGetProperties(CUdevprop* out, CUdevice device) {
  return of_device(device, [&] {
    if (out == nullptr) return CUDA_ERROR_INVALID_VALUE;
    const auto& a = facts::attributes;
    *out = {a[1], {a[2], a[3], a[4]}, {a[5], a[6], a[7]}, a[8], a[9], a[10], a[11], a[12], a[13], a[14]};
    return CUDA_SUCCESS;
  });
}

CUresult cuDeviceComputeCapability(int* major, int* minor, CUdevice device) {
  return of_device(device, [&] {
    if (major == nullptr || minor == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *major = facts::attributes[CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR];
    *minor = facts::attributes[CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR];
    return CUDA_SUCCESS;
  });
}

CUresult cuDeviceGetPCIBusId(char* out, int length, CUdevice device) {
  return of_device(device, [&] {
    char bus_id[16];
    const int size = std::snprintf(bus_id, sizeof bus_id, "0000:%02X:00.0", bus_of(index_of(device)));
    // Unlike a name, an identifier is not cut off.
    return length > size ? copy_text(out, length, bus_id) : CUDA_ERROR_INVALID_VALUE;
  });
}

CUresult cuDeviceGetByPCIBusId(CUdevice* device, const char* id) {
  return without_context([&] {
    if (device == nullptr || id == nullptr) return CUDA_ERROR_INVALID_VALUE;
    unsigned domain = 0, bus = 0, slot = 0, function = 0;
    const bool parsed = std::sscanf(id, "%x:%x:%x.%x", &domain, &bus, &slot, &function) >= 3 ||
                        (domain = 0, std::sscanf(id, "%x:%x.%x", &bus, &slot, &function) >= 2);
    if (!parsed) return CUDA_ERROR_INVALID_VALUE;
    const int count = static_cast<int>(Simulator::get().devices.size());
    for (int known = 0; known < count; ++known) {
      if (domain != 0 || bus != bus_of(index_of(known)) || slot != 0) continue;
      *device = known;
      return CUDA_SUCCESS;
    }
    return CUDA_ERROR_INVALID_DEVICE;
  });
}

CUresult cuDeviceCanAccessPeer(int* can, CUdevice device, CUdevice peer) {
  return of_device(device, [&] {
    if (can == nullptr) return CUDA_ERROR_INVALID_VALUE;
    if (!Simulator::get().has(peer)) return CUDA_ERROR_INVALID_DEVICE;
    *can = device != peer ? 1 : 0;
    return CUDA_SUCCESS;
  });
}

CUresult cuDeviceGetP2PAttribute(int* value, CUdevice_P2PAttribute attribute, CUdevice device, CUdevice peer) {
  constexpr unsigned kRank = 1, kAccess = 2, kAtomics = 3, kArrays = 4;
  return of_device(device, [&] {
    if (!Simulator::get().has(peer) || device == peer) return CUDA_ERROR_INVALID_DEVICE;
    if (value == nullptr || attribute < kRank || attribute > kArrays) return CUDA_ERROR_INVALID_VALUE;
    *value = attribute == kAccess || attribute == kAtomics ? 1 : 0;
    return CUDA_SUCCESS;
  });
}

CUresult cuGetErrorName(CUresult error, const char** out) {
  if (out == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const ErrorText* found = find_error(error);
  *out = found != nullptr ? found->name : nullptr;
  return found != nullptr ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuGetErrorString(CUresult error, const char** out) {
  if (out == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const ErrorText* found = find_error(error);
  *out = found != nullptr ? found->text : nullptr;
  return found != nullptr ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuModuleGetLoadingMode(CUmoduleLoadingMode* mode) {
  return without_context([&] {
    if (mode == nullptr) return CUDA_ERROR_INVALID_VALUE;
    // Code is loaded when it is first used either way; programs only ask what they asked for.
    static const char* const asked = std::getenv("CUDA_MODULE_LOADING");
    *mode = asked != nullptr && std::strcmp(asked, "EAGER") == 0 ? CU_MODULE_EAGER_LOADING : CU_MODULE_LAZY_LOADING;
    return CUDA_SUCCESS;
  });
}

CUresult cuProfilerStart() {
  return with_context([](const ContextPtr&) { return CUDA_SUCCESS; });
}
CUresult cuProfilerStop() {
  return with_context([](const ContextPtr&) { return CUDA_SUCCESS; });
}
