/* SPDX-License-Identifier: Apache-2.0
 *
 * Behaves at its start as programs do that ask NVML beside CUDA. One argument says as which; every line of output is
 * NAME=VALUE, the first thing that is wrong is a sentence on standard error and exit status 1.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/programs/driver_api.h"
#include "tests/programs/nvml_api.h"

static struct nvml nvml;
static struct driver driver;

#define EXPECT(condition)                                                        \
  do {                                                                           \
    if (!(condition)) {                                                          \
      fprintf(stderr, "nvml_demo: line %d: not so: %s\n", __LINE__, #condition); \
      exit(1);                                                                   \
    }                                                                            \
  } while (0)

static void* cuda_function(const char* symbol) {
  void* address = dlsym(driver.library, symbol);
  EXPECT(address != NULL);
  return address;
}

/* What CUDA says of device 0, to compare. */
static void print_cuda(void) {
  unsigned char uuid[16];
  char bus_id[32];
  size_t total = 0;
  cu_result (*get_uuid)(void*, cu_device);
  cu_result (*get_bus_id)(char*, int, cu_device);
  cu_result (*get_total)(size_t*, cu_device);
  void* found[3] = {cuda_function("cuDeviceGetUuid_v2"), cuda_function("cuDeviceGetPCIBusId"),
                    cuda_function("cuDeviceTotalMem_v2")};
  memcpy(&get_uuid, &found[0], sizeof get_uuid);
  memcpy(&get_bus_id, &found[1], sizeof get_bus_id);
  memcpy(&get_total, &found[2], sizeof get_total);
  EXPECT(get_uuid(uuid, 0) == 0 && get_bus_id(bus_id, sizeof bus_id, 0) == 0 && get_total(&total, 0) == 0);
  printf("cuda.uuid=GPU-");
  for (int i = 0; i < 16; ++i) printf("%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", uuid[i]);
  printf("\ncuda.bus_id=%s\ncuda.memory=%zu\n", bus_id, total);
}

static void print_device(nvml_device device) {
  char text[96];
  struct nvml_pci pci;
  struct nvml_memory memory;
  int major = 0, minor = 0;
  EXPECT(nvml.name(device, text, sizeof text) == NVML_OK);
  printf("nvml.name=%s\n", text);
  EXPECT(nvml.uuid(device, text, sizeof text) == NVML_OK);
  printf("nvml.uuid=%s\n", text);
  EXPECT(nvml.pci(device, &pci) == NVML_OK);
  printf("nvml.bus_id=%s\nnvml.short_bus_id=%s\n", pci.id, pci.short_id);
  EXPECT(nvml.memory(device, &memory) == NVML_OK && memory.free + memory.used <= memory.total);
  printf("nvml.memory=%llu\n", memory.total);
  EXPECT(nvml.capability(device, &major, &minor) == NVML_OK);
  printf("nvml.capability=%d.%d\n", major, minor);
}

/* torch.cuda.is_available() with PYTORCH_NVML_BASED_CUDA_CHECK, then what follows in the program. */
static int as_pytorch(void) {
  unsigned count = 0, own = 0;
  int version = 0;
  nvml_device device, same;
  struct nvml_process process;
  struct nvml_utilization utilization;
  char bus_id[32];
  EXPECT(nvml.init() == NVML_OK && nvml.count(&count) == NVML_OK && count >= 1);
  printf("nvml.count=%u\n", count);
  EXPECT(nvml.cuda_version(&version) == NVML_OK && version >= 11000);
  EXPECT(nvml.by_index(0, &device) == NVML_OK);
  EXPECT(nvml.processes(device, &own, NULL) == NVML_OK && own == 0); /* it has no context yet */
  EXPECT(driver_open(&driver) && driver.init(0) == CU_OK);
  print_cuda();
  print_device(device);
  struct nvml_pci pci;
  EXPECT(nvml.pci(device, &pci) == NVML_OK);
  snprintf(bus_id, sizeof bus_id, "%08x:%02x:%02x.0", pci.domain, pci.bus, pci.device);
  EXPECT(nvml.by_pci(bus_id, &same) == NVML_OK && same == device);
  EXPECT(nvml.utilization(device, &utilization) == NVML_OK && utilization.gpu <= 100);

  cu_handle context;
  cu_address block;
  EXPECT(driver.context_retain(&context, 0) == CU_OK && driver.context_set(context) == CU_OK);
  struct nvml_memory memory;
  EXPECT(driver.allocate(&block, 64 << 20) == CU_OK);
  EXPECT(nvml.memory(device, &memory) == NVML_OK && memory.used >= 64 << 20 && memory.used < memory.total);
  own = 0;
  EXPECT(nvml.processes(device, &own, NULL) == NVML_INSUFFICIENT_SIZE && own == 1);
  EXPECT(nvml.processes(device, &own, &process) == NVML_OK && own == 1);
  EXPECT(process.pid == (unsigned)getpid() && process.used >= 64 << 20);
  printf("process.used=%llu\n", process.used);
  EXPECT(driver.release(block) == CU_OK);
  return 0;
}

static int as_nccl(void) {
  unsigned count = 0, index = 9, status = 0, value = 0;
  nvml_device device;
  struct nvml_field field = {.id = 1};
  struct nvml_fabric fabric = {.version = sizeof fabric | 3u << 24};
  struct nvml_pci pci;
  EXPECT(nvml.init() == NVML_OK && nvml.count(&count) == NVML_OK);
  EXPECT(nvml.by_index(0, &device) == NVML_OK && nvml.index(device, &index) == NVML_OK && index == 0);
  for (unsigned link = 0; link < 18; ++link) {
    const nvml_result state = nvml.link_state(device, link, &value);
    if (state != NVML_OK || value == 0) continue;
    printf("link%u=%d\n", link, nvml.link_remote_pci(device, link, &pci));
  }
  const nvml_result p2p = nvml.p2p(device, device, 0, &status);
  printf("p2p=%d\n", p2p);
  EXPECT(nvml.fields(device, 1, &field) == NVML_OK);
  printf("field=%d\n", field.result);
  EXPECT(nvml.fabric(device, &fabric) == NVML_OK && fabric.state == 0);
  fabric.version = 7;
  EXPECT(nvml.fabric(device, &fabric) == NVML_VERSION_MISMATCH);
  EXPECT(nvml.shutdown() == NVML_OK);
  return 0;
}

static int as_ollama(void) {
  unsigned count = 0, brand = 0;
  char text[96];
  nvml_device device;
  EXPECT(nvml.init() == NVML_OK && nvml.driver_version(text, sizeof text) == NVML_OK);
  printf("driver=%s\n", text);
  EXPECT(nvml.driver_version(text, 2) == NVML_INSUFFICIENT_SIZE);
  EXPECT(nvml.count(&count) == NVML_OK);
  for (unsigned i = 0; i < count; ++i) {
    EXPECT(nvml.by_index(i, &device) == NVML_OK);
    print_device(device);
    EXPECT(nvml.brand(device, &brand) == NVML_OK);
    /* What a board may lack. */
    nvml_result result = nvml.serial(device, text, 30);
    EXPECT(result == NVML_OK || result == NVML_NOT_SUPPORTED);
    result = nvml.vbios(device, text, 32);
    EXPECT(result == NVML_OK || result == NVML_NOT_SUPPORTED);
    EXPECT(nvml.uuid(device, text, sizeof text) == NVML_OK);
    nvml_device same = NULL;
    EXPECT(nvml.by_uuid(text, &same) == NVML_OK && same == device);
  }
  EXPECT(nvml.by_index(count, &device) == NVML_INVALID_ARGUMENT);
  EXPECT(nvml.by_uuid("GPU-00000000-0000-0000-0000-000000000000", &device) == NVML_NOT_FOUND);
  EXPECT(nvml.by_pci("00ff:1e:1d.0", &device) == NVML_NOT_FOUND);
  EXPECT(nvml.by_pci("nonsense", &device) == NVML_INVALID_ARGUMENT);
  EXPECT(nvml.process_name((unsigned)getpid(), text, sizeof text) == NVML_OK && strstr(text, "nvml_demo") != NULL);
  EXPECT(nvml.shutdown() == NVML_OK && nvml.shutdown() == NVML_UNINITIALIZED);
  return 0;
}

static int status_of(pid_t child) {
  int status = 0;
  EXPECT(waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* The child of a process that only used NVML has CUDA and NVML; so has its parent, afterwards. */
static int as_forking_pytorch(void) {
  unsigned count = 0;
  nvml_device device;
  struct nvml_memory memory;
  EXPECT(nvml.init() == NVML_OK && nvml.count(&count) == NVML_OK && nvml.by_index(0, &device) == NVML_OK);
  for (int round = 0; round < 3; ++round) {
    const pid_t child = fork();
    if (child == 0) {
      EXPECT(nvml.memory(device, &memory) == NVML_OK && memory.total != 0);
      cu_handle context;
      cu_address block;
      EXPECT(driver_open(&driver) && driver.init(0) == CU_OK);
      EXPECT(driver.context_retain(&context, 0) == CU_OK && driver.context_set(context) == CU_OK);
      EXPECT(driver.allocate(&block, 4096) == CU_OK && driver.release(block) == CU_OK);
      EXPECT(nvml.init() == NVML_OK && nvml.memory(device, &memory) == NVML_OK);
      _exit(0);
    }
    EXPECT(child > 0 && status_of(child) == 0);
    EXPECT(nvml.memory(device, &memory) == NVML_OK);
  }
  EXPECT(driver_open(&driver) && driver.init(0) == CU_OK);
  return 0;
}

/* The child of a process that used CUDA has lost CUDA, as natively, but not NVML. */
static int fork_after_cuda(void) {
  nvml_device device;
  struct nvml_memory memory;
  cu_handle context;
  EXPECT(driver_open(&driver) && driver.init(0) == CU_OK && driver.context_retain(&context, 0) == CU_OK);
  const pid_t child = fork();
  if (child == 0) {
    EXPECT(driver.init(0) == 3);
    EXPECT(nvml.init() == NVML_OK && nvml.by_index(0, &device) == NVML_OK);
    EXPECT(nvml.memory(device, &memory) == NVML_OK && memory.total != 0);
    EXPECT(driver.init(0) == 3);
    unsigned own = 0;
    EXPECT(nvml.processes(device, &own, NULL) == NVML_OK && own == 0);
    _exit(0);
  }
  EXPECT(child > 0 && status_of(child) == 0);
  EXPECT(driver.context_set(context) == CU_OK && driver.synchronize() == CU_OK);
  EXPECT(nvml.init() == NVML_OK && nvml.by_index(0, &device) == NVML_OK);
  return 0;
}

static int not_initialised(void) {
  unsigned count = 0;
  char text[96];
  struct nvml_memory memory;
  EXPECT(nvml.count(&count) == NVML_UNINITIALIZED && nvml.driver_version(text, sizeof text) == NVML_UNINITIALIZED);
  EXPECT(nvml.memory(NULL, &memory) == NVML_UNINITIALIZED && nvml.set_persistence(NULL, 1) == NVML_UNINITIALIZED);
  EXPECT(nvml.shutdown() == NVML_UNINITIALIZED);
  EXPECT(strcmp(nvml.error_string(NVML_UNINITIALIZED), "Uninitialized") == 0);
  EXPECT(nvml.init_with_flags(0x80) == NVML_INVALID_ARGUMENT);
  EXPECT(nvml.init_with_flags(1) == NVML_OK && nvml.init() == NVML_OK && nvml.shutdown() == NVML_OK);
  EXPECT(nvml.count(&count) == NVML_OK && nvml.shutdown() == NVML_OK && nvml.count(&count) == NVML_UNINITIALIZED);
  return 0;
}

static int not_supported(void) {
  nvml_device device;
  struct nvml_memory memory;
  struct nvml_memory_v2 memory_v2 = {.version = sizeof memory_v2 | 1u << 24};
  char place[64] = {0};
  EXPECT(nvml.init() == NVML_OK && nvml.by_index(0, &device) == NVML_OK);
  EXPECT(nvml.set_persistence(device, 1) == NVML_NOT_SUPPORTED);
  EXPECT(nvml.set_persistence(device, 1) == NVML_NOT_SUPPORTED);
  EXPECT(nvml.memory(NULL, &memory) == NVML_INVALID_ARGUMENT && nvml.memory(device, NULL) == NVML_INVALID_ARGUMENT);
  EXPECT(nvml.memory(place, &memory) == NVML_INVALID_ARGUMENT);
  EXPECT(nvml.memory((char*)device + 1, &memory) == NVML_INVALID_ARGUMENT);
  EXPECT(nvml.memory_v2(device, &memory_v2) == NVML_VERSION_MISMATCH);
  memory_v2.version = sizeof memory_v2 | 2u << 24;
  EXPECT(nvml.memory_v2(device, &memory_v2) == NVML_OK && memory_v2.total != 0);
  EXPECT(memory_v2.version == (sizeof memory_v2 | 2u << 24));
  return 0;
}

/* On a host with two GPUs, of which the worker's is the second. */
static int on_host(void) {
  unsigned count = 0, own = 4, milliwatts = 0;
  nvml_device first, second;
  char text[96];
  struct nvml_memory memory;
  struct nvml_memory_v2 memory_v2 = {.version = sizeof memory_v2 | 2u << 24};
  struct nvml_process processes[4];
  struct nvml_field fields[2] = {{.id = 7}, {.id = 8}};
  cu_handle context;
  EXPECT(nvml.init() == NVML_OK && nvml.count(&count) == NVML_OK && count == 2);
  EXPECT(nvml.by_index(0, &first) == NVML_OK && nvml.by_index(1, &second) == NVML_OK && first != second);
  EXPECT(nvml.name(second, text, sizeof text) == NVML_OK);
  printf("name=%s\n", text);
  EXPECT(nvml.driver_version(text, sizeof text) == NVML_OK);
  printf("driver=%s\n", text);
  EXPECT(nvml.memory_v2(first, &memory_v2) == NVML_OK && memory_v2.total == 1ull << 30);
  EXPECT(nvml.memory_v2(second, &memory_v2) == NVML_OK && memory_v2.total == 2ull << 30);
  EXPECT(nvml.power(second, &milliwatts) == NVML_OK && milliwatts == 100001);
  EXPECT(nvml.fields(first, 2, fields) == NVML_OK && fields[0].value == 21 && fields[1].value == 24);
  EXPECT(nvml.memory(first, &memory) == NVML_NOT_SUPPORTED); /* that library lacks it */
  EXPECT(driver_open(&driver) && driver.init(0) == CU_OK);
  EXPECT(driver.context_retain(&context, 0) == CU_OK && driver.context_set(context) == CU_OK);
  EXPECT(nvml.processes(first, &own, processes) == NVML_OK && own == 0);
  own = 4;
  EXPECT(nvml.processes(second, &own, processes) == NVML_OK && own == 1);
  EXPECT(processes[0].pid == (unsigned)getpid());
  printf("used=%llu\n", processes[0].used);
  return 0;
}

/* Prints what nvmlInit answers, and leaves judging to whoever made the circumstances. */
static int only_init(void) {
  const nvml_result result = nvml.init();
  printf("init=%d\ntext=%s\n", result, nvml.error_string(result));
  return 0;
}

static int init_after_cuda(void) {
  EXPECT(driver_open(&driver));
  return only_init();
}

/* Stays until the end of its input, with the channel that nvmlInit opened. */
static int stay(void) {
  nvml_device device;
  struct nvml_memory memory;
  char line[16];
  EXPECT(nvml.init() == NVML_OK && nvml.by_index(0, &device) == NVML_OK);
  printf("ready\n");
  fflush(stdout);
  while (fgets(line, sizeof line, stdin) != NULL) {
    printf("memory=%d\n", nvml.memory(device, &memory));
    fflush(stdout);
  }
  return 0;
}

int main(int argc, char** argv) {
  static const struct {
    const char* name;
    int (*run)(void);
  } kinds[] = {{"pytorch", as_pytorch},
               {"nccl", as_nccl},
               {"ollama", as_ollama},
               {"fork", as_forking_pytorch},
               {"fork-after-cuda", fork_after_cuda},
               {"uninitialised", not_initialised},
               {"unsupported", not_supported},
               {"init", only_init},
               {"init-after-cuda", init_after_cuda},
               {"host", on_host},
               {"stay", stay}};
  for (size_t i = 0; argc == 2 && i < sizeof kinds / sizeof *kinds; ++i)
    if (strcmp(argv[1], kinds[i].name) == 0) return nvml_open(&nvml) ? kinds[i].run() : 1;
  fprintf(stderr, "usage: nvml_demo");
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; ++i) fprintf(stderr, " %s%s", i == 0 ? "" : "| ", kinds[i].name);
  fprintf(stderr, "\n");
  return 64;
}
