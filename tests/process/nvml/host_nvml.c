/* SPDX-License-Identifier: Apache-2.0
 *
 * Stands for the NVML of a host with two GPUs, whose second is the software GPU's place on the bus. It exports what a
 * few questions need and no more, and knows of a process that is none of a guest's business.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/programs/nvml_api.h"

#define EXPORT __attribute__((visibility("default")))

enum { FOREIGN_PID = 4711, OWN_MIB = 300, FIELD_FACTOR = 3 };

static char devices[2];
static int is_started;

static unsigned number_of(nvml_device device) { return (unsigned)((char*)device - devices); }

EXPORT nvml_result nvmlInit_v2(void) {
  is_started = 1;
  return NVML_OK;
}

EXPORT nvml_result nvmlDeviceGetCount_v2(unsigned* count) {
  *count = is_started ? 2 : 0;
  return is_started ? NVML_OK : NVML_UNINITIALIZED;
}

EXPORT nvml_result nvmlDeviceGetHandleByIndex_v2(unsigned index, nvml_device* device) {
  *device = &devices[index];
  return index < 2 ? NVML_OK : NVML_INVALID_ARGUMENT;
}

EXPORT nvml_result nvmlSystemGetDriverVersion(char* version, unsigned length) {
  snprintf(version, length, "580.1.2");
  return NVML_OK;
}

EXPORT nvml_result nvmlDeviceGetName(nvml_device device, char* name, unsigned length) {
  snprintf(name, length, "host GPU %u", number_of(device));
  return NVML_OK;
}

EXPORT nvml_result nvmlDeviceGetUUID(nvml_device device, char* uuid, unsigned length) {
  snprintf(uuid, length, "GPU-%08u-0000-0000-0000-000000000000", number_of(device));
  return NVML_OK;
}

EXPORT nvml_result nvmlDeviceGetPciInfo_v3(nvml_device device, struct nvml_pci* pci) {
  memset(pci, 0, sizeof *pci);
  pci->bus = number_of(device) == 0 ? 5 : 6;
  snprintf(pci->id, sizeof pci->id, "00000000:%02x:00.0", pci->bus);
  snprintf(pci->short_id, sizeof pci->short_id, "0000:%02x:00.0", pci->bus);
  return NVML_OK;
}

EXPORT nvml_result nvmlDeviceGetMemoryInfo_v2(nvml_device device, struct nvml_memory_v2* memory) {
  if (memory->version != (sizeof *memory | 2u << 24)) return NVML_VERSION_MISMATCH;
  memory->total = (number_of(device) + 1ull) << 30;
  memory->reserved = memory->used = 0;
  memory->free = memory->total;
  return NVML_OK;
}

EXPORT nvml_result nvmlDeviceGetPowerUsage(nvml_device device, unsigned* milliwatts) {
  *milliwatts = 100000 + number_of(device);
  return NVML_OK;
}

EXPORT nvml_result nvmlDeviceGetFieldValues(nvml_device device, int count, struct nvml_field* values) {
  (void)device;
  for (int i = 0; i < count; ++i) {
    values[i].value = values[i].id * FIELD_FACTOR;
    values[i].result = NVML_OK;
  }
  return NVML_OK;
}

EXPORT nvml_result nvmlDeviceGetComputeRunningProcesses_v3(nvml_device device, unsigned* count,
                                                           struct nvml_process* processes) {
  const struct nvml_process known[] = {{FOREIGN_PID, 1ull << 30, ~0u, ~0u},
                                       {(unsigned)getpid(), (unsigned long long)OWN_MIB << 20, ~0u, ~0u}};
  (void)device;
  const unsigned room = *count;
  *count = 2;
  if (room < 2) return NVML_INSUFFICIENT_SIZE;
  memcpy(processes, known, sizeof known);
  return NVML_OK;
}
