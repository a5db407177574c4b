/* SPDX-License-Identifier: Apache-2.0
 *
 * The part of NVML that our own test programs use, declared here because they are built where no NVIDIA header is. The
 * library is opened at run time by its soname, as programs do.
 */
#ifndef VGPU_TESTS_PROGRAMS_NVML_API_H
#define VGPU_TESTS_PROGRAMS_NVML_API_H

#include <stddef.h>
#include <stdint.h>

typedef int nvml_result; /* 0 is success */
typedef void* nvml_device;

enum {
  NVML_OK = 0,
  NVML_UNINITIALIZED = 1,
  NVML_INVALID_ARGUMENT = 2,
  NVML_NOT_SUPPORTED = 3,
  NVML_NOT_FOUND = 6,
  NVML_INSUFFICIENT_SIZE = 7,
  NVML_DRIVER_NOT_LOADED = 9,
  NVML_LIBRARY_NOT_FOUND = 12,
  NVML_VERSION_MISMATCH = 25
};

struct nvml_pci {
  char short_id[16];
  unsigned domain, bus, device, device_id, subsystem_id;
  char id[32];
};
struct nvml_memory {
  unsigned long long total, free, used;
};
struct nvml_memory_v2 {
  unsigned version;
  unsigned long long total, reserved, free, used;
};
struct nvml_utilization {
  unsigned gpu, memory;
};
struct nvml_process {
  unsigned pid;
  unsigned long long used;
  unsigned gpu_instance, compute_instance;
};
struct nvml_field {
  unsigned id, scope;
  long long timestamp, latency;
  unsigned type;
  nvml_result result;
  unsigned long long value;
};
struct nvml_fabric {
  unsigned version;
  unsigned char cluster[16];
  nvml_result status;
  unsigned clique;
  unsigned char state;
  unsigned health;
  unsigned char summary;
};

/* name in the library, our member, parameters */
#define NVML_CALLS(X)                                                                                                \
  X(nvmlInit_v2, init, (void))                                                                                       \
  X(nvmlInitWithFlags, init_with_flags, (unsigned flags))                                                            \
  X(nvmlShutdown, shutdown, (void))                                                                                  \
  X(nvmlSystemGetDriverVersion, driver_version, (char* version, unsigned length))                                    \
  X(nvmlSystemGetNVMLVersion, nvml_version, (char* version, unsigned length))                                        \
  X(nvmlSystemGetCudaDriverVersion_v2, cuda_version, (int* version))                                                 \
  X(nvmlSystemGetProcessName, process_name, (unsigned pid, char* name, unsigned length))                             \
  X(nvmlDeviceGetCount_v2, count, (unsigned* count))                                                                 \
  X(nvmlDeviceGetHandleByIndex_v2, by_index, (unsigned index, nvml_device* device))                                  \
  X(nvmlDeviceGetHandleByPciBusId_v2, by_pci, (const char* id, nvml_device* device))                                 \
  X(nvmlDeviceGetHandleByUUID, by_uuid, (const char* uuid, nvml_device* device))                                     \
  X(nvmlDeviceGetIndex, index, (nvml_device device, unsigned* index))                                                \
  X(nvmlDeviceGetMinorNumber, minor_number, (nvml_device device, unsigned* number))                                  \
  X(nvmlDeviceGetName, name, (nvml_device device, char* name, unsigned length))                                      \
  X(nvmlDeviceGetUUID, uuid, (nvml_device device, char* uuid, unsigned length))                                      \
  X(nvmlDeviceGetSerial, serial, (nvml_device device, char* serial, unsigned length))                                \
  X(nvmlDeviceGetBoardPartNumber, part_number, (nvml_device device, char* number, unsigned length))                  \
  X(nvmlDeviceGetVbiosVersion, vbios, (nvml_device device, char* version, unsigned length))                          \
  X(nvmlDeviceGetBrand, brand, (nvml_device device, unsigned* brand))                                                \
  X(nvmlDeviceGetArchitecture, architecture, (nvml_device device, unsigned* architecture))                           \
  X(nvmlDeviceGetPciInfo_v3, pci, (nvml_device device, struct nvml_pci * pci))                                       \
  X(nvmlDeviceGetCudaComputeCapability, capability, (nvml_device device, int* major, int* minor))                    \
  X(nvmlDeviceGetMemoryInfo, memory, (nvml_device device, struct nvml_memory * memory))                              \
  X(nvmlDeviceGetMemoryInfo_v2, memory_v2, (nvml_device device, struct nvml_memory_v2 * memory))                     \
  X(nvmlDeviceGetUtilizationRates, utilization, (nvml_device device, struct nvml_utilization * utilization))         \
  X(nvmlDeviceGetTemperature, temperature, (nvml_device device, unsigned sensor, unsigned* temperature))             \
  X(nvmlDeviceGetPowerUsage, power, (nvml_device device, unsigned* milliwatts))                                      \
  X(nvmlDeviceGetClockInfo, clock, (nvml_device device, unsigned type, unsigned* megahertz))                         \
  X(nvmlDeviceGetMaxClockInfo, max_clock, (nvml_device device, unsigned type, unsigned* megahertz))                  \
  X(nvmlDeviceGetComputeRunningProcesses_v3, processes,                                                              \
    (nvml_device device, unsigned* count, struct nvml_process* processes))                                           \
  X(nvmlDeviceGetNvLinkState, link_state, (nvml_device device, unsigned link, unsigned* is_active))                  \
  X(nvmlDeviceGetNvLinkCapability, link_capability,                                                                  \
    (nvml_device device, unsigned link, unsigned capability, unsigned* result))                                      \
  X(nvmlDeviceGetNvLinkRemoteDeviceType, link_remote, (nvml_device device, unsigned link, unsigned* type))           \
  X(nvmlDeviceGetNvLinkRemotePciInfo_v2, link_remote_pci, (nvml_device device, unsigned link, struct nvml_pci* pci)) \
  X(nvmlDeviceGetP2PStatus, p2p, (nvml_device one, nvml_device other, unsigned index, unsigned* status))             \
  X(nvmlDeviceGetFieldValues, fields, (nvml_device device, int count, struct nvml_field* values))                    \
  X(nvmlDeviceGetGpuFabricInfoV, fabric, (nvml_device device, struct nvml_fabric * fabric))                          \
  X(nvmlDeviceGetMaxPcieLinkGeneration, pcie_generation, (nvml_device device, unsigned* generation))                 \
  X(nvmlDeviceGetMaxPcieLinkWidth, pcie_width, (nvml_device device, unsigned* width))                                \
  X(nvmlDeviceGetMemoryBusWidth, bus_width, (nvml_device device, unsigned* bits))                                    \
  X(nvmlDeviceGetEnforcedPowerLimit, power_limit, (nvml_device device, unsigned* milliwatts))                        \
  X(nvmlDeviceGetPersistenceMode, persistence, (nvml_device device, unsigned* is_on))                                \
  X(nvmlDeviceGetComputeMode, compute_mode, (nvml_device device, unsigned* mode))                                    \
  X(nvmlDeviceGetMigMode, mig_mode, (nvml_device device, unsigned* now, unsigned* next))                             \
  X(nvmlDeviceGetEccMode, ecc_mode, (nvml_device device, unsigned* now, unsigned* next))                             \
  X(nvmlDeviceGetPerformanceState, performance_state, (nvml_device device, unsigned* state))                         \
  X(nvmlDeviceSetPersistenceMode, set_persistence, (nvml_device device, unsigned is_on))

struct nvml {
  void* library;
  const char* (*error_string)(nvml_result result);
#define NVML_MEMBER(symbol, member, parameters) nvml_result(*member) parameters;
  NVML_CALLS(NVML_MEMBER)
#undef NVML_MEMBER
};

/* Opens libnvidia-ml.so.1 and finds every call above; prints one sentence and returns 0 on failure. */
int nvml_open(struct nvml* nvml);

#endif
