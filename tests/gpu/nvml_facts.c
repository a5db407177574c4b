/* SPDX-License-Identifier: Apache-2.0
 *
 * Prints what NVML says, one NAME=VALUE a line, to compare a driver with the same one through the shim. The names of
 * what may differ from one moment to the next begin with "live.". What is not supported reads "error N".
 */
#include <stdio.h>
#include <unistd.h>

#include "tests/programs/nvml_api.h"

static struct nvml nvml;

static int print_error(const char* name, unsigned index, nvml_result result) {
  if (result == NVML_OK) return 0;
  printf("%s.%u=error %d\n", name, index, result);
  return 1;
}

#define TEXT(name, call)                                                                                     \
  do {                                                                                                       \
    char text[96] = "";                                                                                      \
    if (!print_error(name, index, call(device, text, sizeof text))) printf("%s.%u=%s\n", name, index, text); \
  } while (0)
#define NUMBER(name, ...)                                                                  \
  do {                                                                                     \
    unsigned number = 0;                                                                   \
    if (!print_error(name, index, __VA_ARGS__)) printf("%s.%u=%u\n", name, index, number); \
  } while (0)
#define PAIR(name, call)                                                                                       \
  do {                                                                                                         \
    unsigned now = 0, next = 0;                                                                                \
    if (!print_error(name, index, call(device, &now, &next))) printf("%s.%u=%u %u\n", name, index, now, next); \
  } while (0)

static void print_identity(unsigned index, nvml_device device) {
  struct nvml_pci pci;
  int major = 0, minor = 0;
  TEXT("name", nvml.name);
  TEXT("uuid", nvml.uuid);
  TEXT("serial", nvml.serial);
  TEXT("part_number", nvml.part_number);
  TEXT("vbios", nvml.vbios);
  NUMBER("minor_number", nvml.minor_number(device, &number));
  NUMBER("brand", nvml.brand(device, &number));
  NUMBER("architecture", nvml.architecture(device, &number));
  if (!print_error("pci", index, nvml.pci(device, &pci)))
    printf("pci.%u=%s %s %x %x %x %08x %08x\n", index, pci.id, pci.short_id, pci.domain, pci.bus, pci.device,
           pci.device_id, pci.subsystem_id);
  if (!print_error("capability", index, nvml.capability(device, &major, &minor)))
    printf("capability.%u=%d.%d\n", index, major, minor);
}

static void print_properties(unsigned index, nvml_device device) {
  NUMBER("pcie_generation", nvml.pcie_generation(device, &number));
  NUMBER("pcie_width", nvml.pcie_width(device, &number));
  NUMBER("bus_width", nvml.bus_width(device, &number));
  NUMBER("power_limit", nvml.power_limit(device, &number));
  NUMBER("persistence", nvml.persistence(device, &number));
  NUMBER("compute_mode", nvml.compute_mode(device, &number));
  for (unsigned clock = 0; clock < 4; ++clock) {
    char name[32];
    snprintf(name, sizeof name, "max_clock%u", clock);
    NUMBER(name, nvml.max_clock(device, clock, &number));
  }
  PAIR("mig_mode", nvml.mig_mode);
  PAIR("ecc_mode", nvml.ecc_mode);
}

/* Of each link that is up: what is at its other end. */
static void print_links(unsigned index, nvml_device device) {
  for (unsigned link = 0; link < 18; ++link) {
    char name[32];
    struct nvml_pci pci;
    snprintf(name, sizeof name, "link%u", link);
    NUMBER(name, nvml.link_state(device, link, &number));
    snprintf(name, sizeof name, "link%u.remote", link);
    NUMBER(name, nvml.link_remote(device, link, &number));
    snprintf(name, sizeof name, "link%u.pci", link);
    if (!print_error(name, index, nvml.link_remote_pci(device, link, &pci))) printf("%s.%u=%s\n", name, index, pci.id);
  }
}

static void print_live(unsigned index, nvml_device device) {
  struct nvml_memory memory;
  struct nvml_memory_v2 memory_v2 = {.version = sizeof memory_v2 | 2u << 24};
  struct nvml_utilization utilization;
  if (!print_error("memory", index, nvml.memory(device, &memory)))
    printf("memory.%u=%llu\nlive.free.%u=%llu\n", index, memory.total, index, memory.free);
  if (!print_error("memory_v2", index, nvml.memory_v2(device, &memory_v2)))
    printf("memory_v2.%u=%llu\nlive.reserved.%u=%llu\n", index, memory_v2.total, index, memory_v2.reserved);
  if (!print_error("live.utilization", index, nvml.utilization(device, &utilization)))
    printf("live.utilization.%u=%u %u\n", index, utilization.gpu, utilization.memory);
  NUMBER("live.temperature", nvml.temperature(device, 0, &number));
  NUMBER("live.power", nvml.power(device, &number));
  NUMBER("live.clock", nvml.clock(device, 0, &number));
  NUMBER("live.performance_state", nvml.performance_state(device, &number));
}

int main(void) {
  char text[96];
  unsigned count = 0;
  int version = 0;
  if (!nvml_open(&nvml)) return 1;
  const nvml_result started = nvml.init();
  if (started != NVML_OK || nvml.count(&count) != NVML_OK) {
    fprintf(stderr, "nvml_facts: nvmlInit: %s\n", nvml.error_string(started));
    return 1;
  }
  printf("count=%u\n", count);
  if (nvml.driver_version(text, sizeof text) == NVML_OK) printf("driver=%s\n", text);
  if (nvml.nvml_version(text, sizeof text) == NVML_OK) printf("nvml=%s\n", text);
  if (nvml.cuda_version(&version) == NVML_OK) printf("cuda=%d\n", version);
  for (unsigned index = 0; index < count; ++index) {
    nvml_device device;
    if (print_error("device", index, nvml.by_index(index, &device))) continue;
    print_identity(index, device);
    print_properties(index, device);
    print_links(index, device);
    print_live(index, device);
  }
  return 0;
}
