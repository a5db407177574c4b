// SPDX-License-Identifier: Apache-2.0
// The NVML ABI as far as our code looks into it, in our own words; tests/wire proves it against nvml.h where that is
// found. Everything has the ABI's own name, in namespace vgpu::nvml. Enumerations that we only pass on are plain
// integers.
#pragma once

#include <cstdint>

// The ABI's own, incomplete type.
struct nvmlDevice_st;

namespace vgpu::nvml {

using ::nvmlDevice_st;
using nvmlDevice_t = nvmlDevice_st*;

enum nvmlReturn_t : int {
  NVML_SUCCESS = 0,
  NVML_ERROR_UNINITIALIZED = 1,
  NVML_ERROR_INVALID_ARGUMENT = 2,
  NVML_ERROR_NOT_SUPPORTED = 3,
  NVML_ERROR_NO_PERMISSION = 4,
  NVML_ERROR_ALREADY_INITIALIZED = 5,
  NVML_ERROR_NOT_FOUND = 6,
  NVML_ERROR_INSUFFICIENT_SIZE = 7,
  NVML_ERROR_INSUFFICIENT_POWER = 8,
  NVML_ERROR_DRIVER_NOT_LOADED = 9,
  NVML_ERROR_TIMEOUT = 10,
  NVML_ERROR_IRQ_ISSUE = 11,
  NVML_ERROR_LIBRARY_NOT_FOUND = 12,
  NVML_ERROR_FUNCTION_NOT_FOUND = 13,
  NVML_ERROR_CORRUPTED_INFOROM = 14,
  NVML_ERROR_GPU_IS_LOST = 15,
  NVML_ERROR_RESET_REQUIRED = 16,
  NVML_ERROR_OPERATING_SYSTEM = 17,
  NVML_ERROR_LIB_RM_VERSION_MISMATCH = 18,
  NVML_ERROR_IN_USE = 19,
  NVML_ERROR_MEMORY = 20,
  NVML_ERROR_NO_DATA = 21,
  NVML_ERROR_VGPU_ECC_NOT_SUPPORTED = 22,
  NVML_ERROR_INSUFFICIENT_RESOURCES = 23,
  NVML_ERROR_FREQ_NOT_SUPPORTED = 24,
  NVML_ERROR_ARGUMENT_VERSION_MISMATCH = 25,
  NVML_ERROR_DEPRECATED = 26,
  NVML_ERROR_NOT_READY = 27,
  NVML_ERROR_GPU_NOT_FOUND = 28,
  NVML_ERROR_INVALID_STATE = 29,
  NVML_ERROR_UNKNOWN = 999,
};

// Enumerations that only travel.
using nvmlEnableState_t = unsigned;
using nvmlBrandType_t = unsigned;
using nvmlDeviceArchitecture_t = unsigned;
using nvmlBusType_t = unsigned;
using nvmlPowerSource_t = unsigned;
using nvmlTemperatureSensors_t = unsigned;
using nvmlTemperatureThresholds_t = unsigned;
using nvmlComputeMode_t = unsigned;
using nvmlPstates_t = unsigned;
using nvmlClockType_t = unsigned;
using nvmlClockId_t = unsigned;
using nvmlMemoryErrorType_t = unsigned;
using nvmlEccCounterType_t = unsigned;
using nvmlMemoryLocation_t = unsigned;
using nvmlPcieUtilCounter_t = unsigned;
using nvmlGpuTopologyLevel_t = unsigned;
using nvmlGpuP2PStatus_t = unsigned;
using nvmlGpuP2PCapsIndex_t = unsigned;
using nvmlNvLinkCapability_t = unsigned;
using nvmlNvLinkErrorCounter_t = unsigned;
using nvmlIntNvLinkDeviceType_t = unsigned;
using nvmlGpuOperationMode_t = unsigned;
using nvmlGpuVirtualizationMode_t = unsigned;
using nvmlInforomObject_t = unsigned;
using nvmlPerfPolicyType_t = unsigned;

/// What the first word of a structure with a version must be.
template <typename T>
constexpr unsigned versioned(unsigned version) {
  return static_cast<unsigned>(sizeof(T)) | version << 24;
}

constexpr unsigned kUuidText = 41;   // "GPU-" and 36 characters
constexpr unsigned kInitNoGpus = 1;  // nvmlInitWithFlags: having no GPU is no error
constexpr unsigned kInitNoAttach = 2;
constexpr unsigned long long kMemoryNotAvailable = ~0ULL;
constexpr unsigned kNoInstance = ~0U;  // of a process: no MIG

struct nvmlPciInfo_t {
  char busIdLegacy[16];
  unsigned domain;
  unsigned bus;
  unsigned device;
  unsigned pciDeviceId;
  unsigned pciSubSystemId;
  char busId[32];
};

struct nvmlPciInfoExt_v1_t {
  unsigned version;
  unsigned domain;
  unsigned bus;
  unsigned device;
  unsigned pciDeviceId;
  unsigned pciSubSystemId;
  unsigned baseClass;
  unsigned subClass;
  char busId[32];
};

struct nvmlMemory_t {
  unsigned long long total;
  unsigned long long free;
  unsigned long long used;
};

struct nvmlMemory_v2_t {
  unsigned version;
  unsigned long long total;
  unsigned long long reserved;
  unsigned long long free;
  unsigned long long used;
};

struct nvmlBAR1Memory_t {
  unsigned long long bar1Total;
  unsigned long long bar1Free;
  unsigned long long bar1Used;
};

struct nvmlUtilization_t {
  unsigned gpu;
  unsigned memory;
};

struct nvmlProcessInfo_v1_t {
  unsigned pid;
  unsigned long long usedGpuMemory;
};

struct nvmlProcessInfo_v2_t {
  unsigned pid;
  unsigned long long usedGpuMemory;
  unsigned gpuInstanceId;
  unsigned computeInstanceId;
};

using nvmlProcessInfo_t = nvmlProcessInfo_v2_t;

struct nvmlTemperature_v1_t {
  unsigned version;
  nvmlTemperatureSensors_t sensorType;
  int temperature;
};

struct nvmlMarginTemperature_v1_t {
  unsigned version;
  int marginTemperature;
};

struct nvmlEccErrorCounts_t {
  unsigned long long l1Cache;
  unsigned long long l2Cache;
  unsigned long long deviceMemory;
  unsigned long long registerFile;
};

struct nvmlViolationTime_t {
  unsigned long long referenceTime;
  unsigned long long violationTime;
};

struct nvmlFieldValue_t {
  unsigned fieldId;
  unsigned scopeId;
  long long timestamp;
  long long latencyUsec;
  unsigned valueType;
  nvmlReturn_t nvmlReturn;
  unsigned long long value;  // a union in the ABI
};

struct nvmlGpuFabricInfo_t {
  unsigned char clusterUuid[16];
  nvmlReturn_t status;
  unsigned cliqueId;
  unsigned char state;
};

struct nvmlGpuFabricInfo_v2_t {
  unsigned version;
  unsigned char clusterUuid[16];
  nvmlReturn_t status;
  unsigned cliqueId;
  unsigned char state;
  unsigned healthMask;
};

struct nvmlGpuFabricInfo_v3_t {
  unsigned version;
  unsigned char clusterUuid[16];
  nvmlReturn_t status;
  unsigned cliqueId;
  unsigned char state;
  unsigned healthMask;
  unsigned char healthSummary;
};

struct nvmlConfComputeSystemState_t {
  unsigned environment;
  unsigned ccFeature;
  unsigned devToolsMode;
};

struct nvmlSystemConfComputeSettings_v1_t {
  unsigned version;
  unsigned environment;
  unsigned ccFeature;
  unsigned devToolsMode;
  unsigned multiGpuMode;
};

struct nvmlConfComputeMemSizeInfo_t {
  unsigned long long protectedMemSizeKib;
  unsigned long long unprotectedMemSizeKib;
};

struct nvmlPdi_v1_t {
  unsigned version;
  unsigned long long value;
};

struct nvmlDeviceAddressingMode_v1_t {
  unsigned version;
  unsigned value;
};

struct nvmlDeviceAttributes_t {
  unsigned multiprocessorCount;
  unsigned sharedCopyEngineCount;
  unsigned sharedDecoderCount;
  unsigned sharedEncoderCount;
  unsigned sharedJpegCount;
  unsigned sharedOfaCount;
  unsigned gpuInstanceSliceCount;
  unsigned computeInstanceSliceCount;
  unsigned long long memorySizeMB;
};

struct nvmlUUID_v1_t {
  unsigned version;
  unsigned type;          // 1 text, 2 bytes
  char value[kUuidText];  // a union in the ABI
};

// Facts of the ABI that these definitions were written from.
static_assert(sizeof(nvmlPciInfo_t) == 68);
static_assert(sizeof(nvmlPciInfoExt_v1_t) == 64);
static_assert(sizeof(nvmlMemory_v2_t) == 40);
static_assert(sizeof(nvmlProcessInfo_v1_t) == 16);
static_assert(sizeof(nvmlProcessInfo_v2_t) == 24);
static_assert(sizeof(nvmlFieldValue_t) == 40);
static_assert(sizeof(nvmlGpuFabricInfo_t) == 28);
static_assert(sizeof(nvmlGpuFabricInfo_v2_t) == 36);
static_assert(sizeof(nvmlGpuFabricInfo_v3_t) == 40);
static_assert(sizeof(nvmlUUID_v1_t) == 52);
static_assert(sizeof(nvmlDeviceAttributes_t) == 40);

}  // namespace vgpu::nvml
