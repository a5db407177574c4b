/* SPDX-License-Identifier: Apache-2.0
 *
 * The memory behind BAR1: checked before a front maps it, for a window that shrank would kill the front with SIGBUS.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "stub/core/core_private.h"

/* Older C libraries do not name them. */
#ifndef F_GET_SEALS
#define F_GET_SEALS 1034
#endif
#ifndef F_SEAL_SHRINK
#define F_SEAL_SHRINK 2
#define F_SEAL_GROW 4
#endif

const char* vgpu_window_check(int fd, uint64_t size) {
  struct stat about;
  if (fstat(fd, &about) != 0 || !S_ISREG(about.st_mode)) return "a window that is no memory file";
  if (about.st_size < 0 || (uint64_t)about.st_size != size) return "a window of another size than BAR1";
  const int seals = fcntl(fd, F_GET_SEALS);
  const int needed = F_SEAL_SHRINK | F_SEAL_GROW;
  if (seals < 0 || (seals & needed) != needed) return "a window that is not sealed against shrinking and growing";
  return NULL;
}

int vgpu_window_attach(struct vgpu_core* core, int fd) {
  vgpu_window_detach(core);
  const int error = core->front.attach_window(core->opaque, fd, core->config.window_size);
  if (error != 0) {
    close(fd);
    return error;
  }
  core->window = fd;
  return 0;
}

void vgpu_window_detach(struct vgpu_core* core) {
  if (core->window < 0) return;
  core->front.detach_window(core->opaque);
  close(core->window);
  core->window = -1;
}
