// cuDeviceGet*: everything comes from the facts that were fetched once per device.
#include <climits>
#include <cstdio>
#include <cstring>

#include "shim/client/device_facts.hpp"
#include "shim/client/pci_address.hpp"
#include "shim/cuda/calls.gen.hpp"

namespace vgpu::shim::calls {
namespace {

PciAddress address_of(const DeviceFacts& facts) {
  return {facts.attribute(CU_DEVICE_ATTRIBUTE_PCI_DOMAIN_ID), facts.attribute(CU_DEVICE_ATTRIBUTE_PCI_BUS_ID),
          facts.attribute(CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID)};
}

template <typename Write>
CUresult with_facts(CUdevice dev, Write write) {
  const DeviceFacts* facts = nullptr;
  const CUresult result = device_facts(dev, facts);
  if (result != CUDA_SUCCESS) return result;
  return write(*facts);
}

}  // namespace

CUresult cuDeviceGetCount(int* count) {
  if (count == nullptr) return CUDA_ERROR_INVALID_VALUE;
  int known = 0;
  const CUresult result = device_count(known);
  if (result == CUDA_SUCCESS) *count = known;
  return result;
}

CUresult cuDeviceGet(CUdevice* device, int ordinal) {
  if (device == nullptr) return CUDA_ERROR_INVALID_VALUE;
  int count = 0;
  const CUresult result = device_count(count);
  if (result != CUDA_SUCCESS) return result;
  if (ordinal < 0 || ordinal >= count) return CUDA_ERROR_INVALID_DEVICE;
  *device = ordinal;
  return CUDA_SUCCESS;
}

CUresult cuDeviceGetAttribute(int* pi, CUdevice_attribute attrib, CUdevice dev) {
  if (pi == nullptr) return CUDA_ERROR_INVALID_VALUE;
  return with_facts(dev, [&](const DeviceFacts& facts) {
    const int32_t value = facts.attribute(attrib);
    if (value == DeviceFacts::kInvalid) return CUDA_ERROR_INVALID_VALUE;
    *pi = value;
    return CUDA_SUCCESS;
  });
}

CUresult cuDeviceComputeCapability(int* major, int* minor, CUdevice dev) {
  if (major == nullptr || minor == nullptr) return CUDA_ERROR_INVALID_VALUE;
  return with_facts(dev, [&](const DeviceFacts& facts) {
    *major = facts.attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR);
    *minor = facts.attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
    return CUDA_SUCCESS;
  });
}

CUresult cuDeviceGetName(char* name, int len, CUdevice dev) {
  if (name == nullptr || len <= 0) return CUDA_ERROR_INVALID_VALUE;
  return with_facts(dev, [&](const DeviceFacts& facts) {
    std::snprintf(name, static_cast<size_t>(len), "%s", facts.name.c_str());
    return CUDA_SUCCESS;
  });
}

CUresult cuDeviceGetUuid(CUuuid* uuid, CUdevice dev) {
  if (uuid == nullptr) return CUDA_ERROR_INVALID_VALUE;
  return with_facts(dev, [&](const DeviceFacts& facts) {
    *uuid = facts.uuid;
    return CUDA_SUCCESS;
  });
}

CUresult cuDeviceGetUuid_v2(CUuuid* uuid, CUdevice dev) { return cuDeviceGetUuid(uuid, dev); }

// A LUID is Windows' name of an adapter.
CUresult cuDeviceGetLuid(char* luid, unsigned* deviceNodeMask, CUdevice dev) {
  if (luid == nullptr || deviceNodeMask == nullptr) return CUDA_ERROR_INVALID_VALUE;
  return with_facts(dev, [](const DeviceFacts&) { return CUDA_ERROR_NOT_SUPPORTED; });
}

CUresult cuDeviceTotalMem_v2(size_t* bytes, CUdevice dev) {
  if (bytes == nullptr) return CUDA_ERROR_INVALID_VALUE;
  return with_facts(dev, [&](const DeviceFacts& facts) {
    *bytes = facts.total_memory;
    return CUDA_SUCCESS;
  });
}

// The first version counts in 32 bits: more memory than that reads as the largest number.
CUresult cuDeviceTotalMem(unsigned* bytes, CUdevice dev) {
  if (bytes == nullptr) return CUDA_ERROR_INVALID_VALUE;
  return with_facts(dev, [&](const DeviceFacts& facts) {
    *bytes = facts.total_memory > UINT_MAX ? UINT_MAX : static_cast<unsigned>(facts.total_memory);
    return CUDA_SUCCESS;
  });
}

CUresult cuDeviceGetPCIBusId(char* pciBusId, int len, CUdevice dev) {
  constexpr int kShortest = sizeof "0000:00:00.0";
  if (pciBusId == nullptr || len <= 0) return CUDA_ERROR_INVALID_VALUE;
  return with_facts(dev, [&](const DeviceFacts& facts) {
    if (len < kShortest) return CUDA_ERROR_INVALID_VALUE;
    const PciAddress at = address_of(facts);
    std::snprintf(pciBusId, static_cast<size_t>(len), "%04X:%02X:%02X.0", static_cast<unsigned>(at.domain),
                  static_cast<unsigned>(at.bus), static_cast<unsigned>(at.device));
    return CUDA_SUCCESS;
  });
}

CUresult cuDeviceGetByPCIBusId(CUdevice* dev, const char* pciBusId) {
  PciAddress wanted;
  if (dev == nullptr || pciBusId == nullptr || !parse_address(pciBusId, wanted)) return CUDA_ERROR_INVALID_VALUE;
  int count = 0;
  CUresult result = device_count(count);
  if (result != CUDA_SUCCESS) return result;
  for (CUdevice candidate = 0; candidate < count; ++candidate) {
    const DeviceFacts* facts = nullptr;
    result = device_facts(candidate, facts);
    if (result != CUDA_SUCCESS) return result;
    if (address_of(*facts) == wanted) {
      *dev = candidate;
      return CUDA_SUCCESS;
    }
  }
  return CUDA_ERROR_INVALID_DEVICE;
}

CUresult cuDeviceGetProperties(CUdevprop* prop, CUdevice dev) {
  if (prop == nullptr) return CUDA_ERROR_INVALID_VALUE;
  return with_facts(dev, [&](const DeviceFacts& facts) {
    *prop = CUdevprop{
        .maxThreadsPerBlock = facts.attribute(CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK),
        .maxThreadsDim = {facts.attribute(CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X),
                          facts.attribute(CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y),
                          facts.attribute(CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z)},
        .maxGridSize = {facts.attribute(CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X),
                        facts.attribute(CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y),
                        facts.attribute(CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z)},
        .sharedMemPerBlock = facts.attribute(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK),
        .totalConstantMemory = facts.attribute(CU_DEVICE_ATTRIBUTE_TOTAL_CONSTANT_MEMORY),
        .SIMDWidth = facts.attribute(CU_DEVICE_ATTRIBUTE_WARP_SIZE),
        .memPitch = facts.attribute(CU_DEVICE_ATTRIBUTE_MAX_PITCH),
        .regsPerBlock = facts.attribute(CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK),
        .clockRate = facts.attribute(CU_DEVICE_ATTRIBUTE_CLOCK_RATE),
        .textureAlign = facts.attribute(CU_DEVICE_ATTRIBUTE_TEXTURE_ALIGNMENT),
    };
    return CUDA_SUCCESS;
  });
}

}  // namespace vgpu::shim::calls
