/* SPDX-License-Identifier: Apache-2.0
 *
 * What stubs of revision 2 say at the broker's sockets, and what legacy requests look like inside, whichever way they
 * come: from such a stub, or from the legacy page of ours (device_registers.h). All fields are little-endian.
 *
 *   stub                            broker
 *   REQUEST, payload           ->
 *                              <-   RESPONSE, payload      or BUSY, or QUARANTINED, without one
 *   PING                       ->
 *                              <-   PONG
 *
 * A connection carries any number of them, one after another or several at once; answers come in the order of the
 * requests and repeat their vm_id, request_id, pool and priority. The broker reads this header only: the payload is
 * for the VM's legacy worker.
 */
#ifndef VGPU_COMMON_ABI_LEGACY_STUB_H
#define VGPU_COMMON_ABI_LEGACY_STUB_H

#include <stdint.h>

#include "common/abi/device_registers.h"

#define VGPU_LEGACY_STUB_MAGIC 0x56475055u

enum vgpu_legacy_message {
  VGPU_LEGACY_MESSAGE_REQUEST = 0x01,
  VGPU_LEGACY_MESSAGE_RESPONSE = 0x02,
  VGPU_LEGACY_MESSAGE_PING = 0x03,
  VGPU_LEGACY_MESSAGE_PONG = 0x04,
  VGPU_LEGACY_MESSAGE_BUSY = 0x05, /* rate limited: error 10 of the guest */
  VGPU_LEGACY_MESSAGE_QUARANTINED = 0x06,
  /* CUDA as it once was: answered by a response with status "unsupported". */
  VGPU_LEGACY_MESSAGE_OLD_CUDA_FIRST = 0x10,
  VGPU_LEGACY_MESSAGE_OLD_CUDA_LAST = 0x12
};

struct vgpu_legacy_message_header {
  uint32_t magic;
  uint32_t type;
  uint32_t vm_id;      /* a label */
  uint32_t request_id; /* the stub's own */
  char pool;           /* 'A' or 'B' */
  uint8_t priority;    /* 0 low, 1 medium, 2 high */
  uint16_t padding;
  uint32_t payload_length; /* bytes that follow; of a request at most VGPU_LEGACY_BUFFER_SIZE */
};

/* The payload of a request: this, `parameter_count` u32 parameters, then data. Offsets are from its start. */
struct vgpu_legacy_call {
  uint32_t version; /* VGPU_LEGACY_VERSION */
  uint32_t opcode;  /* enum vgpu_legacy_opcode */
  uint32_t flags;   /* none is known; any are let through */
  uint32_t parameter_count;
  uint32_t data_offset; /* means nothing while data_length is 0 */
  uint32_t data_length;
  uint32_t reserved[2];
};

enum vgpu_legacy_opcode {
  VGPU_LEGACY_NO_OP = 0,
  VGPU_LEGACY_ADD = 1, /* two parameters: one result, their sum modulo 2^32, computed on the GPU */
  VGPU_LEGACY_DEVICE_INFORMATION = 5
};

/* The payload of a response: this, `result_count` u32 results, then data. Present with errors too, without results. */
struct vgpu_legacy_answer {
  uint32_t version; /* VGPU_LEGACY_VERSION */
  uint32_t status;  /* enum vgpu_legacy_error */
  uint32_t result_count;
  uint32_t data_offset; /* 0 without data */
  uint32_t data_length;
  uint32_t execution_us; /* microseconds that computing took */
  uint32_t reserved[2];
};

/* Results of the device information, by index; the data is the first device's name, without an end mark. Append only:
 * a guest that knows fewer reads those that it knows. */
enum vgpu_legacy_information {
  VGPU_LEGACY_INFO_DEVICES = 0,        /* that the host's driver has */
  VGPU_LEGACY_INFO_DRIVER_VERSION = 1, /* as cuDriverGetVersion says it: 13000 is 13.0 */
  /* Of the first device: */
  VGPU_LEGACY_INFO_MAJOR = 2, /* compute capability */
  VGPU_LEGACY_INFO_MINOR = 3,
  VGPU_LEGACY_INFO_MEMORY_MIB = 4,
  VGPU_LEGACY_INFO_MULTIPROCESSORS = 5,
  VGPU_LEGACY_INFO_CLOCK_KHZ = 6,
  VGPU_LEGACY_INFO_IS_SOFTWARE = 7, /* 1: the software GPU */
  VGPU_LEGACY_INFO_COUNT = 8
};

#ifdef __cplusplus
#define VGPU_LEGACY_ASSERT static_assert
#else
#define VGPU_LEGACY_ASSERT _Static_assert
#endif
VGPU_LEGACY_ASSERT(sizeof(struct vgpu_legacy_message_header) == 24, "message header");
VGPU_LEGACY_ASSERT(sizeof(struct vgpu_legacy_call) == 32, "request");
VGPU_LEGACY_ASSERT(sizeof(struct vgpu_legacy_answer) == 32, "response");

#endif
