/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the device's core asks of its surroundings, done with QEMU's means: log, BAR1, doorbells, descriptors, time.
 */
#include "stub/qemu/vgpu-stub.h"

#include <sys/mman.h>

/* ---- log ---- */

static void front_log(void* front, enum vgpu_core_log_level level, const char* line) {
  (void)front;
  switch (level) {
    case VGPU_CORE_ERROR:
      error_report("%s", line);
      break;
    case VGPU_CORE_WARNING:
      warn_report("%s", line);
      break;
    case VGPU_CORE_INFO:
    case VGPU_CORE_TRACE:
      error_printf("%s\n", line);
      break;
  }
}

/* ---- BAR1 ----
 *
 * The RAM region over the placeholder is made once, upon a range of addresses that is ours as long as the device lives;
 * attaching and detaching map other memory there and switch the region on and off. No region comes or goes while the
 * guest runs.
 *
 * Who may still use the range when the region has been switched off?
 *   KVM   nobody: deleting a memory slot returns when no vCPU uses it any more, and KVM finds pages through the range,
 *         so what is mapped there later cannot be reached through old page tables either.
 *   TCG   a vCPU that is in the middle of translated code keeps its host addresses until it takes the flush that
 *         switching off has queued for it. Until then its loads and stores go to the range.
 *   Others that had mapped a part of BAR1 for a transfer (a disk read into BAR1, say) finish it.
 * So the range must be readable and writable memory at every moment: a hole would end QEMU by a signal, and what the
 * guest did in time would decide about it. Therefore memory is only ever replaced (MAP_FIXED, in one step), and what
 * replaces the window is private memory that nobody else sees. Such a late access is lost there, or reaches the next
 * window, which is the same VM's. What it dirties is given back by the next replacement or with the device.
 *
 * The range is freed when the device object ends: QEMU lets go of the last view of its memory after a grace period of
 * RCU, and vCPUs take queued flushes before they begin anew.
 */

#define RANGE_ALIGNMENT ((size_t)2 << 20) /* so that KVM may use large pages where the window has them */

bool vgpu_reserve_range(struct vgpu_stub* stub, Error** errp) {
  size_t size = (size_t)stub->window_size + RANGE_ALIGNMENT;
  void* mapping = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

  if (mapping == MAP_FAILED) {
    error_setg(errp,
               "vgpu-stub: cannot reserve %" PRIu64
               " MiB of addresses for window-size (%s): take a smaller one, or "
               "raise the limit on QEMU's address space",
               stub->window_size >> 20, strerror(errno));
    return false;
  }
  stub->range_mapping = mapping;
  stub->range_mapping_size = size;
  stub->range = (void*)(((uintptr_t)mapping + RANGE_ALIGNMENT - 1) & ~(uintptr_t)(RANGE_ALIGNMENT - 1));
  return true;
}

void vgpu_release_range(struct vgpu_stub* stub) {
  if (stub->range_mapping) munmap(stub->range_mapping, stub->range_mapping_size);
  stub->range_mapping = NULL;
  stub->range = NULL;
}

static void put_private_memory(struct vgpu_stub* stub) {
  int flags = MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;

  /* If it fails, the old window stays: memory that this VM had anyway, lost to everybody else. */
  if (mmap(stub->range, stub->window_size, PROT_READ | PROT_WRITE, flags, -1, 0) == MAP_FAILED)
    error_report("[vgpu-stub] cannot take the window's memory away (%s): it stays in use until the next link-up",
                 strerror(errno));
}

static void front_detach_window(void* front) {
  struct vgpu_stub* stub = front;

  if (!stub->attached) return;
  stub->attached = false;
  memory_region_set_enabled(&stub->window, false);
  put_private_memory(stub);
}

static int front_attach_window(void* front, int fd, uint64_t size) {
  struct vgpu_stub* stub = front;
  int error;

  if (size != stub->window_size) return ERANGE;
  front_detach_window(stub);
  if (mmap(stub->range, size, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_SHARED, fd, 0) == MAP_FAILED) {
    error = errno;
    put_private_memory(stub); /* the kernel may have removed what was there before it failed */
    return error;
  }
  memory_region_set_enabled(&stub->window, true);
  stub->attached = true;
  return 0;
}

/* ---- doorbells ---- */

/* Of all devices in this process. The kernel lets about 1000 devices and eventfds stand on KVM's bus, other devices
 * want some too, and QEMU aborts if one is refused. */
#define BOUND_DOORBELLS_MAX 512u
static unsigned bound_doorbells;

/* KVM refuses anything else. Where /proc is not to be seen, we cannot know, and do without. */
static bool is_eventfd(int fd) {
  static const char expected[] = "anon_inode:[eventfd]";
  char path[32];
  char target[sizeof(expected)];
  ssize_t length;

  snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
  length = readlink(path, target, sizeof(target));
  return length == (ssize_t)sizeof(expected) - 1 && memcmp(target, expected, sizeof(expected) - 1) == 0;
}

static int front_attach_doorbell(void* front, unsigned channel, uint64_t offset, int eventfd) {
  struct vgpu_stub* stub = front;

  if (!stub->ioeventfd || !vgpu_has_wildcard_eventfd()) return ENOTSUP;
  if (channel >= VGPU_CHANNEL_MAX || stub->has_doorbell[channel]) return EINVAL;
  if (bound_doorbells >= BOUND_DOORBELLS_MAX) return ENOSPC;
  if (!is_eventfd(eventfd)) return EINVAL;
  event_notifier_init_fd(&stub->doorbells[channel], eventfd);
  memory_region_add_eventfd(&stub->registers, offset, 0, false, 0, &stub->doorbells[channel]);
  stub->has_doorbell[channel] = true;
  bound_doorbells++;
  return 0;
}

static void front_detach_doorbell(void* front, unsigned channel, uint64_t offset, int eventfd) {
  struct vgpu_stub* stub = front;

  (void)eventfd;
  if (channel >= VGPU_CHANNEL_MAX || !stub->has_doorbell[channel]) return;
  memory_region_del_eventfd(&stub->registers, offset, 0, false, 0, &stub->doorbells[channel]);
  stub->has_doorbell[channel] = false;
  bound_doorbells--;
}

/* ---- descriptors ---- */

static void on_ready(void* opaque) {
  struct vgpu_watch* watch = opaque;

  vgpu_core_on_ready(watch->stub->core, watch->fd);
}

static struct vgpu_watch* find_watch(struct vgpu_stub* stub, int fd) {
  unsigned i;

  for (i = 0; i < VGPU_WATCH_MAX; i++)
    if (stub->watches[i].stub && stub->watches[i].fd == fd) return &stub->watches[i];
  return NULL;
}

static struct vgpu_watch* free_watch(struct vgpu_stub* stub) {
  unsigned i;

  for (i = 0; i < VGPU_WATCH_MAX; i++)
    if (!stub->watches[i].stub) return &stub->watches[i];
  return NULL;
}

static void front_watch(void* front, int fd, int writable) {
  struct vgpu_stub* stub = front;
  struct vgpu_watch* watch = find_watch(stub, fd);

  if (!watch) watch = free_watch(stub);
  if (!watch) {
    error_report("[vgpu-stub] more than %u descriptors to watch; descriptor %d is not", VGPU_WATCH_MAX, fd);
    return;
  }
  watch->stub = stub;
  watch->fd = fd;
  qemu_set_fd_handler(fd, on_ready, writable ? on_ready : NULL, watch);
}

static void front_unwatch(void* front, int fd) {
  struct vgpu_watch* watch = find_watch(front, fd);

  if (!watch) return;
  qemu_set_fd_handler(fd, NULL, NULL, NULL);
  watch->stub = NULL;
}

/* ---- time ----
 * The host's clock: the link must live on while the guest is stopped. */

static uint64_t front_now_ms(void* front) {
  (void)front;
  return (uint64_t)qemu_clock_get_ms(QEMU_CLOCK_REALTIME);
}

static void front_set_timer(void* front, uint64_t when_ms) {
  struct vgpu_stub* stub = front;

  if (when_ms)
    timer_mod(stub->timer, (int64_t)when_ms);
  else
    timer_del(stub->timer);
}

void vgpu_on_timer(void* opaque) {
  struct vgpu_stub* stub = opaque;

  vgpu_core_on_timer(stub->core);
}

const struct vgpu_core_front vgpu_qemu_front = {
    .log = front_log,
    .attach_window = front_attach_window,
    .detach_window = front_detach_window,
    .attach_doorbell = front_attach_doorbell,
    .detach_doorbell = front_detach_doorbell,
    .watch = front_watch,
    .unwatch = front_unwatch,
    .set_timer = front_set_timer,
    .now_ms = front_now_ms,
};
