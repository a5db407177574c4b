/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * vgpu-stub-preload.so: brings the device into the distribution's own QEMU, which exports its device API but loads no
 * unknown types. With LD_PRELOAD, before QEMU's main(), it looks at the QEMU that it is in, and opens
 * vgpu-stub-device.so beside itself if that was compiled from the very same source: the device relies on the layout of
 * QEMU's structures, for which there is no other promise. Otherwise it says why not, and QEMU goes on without the
 * device.
 *
 * It needs nothing of QEMU itself, so programs that inherit LD_PRELOAD from QEMU's environment run undisturbed.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#ifndef VGPU_BUILT_FOR
#error "VGPU_BUILT_FOR: the version of Debian's source package qemu, as a string"
#endif

/* What QEMU's query-version answers, as its interface describes it. */
struct version_triple {
  int64_t major, minor, micro;
};
struct version_info {
  struct version_triple* qemu;
  char* package; /* of Debian's builds: "Debian VERSION" */
};
typedef struct version_info* (*query_version)(void* error);

/* Rebuilt without a change of the source, a package has "+bN" after its version. */
static int is_same_source(const char* package) {
  static const char expected[] = "Debian " VGPU_BUILT_FOR;
  const char* rest = package + sizeof(expected) - 1;

  if (strncmp(package, expected, sizeof(expected) - 1) != 0) return 0;
  if (rest[0] == '+' && rest[1] == 'b' && isdigit((unsigned char)rest[2]))
    for (rest += 2; isdigit((unsigned char)*rest);) rest++;
  return *rest == '\0';
}

static void say(const char* text, const char* detail) {
  fprintf(stderr,
          "[vgpu-stub] not loaded: %s%s; run scripts/build-qemu where this QEMU is installed, or use the QEMU that it "
          "builds\n",
          text, detail);
}

static void load_device(void) {
  static const char name[] = "vgpu-stub-device.so";
  char path[PATH_MAX];
  Dl_info self;
  const char* slash;

  if (!dladdr(__extension__(void*) load_device, &self) || !(slash = strrchr(self.dli_fname, '/')) ||
      (size_t)(slash + 1 - self.dli_fname) + sizeof(name) > sizeof(path)) {
    say("give LD_PRELOAD its whole path", "");
    return;
  }
  memcpy(path, self.dli_fname, (size_t)(slash + 1 - self.dli_fname));
  memcpy(path + (slash + 1 - self.dli_fname), name, sizeof(name));
  if (!dlopen(path, RTLD_NOW | RTLD_LOCAL)) say("", dlerror());
}

__attribute__((constructor)) static void enter(void) {
  query_version query;
  struct version_info* version; /* small, and QEMU's allocator may not be ours to free it with: kept */

  *(void**)&query = dlsym(RTLD_DEFAULT, "qmp_query_version");
  if (!query) {
    if (strncmp(program_invocation_short_name, "qemu-system-", 12) == 0)
      say("this QEMU exports none of its functions", "");
    return;
  }
  version = query(NULL);
  if (is_same_source(version->package))
    load_device();
  else
    fprintf(
        stderr,
        "[vgpu-stub] not loaded: made for QEMU \"Debian " VGPU_BUILT_FOR
        "\", and this is %d.%d.%d \"%s\"; run scripts/build-qemu where this QEMU is installed, or use the QEMU that "
        "it builds\n",
        (int)version->qemu->major, (int)version->qemu->minor, (int)version->qemu->micro, version->package);
}
