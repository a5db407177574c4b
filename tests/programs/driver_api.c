/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/programs/driver_api.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

/* Copies the address instead of converting it: C has no conversion from a data to a function pointer. */
static int find(void* library, const char* symbol, void* member) {
  void* address = dlsym(library, symbol);
  if (address == NULL) {
    fprintf(stderr, "libcuda.so.1 has no %s\n", symbol);
    return 0;
  }
  memcpy(member, &address, sizeof address);
  return 1;
}

int driver_open(struct driver* driver) {
  driver->library = dlopen("libcuda.so.1", RTLD_NOW);
  if (driver->library == NULL) {
    fprintf(stderr, "cannot open libcuda.so.1: %s\n", dlerror());
    return 0;
  }
#define DRIVER_FIND(symbol, member, parameters) \
  if (!find(driver->library, #symbol, &driver->member)) return 0;
  DRIVER_CALLS(DRIVER_FIND)
#undef DRIVER_FIND
  return 1;
}

const char* driver_error_name(const struct driver* driver, cu_result result) {
  const char* name = NULL;
  if (driver->error_name(result, &name) != CU_OK || name == NULL) return "?";
  return name;
}
