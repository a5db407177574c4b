/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/programs/nvml_api.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

/* Copies the address instead of converting it: C has no conversion from a data to a function pointer. */
static int find(void* library, const char* symbol, void* member) {
  void* address = dlsym(library, symbol);
  if (address == NULL) {
    fprintf(stderr, "libnvidia-ml.so.1 has no %s\n", symbol);
    return 0;
  }
  memcpy(member, &address, sizeof address);
  return 1;
}

int nvml_open(struct nvml* nvml) {
  nvml->library = dlopen("libnvidia-ml.so.1", RTLD_NOW);
  if (nvml->library == NULL) {
    fprintf(stderr, "cannot open libnvidia-ml.so.1: %s\n", dlerror());
    return 0;
  }
  if (!find(nvml->library, "nvmlErrorString", &nvml->error_string)) return 0;
#define NVML_FIND(symbol, member, parameters) \
  if (!find(nvml->library, #symbol, &nvml->member)) return 0;
  NVML_CALLS(NVML_FIND)
#undef NVML_FIND
  return 1;
}
