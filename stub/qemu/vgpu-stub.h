/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The state of one vgpu-stub device in QEMU: vgpu-stub.c makes and ends it, front.c does for the core what depends on
 * QEMU. Everything here runs under QEMU's big lock: in the main loop, or in the thread of a vCPU that accesses BAR0.
 */
#ifndef VGPU_STUB_QEMU_VGPU_STUB_H
#define VGPU_STUB_QEMU_VGPU_STUB_H

#include "stub/core/vgpu_core.h"
#include "stub/qemu/compat.h"

#define TYPE_VGPU_STUB "vgpu-stub"
#define VGPU_STUB(object) OBJECT_CHECK(struct vgpu_stub, (object), TYPE_VGPU_STUB)

/* The link's socket, the pidfd of each channel's worker, and some room. */
#define VGPU_WATCH_MAX (VGPU_CHANNEL_MAX + 8u)

struct vgpu_stub;

/* A descriptor that the core wants to hear of; QEMU hands its handlers one pointer only. */
struct vgpu_watch {
  struct vgpu_stub* stub; /* null: this entry is free */
  int fd;
};

struct vgpu_stub {
  PCIDevice pci;

  /* Properties. */
  char* pool;
  char* priority;
  char* socket;
  uint32_t vm_id;
  uint32_t channels;
  uint64_t window_size;
  bool ioeventfd;
  bool traces;
  uint16_t vendor_id;
  uint16_t device_id;
  uint16_t subsystem_vendor_id;
  uint16_t subsystem_id;

  struct vgpu_core* core; /* null: not realised */
  QEMUTimer* timer;

  MemoryRegion registers;   /* BAR0 */
  MemoryRegion bar1;        /* holds the two below */
  MemoryRegion placeholder; /* always there */
  MemoryRegion window;      /* covers the placeholder while the broker's memory is attached */
  bool attached;

  /* One range of addresses for the life of the device; `window` stands on it, whatever is mapped there. */
  void* range; /* window_size bytes from a 2 MiB boundary on; null: none yet */
  void* range_mapping;
  size_t range_mapping_size;

  struct vgpu_watch watches[VGPU_WATCH_MAX];
  EventNotifier doorbells[VGPU_CHANNEL_MAX];
  bool has_doorbell[VGPU_CHANNEL_MAX]; /* QEMU or KVM signals it */
};

/* The functions that the core calls; each gets the struct vgpu_stub. */
extern const struct vgpu_core_front vgpu_qemu_front;

/* What stays in front.c's care around the core's life. */
bool vgpu_reserve_range(struct vgpu_stub* stub, Error** errp);
void vgpu_release_range(struct vgpu_stub* stub);
void vgpu_on_timer(void* opaque);

#endif
