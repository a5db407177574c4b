/* SPDX-License-Identifier: Apache-2.0
 *
 * What a guest sees of the vgpu-stub PCI device: identity, BAR0 (registers), BAR1 (the window). Plain C: the device,
 * the guest's daemon and later a kernel module share it. All registers are little-endian; access them with aligned
 * 32-bit loads and stores (64-bit values: low word first). Offsets are from the start of BAR0.
 *
 *   0x00000  legacy page: the registers that stubs in the field have had since revision 2
 *   0x01000  device page: link, window, commands                  (guestd)
 *   0x02000  request buffer, 4 KiB                                 (guestd writes)
 *   0x03000  reply buffer, 4 KiB                                   (guestd reads)
 *   0x04000  channel table, VGPU_CHANNEL_MAX entries of 32 bytes   (read only)
 *   0x80000  channel pages, 4 KiB each: what a client maps         (doorbell, state)
 *
 * Nothing here is trusted by the host. A value that breaks a rule is ignored, and counted in VGPU_REG_MISTAKES.
 */
#ifndef VGPU_COMMON_ABI_DEVICE_REGISTERS_H
#define VGPU_COMMON_ABI_DEVICE_REGISTERS_H

/* PCI identity; vendor and device are properties, these are the field's values. */
#define VGPU_PCI_VENDOR 0x10deu
#define VGPU_PCI_DEVICE 0x2330u
#define VGPU_PCI_CLASS 0x1200u /* processing accelerator */
#define VGPU_PCI_REVISION 0x02u

#define VGPU_BAR0_SIZE 0x100000u

/* ---- legacy page ---- */
#define VGPU_LEGACY_DOORBELL 0x000u     /* RW: write 1 to submit the request */
#define VGPU_LEGACY_STATUS 0x004u       /* RO: enum vgpu_legacy_status */
#define VGPU_LEGACY_POOL_ID 0x008u      /* RO: 0x41 'A', 0x42 'B' */
#define VGPU_LEGACY_PRIORITY 0x00cu     /* RO: 0 low, 1 medium, 2 high */
#define VGPU_LEGACY_VM_ID 0x010u        /* RO */
#define VGPU_LEGACY_ERROR_CODE 0x014u   /* RO: enum vgpu_legacy_error, valid with STATUS = error */
#define VGPU_LEGACY_REQUEST_LEN 0x018u  /* RW: bytes */
#define VGPU_LEGACY_RESPONSE_LEN 0x01cu /* RO: bytes */
#define VGPU_LEGACY_PROTOCOL_VER 0x020u /* RO: VGPU_LEGACY_VERSION */
#define VGPU_LEGACY_CAPABILITIES 0x024u /* RO: VGPU_CAP_* */
#define VGPU_LEGACY_IRQ_CTRL 0x028u     /* RW */
#define VGPU_LEGACY_IRQ_STATUS 0x02cu   /* RW1C */
#define VGPU_LEGACY_REQUEST_ID 0x030u   /* RW */
#define VGPU_LEGACY_TIME_LO 0x034u      /* RO: completion time, microseconds */
#define VGPU_LEGACY_TIME_HI 0x038u      /* RO */
#define VGPU_LEGACY_SCRATCH 0x03cu      /* RW */
#define VGPU_LEGACY_REQUEST 0x040u      /* RW: 1024 bytes */
#define VGPU_LEGACY_RESPONSE 0x440u     /* RO: 1024 bytes */
#define VGPU_LEGACY_BUFFER_SIZE 1024u
#define VGPU_LEGACY_PAGE_SIZE 0x1000u /* all of BAR0 that a stub of the field has */
#define VGPU_LEGACY_VERSION 0x00010000u

#define VGPU_CAP_BASIC 0x001u    /* legacy requests */
#define VGPU_CAP_CHANNELS 0x100u /* the pages from 0x1000 on */

enum vgpu_legacy_status { VGPU_LEGACY_IDLE = 0, VGPU_LEGACY_BUSY = 1, VGPU_LEGACY_DONE = 2, VGPU_LEGACY_ERROR = 3 };

enum vgpu_legacy_error {
  VGPU_LEGACY_OK = 0,
  VGPU_LEGACY_INVALID_REQUEST = 1,
  VGPU_LEGACY_REQUEST_TOO_LARGE = 2,
  VGPU_LEGACY_MEDIATOR_UNAVAILABLE = 3,
  VGPU_LEGACY_TIMEOUT = 4,
  VGPU_LEGACY_CUDA_ERROR = 5,
  VGPU_LEGACY_INVALID_POOL = 6,
  VGPU_LEGACY_QUEUE_FULL = 7,
  VGPU_LEGACY_UNSUPPORTED = 8,
  VGPU_LEGACY_INVALID_LENGTH = 9,
  VGPU_LEGACY_RATE_LIMITED = 10,
  VGPU_LEGACY_QUARANTINED = 11
};

/* ---- device page ---- */
#define VGPU_REG_MAGIC 0x1000u      /* RO: VGPU_DEVICE_MAGIC; how a guest knows the device, whatever its PCI id */
#define VGPU_REG_LAYOUT 0x1004u     /* RO: VGPU_DEVICE_LAYOUT */
#define VGPU_REG_FEATURES 0x1008u   /* RO: none yet */
#define VGPU_REG_LINK 0x100cu       /* RO: enum vgpu_link_status */
#define VGPU_REG_GENERATION 0x1010u /* RO: counts link-ups that brought a new window; 0 before the first */
#define VGPU_REG_CHANNELS 0x1014u   /* RO: channels that may be open at once while the link is up, else 0 */
#define VGPU_REG_WINDOW_LO 0x1018u  /* RO: bytes of BAR1 */
#define VGPU_REG_WINDOW_HI 0x101cu  /* RO */
#define VGPU_REG_COMMAND 0x1020u    /* WO: VGPU_COMMAND_*, channel in the bits from 8 on */
#define VGPU_REG_STATUS 0x1024u     /* RO: enum vgpu_command_status of the last command */
#define VGPU_REG_ARGUMENT 0x1028u   /* RW: open: bytes of the request buffer that count */
#define VGPU_REG_RESULT 0x102cu     /* RO: open: the channel, once done */
#define VGPU_REG_MISTAKES 0x1030u   /* RO: accesses that broke a rule since the device was made; does not wrap */
#define VGPU_REG_BROKER_PID 0x1034u /* RO: on the host; 0 while the link is down */
#define VGPU_REG_LINK_TEXT 0x1100u  /* RO: 256 bytes: why the link is down, or the VM's name at the broker */
#define VGPU_LINK_TEXT_SIZE 256u

#define VGPU_DEVICE_MAGIC 0x44504756u /* "VGPD" */
#define VGPU_DEVICE_LAYOUT 1u

enum vgpu_link_status {
  VGPU_LINK_DOWN = 0,   /* nobody answers at the socket; tried again by itself */
  VGPU_LINK_UP = 1,     /* BAR1 is the window, channels can be opened */
  VGPU_LINK_REFUSED = 2 /* the broker refuses this VM: LINK_TEXT says why; tried again by itself, rarely */
};

/* Open: the request buffer holds a Hello (common/control/messages.hpp), ARGUMENT its size. Done: RESULT is the channel,
 * the reply buffer holds the broker's HelloReply. Error: the reply buffer holds a HelloReply that refuses.
 * Close: gives the channel back, whatever its state; done when it is free. The buffers belong to the device while busy.
 */
#define VGPU_COMMAND_OPEN 1u
#define VGPU_COMMAND_CLOSE 2u
#define VGPU_COMMAND_CHANNEL_SHIFT 8u

enum vgpu_command_status {
  VGPU_COMMAND_IDLE = 0,
  VGPU_COMMAND_BUSY = 1,
  VGPU_COMMAND_DONE = 2,
  VGPU_COMMAND_FAILED = 3, /* refused by the broker: the reply buffer says why */
  VGPU_COMMAND_LOST = 4,   /* the link went down meanwhile, or is down: nothing was opened or closed */
  VGPU_COMMAND_INVALID = 5 /* no such command or channel, or a wrong ARGUMENT */
};

#define VGPU_REQUEST_BUFFER 0x2000u
#define VGPU_REPLY_BUFFER 0x3000u
#define VGPU_MAILBOX_SIZE 0x1000u /* of each; the Hello is exactly this long */

/* ---- channel table ---- */
#define VGPU_CHANNEL_TABLE 0x4000u
#define VGPU_CHANNEL_MAX 128u
#define VGPU_CHANNEL_ENTRY 32u
#define VGPU_CHANNEL_STATE 0x00u     /* enum vgpu_channel_state */
#define VGPU_CHANNEL_EXIT 0x04u      /* lost: how the worker ended (common/control/exit_class.hpp) */
#define VGPU_CHANNEL_OFFSET_LO 0x08u /* place of the channel's first piece in BAR1 */
#define VGPU_CHANNEL_OFFSET_HI 0x0cu
#define VGPU_CHANNEL_CLIENT_LO 0x10u /* the broker's number of the client */
#define VGPU_CHANNEL_CLIENT_HI 0x14u

enum vgpu_channel_state {
  VGPU_CHANNEL_FREE = 0,
  VGPU_CHANNEL_OPENING = 1,
  VGPU_CHANNEL_OPEN = 2,
  VGPU_CHANNEL_LOST = 3, /* its worker has ended; its memory stays the client's until it is closed */
  VGPU_CHANNEL_CLOSING = 4
};

/* ---- channel pages ---- */
#define VGPU_CHANNEL_PAGES 0x80000u
#define VGPU_CHANNEL_PAGE_SIZE 0x1000u
#define VGPU_PAGE_DOORBELL \
  0x00u /* WO: any value wakes the worker; the number of the client's newest record, low 32 bits, serves traces */
#define VGPU_PAGE_STATE 0x40u /* RO: enum vgpu_channel_state, for a client that waits */

#endif
