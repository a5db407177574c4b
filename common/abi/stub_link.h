/* SPDX-License-Identifier: Apache-2.0
 *
 * The link: messages between a device front (the stub) and the broker, on a stream socket that belongs to one VM. Plain
 * C, because the device is. They share frame header, magic and version rules with the broker's other messages
 * (common/control/messages.hpp): exact sizes, exact numbers of descriptors, reserved space zero.
 *
 *   stub                          broker
 *   STUB_HELLO [window]       ->
 *                             <-  LINK [window]          up, kept, or refused (then the broker closes)
 *   OPEN                      ->
 *                             <-  OPENED [doorbell, worker]   or refused, without descriptors
 *                             <-  CLOSED released = 0    the worker has ended; memory stays the guest's
 *   CLOSE                     ->
 *                             <-  CLOSED released = 1    the channel is free
 *   LEGACY_REQUEST            ->
 *                             <-  LEGACY_RESPONSE
 *
 * A stub that closes the connection gives everything back: channels are revoked, workers ended, the window dropped.
 * That is what a reset does; the connection made afterwards says hello without a window. A broker that ends without a
 * word leaves the workers running; the stub keeps the window, connects again, and shows the window that it holds.
 */
#ifndef VGPU_COMMON_ABI_STUB_LINK_H
#define VGPU_COMMON_ABI_STUB_LINK_H

#include <stdint.h>

#include "common/abi/device_registers.h"

#define VGPU_LINK_MAGIC 0x43504756u /* "VGPC" */
#define VGPU_LINK_MAJOR 1u
#define VGPU_LINK_MINOR 0u

enum vgpu_link_message {
  VGPU_STUB_HELLO = 16,
  VGPU_LINK = 17,
  VGPU_OPEN = 18,
  VGPU_OPENED = 19,
  VGPU_CLOSE = 20,
  VGPU_CLOSED = 21,
  VGPU_LEGACY_REQ = 22,
  VGPU_LEGACY_RESP = 23
};

struct vgpu_link_header {
  uint32_t magic;
  uint16_t type;
  uint16_t fd_count;
  uint32_t size; /* bytes, header included */
  uint16_t major;
  uint16_t minor;
};

/* Descriptors: none, or the window that this stub holds from an earlier broker. */
struct vgpu_stub_hello {
  struct vgpu_link_header header;
  uint16_t oldest_minor;
  uint8_t pool;     /* 'A', 'B': a label */
  uint8_t priority; /* 0 low, 1 medium, 2 high: a label */
  uint32_t vm_id;   /* a label */
  uint64_t window_size;
  uint64_t features;
  uint32_t channels; /* that the front can serve, at most VGPU_CHANNEL_MAX */
  uint32_t reserved;
  uint64_t open[VGPU_CHANNEL_MAX / 64]; /* with a window: bit n of word n / 64: the guest holds this channel */
};

/* Descriptors: the window if status is ok and kept is 0. */
struct vgpu_link {
  struct vgpu_link_header header;
  uint32_t status; /* enum HelloStatus */
  uint16_t chosen_major;
  uint16_t chosen_minor;
  uint64_t features;
  uint64_t window_size;
  uint32_t channels;
  uint32_t kept;                        /* 1: the window that the hello showed is still this VM's */
  uint64_t open[VGPU_CHANNEL_MAX / 64]; /* kept: channels whose worker lives; others of the hello are lost */
  uint32_t broker_pid;
  uint32_t reserved;
  char vm[64];    /* the VM's name at the broker */
  char text[240]; /* refused: why, one sentence */
};

struct vgpu_open {
  struct vgpu_link_header header;
  uint32_t channel;
  uint32_t size;                    /* of hello; the rest is zero */
  uint8_t hello[VGPU_MAILBOX_SIZE]; /* the guest's, not looked at by the stub */
};

/* Descriptors: doorbell (eventfd) and pidfd of the worker; none if refused. */
struct vgpu_opened {
  struct vgpu_link_header header;
  uint32_t channel;
  uint32_t status; /* enum HelloStatus */
  uint64_t window_offset;
  uint64_t client;
  uint8_t reply[512]; /* HelloReply for the guest, not looked at by the stub */
};

struct vgpu_close {
  struct vgpu_link_header header;
  uint32_t channel;
  uint32_t reserved;
};

struct vgpu_closed {
  struct vgpu_link_header header;
  uint32_t channel;
  uint32_t released;   /* 1: the channel is free */
  uint32_t exit_class; /* how the worker ended */
  uint32_t reserved;
};

/* A request of the legacy page, as the guest wrote it. */
struct vgpu_legacy_request {
  struct vgpu_link_header header;
  uint32_t request_id; /* the stub's own number, to match the response */
  uint32_t length;
  uint8_t payload[VGPU_LEGACY_BUFFER_SIZE];
};

struct vgpu_legacy_response {
  struct vgpu_link_header header;
  uint32_t request_id;
  uint32_t error; /* enum vgpu_legacy_error */
  uint32_t length;
  uint32_t reserved;
  uint8_t payload[VGPU_LEGACY_BUFFER_SIZE];
};

#ifdef __cplusplus
#define VGPU_LINK_ASSERT static_assert
#else
#define VGPU_LINK_ASSERT _Static_assert
#endif
VGPU_LINK_ASSERT(sizeof(struct vgpu_link_header) == 16, "frame header");
VGPU_LINK_ASSERT(sizeof(struct vgpu_stub_hello) == 64, "stub hello");
VGPU_LINK_ASSERT(sizeof(struct vgpu_link) == 376, "link");
VGPU_LINK_ASSERT(sizeof(struct vgpu_open) == 4120, "open");
VGPU_LINK_ASSERT(sizeof(struct vgpu_opened) == 552, "opened");
VGPU_LINK_ASSERT(sizeof(struct vgpu_close) == 24, "close");
VGPU_LINK_ASSERT(sizeof(struct vgpu_closed) == 32, "closed");
VGPU_LINK_ASSERT(sizeof(struct vgpu_legacy_request) == 1048, "legacy request");
VGPU_LINK_ASSERT(sizeof(struct vgpu_legacy_response) == 1056, "legacy response");

#endif
