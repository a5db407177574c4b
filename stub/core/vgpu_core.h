/* SPDX-License-Identifier: Apache-2.0
 *
 * The vgpu-stub device without the machine around it (decision 19): registers, channel table, link to the broker,
 * reset. A front (QEMU, Xen, a test) owns the event loop and the guest's address space, and calls in; the core calls
 * the front's functions back. One thread at a time. The core never blocks, allocates only in vgpu_core_new(), and never
 * asserts on what a guest or a broker sends: it counts, and logs at a bounded rate.
 *
 *   new -> start -> [on_timer -> connect -> hello -> link up | refused] -> on_socket ... -> reset -> ... -> free
 */
#ifndef VGPU_STUB_CORE_VGPU_CORE_H
#define VGPU_STUB_CORE_VGPU_CORE_H

#include <stddef.h>
#include <stdint.h>

#include "common/abi/device_registers.h"

#ifdef __cplusplus
extern "C" {
#endif

enum vgpu_core_log_level { VGPU_CORE_ERROR = 0, VGPU_CORE_WARNING = 1, VGPU_CORE_INFO = 2, VGPU_CORE_TRACE = 3 };

/* What the front does for the core. Each gets `front`, as given to vgpu_core_new(). None may call back into the core.
 */
struct vgpu_core_front {
  /* One line without a newline, as it shall appear ("[vgpu-stub] ..."), already bounded in rate. */
  void (*log)(void* front, enum vgpu_core_log_level level, const char* line);
  /* Puts `size` bytes of `fd` behind BAR1, shared. 0, or an errno: then the link goes down again. `fd` stays the
   * core's. */
  int (*attach_window)(void* front, int fd, uint64_t size);
  /* Puts the placeholder behind BAR1 again: what the guest writes there is lost, what it reads is all ones. */
  void (*detach_window)(void* front);
  /* Writes of any size and value to the doorbell at `offset` in BAR0 shall signal `eventfd` without the core. 0 if so;
   * otherwise the core does it, when the write reaches vgpu_core_bar0_write(). Null: never. `eventfd` stays the core's.
   */
  int (*attach_doorbell)(void* front, unsigned channel, uint64_t offset, int eventfd);
  void (*detach_doorbell)(void* front, unsigned channel, uint64_t offset, int eventfd);
  /* Calls vgpu_core_on_ready(core, fd) when `fd` is readable or hung up (and, with `writable`, also when it can be
   * written), level-triggered, until unwatched. The same fd may be watched again with another `writable`. */
  void (*watch)(void* front, int fd, int writable);
  void (*unwatch)(void* front, int fd);
  /* Calls vgpu_core_on_timer() once at `when` (of now_ms()); replaces what was set before; 0 cancels. */
  void (*set_timer)(void* front, uint64_t when_ms);
  /* Milliseconds that never go back; not the guest's clock, which stops with it. */
  uint64_t (*now_ms)(void* front);
};

struct vgpu_core_config {
  const char* socket;   /* of the broker, as this process sees it at run time; copied */
  uint64_t window_size; /* bytes of BAR1: a power of two from VGPU_CORE_WINDOW_MIN to VGPU_CORE_WINDOW_MAX */
  char pool;            /* 'A' or 'B' */
  unsigned priority;    /* 0 low, 1 medium, 2 high */
  uint32_t vm_id;
  unsigned channels;          /* at most VGPU_CHANNEL_MAX; 0: that many */
  unsigned legacy_timeout_ms; /* 0: VGPU_CORE_LEGACY_TIMEOUT_MS */
  bool traces;                /* a line for each doorbell; then the front never takes one */
};

#define VGPU_CORE_WINDOW_MIN (UINT64_C(64) << 20)
#define VGPU_CORE_WINDOW_MAX (UINT64_C(512) << 30)
#define VGPU_CORE_WINDOW_DEFAULT (UINT64_C(1) << 30)
#define VGPU_CORE_LEGACY_TIMEOUT_MS 5000u
#define VGPU_CORE_DEFAULT_SOCKET "/tmp/vgpu-mediator.sock"
#define VGPU_CORE_RETRY_MS 200u          /* between attempts while nobody answers */
#define VGPU_CORE_REFUSED_RETRY_MS 2000u /* after an answer that was no link: a refusal, nonsense */
/* Lines a minute at most; how many were left out is said with the next one. */
#define VGPU_CORE_LINK_LINES 30u
#define VGPU_CORE_MISTAKE_LINES 10u
#define VGPU_CORE_TRACE_LINES 60000u

struct vgpu_core;

/* Null if the configuration is wrong or there is no memory: `error` then says what, and what would be right. */
struct vgpu_core* vgpu_core_new(const struct vgpu_core_config* config, const struct vgpu_core_front* front,
                                void* opaque, char* error, size_t error_size);
/* From now on the link is sought; the first attempt is made by the timer, so from the front's main loop. */
void vgpu_core_start(struct vgpu_core* core);
/* Closes the link: the broker takes everything back. Detaches window and doorbells. Null is allowed. */
void vgpu_core_free(struct vgpu_core* core);

/* The guest's accesses to BAR0: any offset and size (1, 2, 4 or 8) that the bus lets through. */
uint64_t vgpu_core_bar0_read(struct vgpu_core* core, uint64_t offset, unsigned size);
void vgpu_core_bar0_write(struct vgpu_core* core, uint64_t offset, uint64_t value, unsigned size);

/* Reset of guest or device: everything is as after start, except GENERATION and MISTAKES. Waits for nothing: the broker
 * reclaims on its own, and the next link-up brings a fresh window when it has. */
void vgpu_core_reset(struct vgpu_core* core);

/* Either may be called when there is nothing to do: both look for themselves. */
void vgpu_core_on_ready(struct vgpu_core* core, int fd);
void vgpu_core_on_timer(struct vgpu_core* core);

/* For the front's introspection and for tests. */
enum vgpu_link_status vgpu_core_link(const struct vgpu_core* core);
uint64_t vgpu_core_mistakes(const struct vgpu_core* core);

#ifdef __cplusplus
}
#endif
#endif
