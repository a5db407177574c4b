/* SPDX-License-Identifier: Apache-2.0
 *
 * Frames of the link on a non-blocking stream socket. What comes in is checked here as far as its type says: magic,
 * version, size, number of descriptors. What its fields mean is link.c's business.
 */
#ifndef VGPU_STUB_CORE_LINK_IO_H
#define VGPU_STUB_CORE_LINK_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/abi/stub_link.h"

#define VGPU_IO_FDS 2u /* the most that a message to the stub carries */
/* Room for a CLOSE of each channel, a command, and some legacy requests that the broker has not read yet. */
#define VGPU_IO_OUT 16384u
#define VGPU_IO_PROBLEM 160u

union vgpu_io_frame {
  struct vgpu_link_header header;
  struct vgpu_link link;
  struct vgpu_opened opened;
  struct vgpu_closed closed;
  struct vgpu_legacy_response legacy;
  uint8_t bytes[sizeof(struct vgpu_legacy_response)];
};

struct vgpu_link_io {
  int fd; /* -1: no connection */
  union vgpu_io_frame in;
  size_t received;
  int fds[VGPU_IO_FDS]; /* of the frame that is being received; -1 where the receiver has taken one */
  unsigned fd_count;
  uint8_t out[VGPU_IO_OUT];
  size_t out_begin;
  size_t out_end;
  bool broken; /* sending failed: the reader will find the end */
  char problem[VGPU_IO_PROBLEM];
};

enum vgpu_io_event {
  VGPU_IO_NOTHING,  /* no whole message yet */
  VGPU_IO_MESSAGE,  /* io->in and io->fds hold it until the next call */
  VGPU_IO_CLOSED,   /* the other side has ended, or the socket failed */
  VGPU_IO_NONSENSE, /* what came is no message for a stub: io->problem says why */
  VGPU_IO_FOREIGN   /* a message of another major version: only its header is there */
};

void vgpu_io_init(struct vgpu_link_io* io);
/* 0, or an errno; `call` then names what failed. Never blocks: a Unix socket is connected at once, or refuses. */
int vgpu_io_connect(struct vgpu_link_io* io, const char* path, const char** call);
/* Closes the connection and what came with it; what was not sent is dropped. */
void vgpu_io_close(struct vgpu_link_io* io);

/* Sends the first message of a connection with `fd` (-1: none). 0 or an errno. */
int vgpu_io_send_first(struct vgpu_link_io* io, const void* message, size_t size, int fd);
/* Bytes that can be queued now. */
size_t vgpu_io_room(const struct vgpu_link_io* io);
/* Queues a message and sends what can be sent. The caller has looked at vgpu_io_room(). 0 or an errno. */
int vgpu_io_send(struct vgpu_link_io* io, const void* message, size_t size);
int vgpu_io_flush(struct vgpu_link_io* io);
bool vgpu_io_is_pending(const struct vgpu_link_io* io);

enum vgpu_io_event vgpu_io_receive(struct vgpu_link_io* io);
/* The descriptor that came as number `index`; from now on the caller's. */
int vgpu_io_take_fd(struct vgpu_link_io* io, unsigned index);

#endif
