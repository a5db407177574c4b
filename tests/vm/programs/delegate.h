/* SPDX-License-Identifier: Apache-2.0
 *
 * What the test bench and its delegate in the guest say to each other, over a serial port: frames of a header and
 * `size` bytes. Numbers are little-endian. scripts/lib/vm/delegate.py is the other side.
 */
#ifndef VGPU_TESTS_VM_DELEGATE_H
#define VGPU_TESTS_VM_DELEGATE_H

#include <stdint.h>

struct frame_header {
  uint32_t size; /* of what follows */
  uint32_t id;   /* the bench's number of the program */
  uint32_t kind; /* enum frame_kind */
};

#define FRAME_MAX 65536u

enum frame_kind {
  /* from the bench */
  FRAME_RUN = 1, /* u32 user, u32 words, then the words, each ended by a zero byte; then settings for the environment */
  FRAME_INPUT = 2, /* for its standard input; empty: end of input */
  FRAME_KILL = 3,  /* u32 signal */
  /* from the guest */
  FRAME_READY = 64,   /* first of all: the boot id, as text */
  FRAME_STARTED = 65, /* u32 pid */
  FRAME_OUTPUT = 66,
  FRAME_ERRORS = 67,
  FRAME_ENDED = 68,  /* u32 status, as wait() gives it; the last frame of this id */
  FRAME_REFUSED = 69 /* why it could not be started, as text; the last frame of this id */
};

#endif
