/* SPDX-License-Identifier: Apache-2.0
 *
 * Layout of a client's channel in the window: plain C, because the device model and the guest kernel side may
 * look at it too. Offsets are from the start of the channel. With the direct transport the channel is the whole memfd.
 *
 *   0x000000  control page      who writes which word is said at each field; one writer per cache line
 *   0x001000  reply slots       VGPU_SLOT_COUNT x VGPU_SLOT_SIZE
 *   ring_offset                 ring_size bytes, a power of two
 *   console                     device printf and assert text, worker to guest
 *   heap_offset .. window_size  extents: pinned memory, staging, images; 2 MiB aligned
 *
 * Only plain loads, stores and fences are used on this memory (the mapping may be write-combining): see docs/rings.md.
 * The host validates every value that the guest writes, and never re-reads its own from here.
 */
#ifndef VGPU_COMMON_ABI_WINDOW_LAYOUT_H
#define VGPU_COMMON_ABI_WINDOW_LAYOUT_H

#include <stdint.h>

#define VGPU_WINDOW_MAGIC 0x55504756u /* "VGPU" */
#define VGPU_WINDOW_LAYOUT 1u         /* raised when an offset below changes */

#define VGPU_CONTROL_SIZE 0x1000u
#define VGPU_SLOT_COUNT 1020u
#define VGPU_SLOT_SIZE 1024u
#define VGPU_SLOT_DATA 896u /* bytes of reply data that fit into a slot: size - two lines */
#define VGPU_SLOTS_OFFSET 0x1000u
#define VGPU_RING_OFFSET 0x100000u    /* control page + slots = 1 MiB */
#define VGPU_RING_SIZE 0x200000u      /* 2 MiB */
#define VGPU_CONSOLE_OFFSET 0x300000u /* bytes of device printf, a ring of VGPU_CONSOLE_SIZE */
#define VGPU_CONSOLE_SIZE 0x100000u
#define VGPU_HEAP_OFFSET 0x400000u
#define VGPU_EXTENT_ALIGN 0x200000u

/* A record in the ring; sizes are multiples of VGPU_RECORD_ALIGN. */
#define VGPU_RECORD_ALIGN 16u
#define VGPU_RECORD_MAX 0x10000u /* header included; a parameter block is at most 32,764 bytes */
#define VGPU_OP_PAD 0u           /* fills the ring's end; its size says how much */

#define VGPU_RECORD_POSTED 1u /* nobody waits for a reply */

struct vgpu_record_header {
  uint32_t size;     /* bytes, header included */
  uint16_t op;       /* common/api: append-only numbers */
  uint16_t flags;    /* VGPU_RECORD_* */
  uint32_t slot;     /* thread slot of the issuing guest thread: where its reply goes */
  uint32_t sequence; /* of the reply; 0 when posted */
  uint64_t context;  /* handle of the issuing thread's current context, 0 if none */
  uint32_t body;     /* bytes after the header that mean something; the rest is alignment */
  uint32_t reserved; /* 0 */
};

/* State of the worker, as it publishes it. */
enum vgpu_worker_state {
  VGPU_WORKER_STARTING = 0,
  VGPU_WORKER_AWAKE = 1,    /* reads the ring: no doorbell needed */
  VGPU_WORKER_SLEEPING = 2, /* ring the doorbell after publishing the tail */
  VGPU_WORKER_FAILED = 3    /* it cannot serve: start_error says why */
};

/* What the survivors say about the other side (decision 6). */
enum vgpu_peer_status {
  VGPU_PEER_ALIVE = 0,
  VGPU_PEER_LOST = 1,   /* the worker is gone; sticky_error or 719 is the answer to every call */
  VGPU_PEER_REVOKED = 2 /* the host takes the channel back */
};

#define VGPU_GUEST_POLLS 1u /* the guest has no futex: it looks at words now and then, and wakes nobody */

struct vgpu_control {
  /* 0x000: written once by the broker before anybody else maps it */
  uint32_t magic;
  uint32_t layout;
  uint64_t window_size;
  uint32_t ring_offset;
  uint32_t ring_size;
  uint64_t heap_offset;
  uint64_t client; /* the broker's number of the client whose channel this is */
  uint8_t pad0[24];
  /* 0x040: written by the guest's producer */
  uint64_t tail; /* bytes appended since the start; monotonic */
  uint8_t pad1[56];
  /* 0x080: written by the worker's consumer */
  uint64_t head; /* bytes consumed since the start; monotonic */
  uint8_t pad2[56];
  /* 0x0c0: written by the worker */
  uint32_t worker_state; /* enum vgpu_worker_state */
  uint32_t sticky_error; /* CUresult that every later call gets; 0 = none */
  uint32_t start_error;  /* CUresult for cuInit when worker_state = FAILED */
  uint32_t console_tail; /* bytes of device printf output published since the start (see console_*) */
  uint8_t pad3[48];
  /* 0x100: written by the broker (or by the stub) */
  uint32_t peer_status; /* enum vgpu_peer_status */
  uint32_t exit_class;  /* why, for the log line in the guest: common/control/exit_class */
  uint8_t pad4[56];
  /* 0x140: written by the guest */
  uint32_t guest_ready; /* 1 once window_base is valid */
  uint32_t guest_flags; /* VGPU_GUEST_* */
  uint64_t window_base; /* address at which the guest mapped the channel; the worker maps it there too, or fails */
  uint64_t arena_base;  /* address range that the guest keeps free for device addresses */
  uint64_t arena_size;
  uint32_t console_head; /* bytes of console output taken by the guest */
  uint8_t pad5[28];
  /* 0x180: guest step, request side: written by the worker (decision 15) */
  uint32_t step_posted; /* count of steps requested since the start; futex word of the shim's agent */
  uint8_t pad6[60];
  /* 0x1c0: guest step, answer side: written by the shim's agent */
  uint32_t step_done;     /* count of steps finished, in order */
  uint32_t step_sleeping; /* the agent sleeps on step_posted */
  uint8_t pad7[56];
  /* 0x200: completed work: written by the worker */
  uint64_t completed; /* position in the ring up to which all GPU work is known to be complete */
  uint8_t pad8[56];
  /* 0x240: reserved */
  uint8_t pad9[0x800 - 0x240];
  /* 0x800: steps: (function, argument) pairs, written by the worker, read by the agent; index = count % 64 */
  struct {
    uint64_t callback; /* the guest's own number of the callback, as it sent it */
    uint64_t status;   /* CUresult handed to a stream callback */
  } steps[64];
  uint8_t pad10[0x1000 - 0xc00];
};

/* Reply slot of one guest thread. Line 0 and data: written by the worker. Line 1: written by the guest. */
struct vgpu_slot {
  uint32_t sequence; /* of the answered record; written last; futex word of the waiting thread */
  uint32_t result;   /* CUresult of the call */
  uint32_t deferred; /* CUresult of an earlier posted record of this thread, delivered once; 0 = none */
  uint32_t length;   /* bytes in data */
  uint8_t pad0[48];
  uint32_t sleeping; /* 1 while the thread sleeps on `sequence` */
  uint8_t pad1[60];
  uint8_t data[VGPU_SLOT_DATA];
};

#ifdef __cplusplus
#define VGPU_LAYOUT_ASSERT static_assert
#else
#define VGPU_LAYOUT_ASSERT _Static_assert
#endif
VGPU_LAYOUT_ASSERT(sizeof(struct vgpu_record_header) == 32, "record header");
VGPU_LAYOUT_ASSERT(sizeof(struct vgpu_control) == VGPU_CONTROL_SIZE, "control page");
VGPU_LAYOUT_ASSERT(sizeof(struct vgpu_slot) == VGPU_SLOT_SIZE, "reply slot");
VGPU_LAYOUT_ASSERT(VGPU_SLOTS_OFFSET + VGPU_SLOT_COUNT * VGPU_SLOT_SIZE <= VGPU_RING_OFFSET, "slots fit");
VGPU_LAYOUT_ASSERT(VGPU_RING_OFFSET + VGPU_RING_SIZE <= VGPU_CONSOLE_OFFSET, "ring fits");
VGPU_LAYOUT_ASSERT((VGPU_RING_SIZE & (VGPU_RING_SIZE - 1)) == 0, "ring size is a power of two");

#endif
