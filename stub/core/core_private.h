/* SPDX-License-Identifier: Apache-2.0
 *
 * The core's state and what its files ask of one another.
 *
 *   registers.c  -> legacy.c, command.c, channels.c     what the guest reads and writes
 *   link.c       -> legacy.c, command.c, channels.c     what the broker says
 *   core.c       life, timer, log
 *
 * Every entry point of vgpu_core.h ends with vgpu_core_arm().
 */
#ifndef VGPU_STUB_CORE_CORE_PRIVATE_H
#define VGPU_STUB_CORE_CORE_PRIVATE_H

#include <stdbool.h>
#include <sys/un.h>

#include "common/abi/stub_link.h"
#include "stub/core/link_io.h"
#include "stub/core/log_rate.h"
#include "stub/core/vgpu_core.h"

#define VGPU_BITMAP_WORDS (VGPU_CHANNEL_MAX / 64)

struct vgpu_core_channel {
  enum vgpu_channel_state state;
  uint32_t exit_class;
  uint64_t window_offset;
  uint64_t client;
  int doorbell;      /* eventfd, -1 */
  int worker;        /* pidfd, watched; -1 once the worker has ended */
  bool front_rings;  /* the front signals the doorbell without us */
  bool at_broker;    /* the broker holds it: it must be closed there before it is free */
  bool is_returning; /* given back without a link: not used again before the broker has confirmed it. State is FREE */
};

struct vgpu_core_command {
  enum vgpu_command_status status;
  unsigned operation; /* while busy */
  unsigned channel;
  uint32_t argument;
  uint32_t result;
  uint8_t request[VGPU_MAILBOX_SIZE];
  uint8_t reply[VGPU_MAILBOX_SIZE];
};

struct vgpu_core_legacy {
  uint32_t status;
  uint32_t error;
  uint32_t request_length;
  uint32_t response_length;
  uint32_t irq_control;
  uint32_t request_id; /* the guest's */
  uint32_t scratch;
  uint64_t done_us;
  uint32_t number;      /* the stub's own, of the last request sent: a late answer has another one */
  uint64_t deadline_ms; /* while busy */
  uint8_t request[VGPU_LEGACY_BUFFER_SIZE];
  uint8_t response[VGPU_LEGACY_BUFFER_SIZE];
};

enum vgpu_link_phase {
  VGPU_PHASE_APART,    /* no connection; retry_ms says when the next attempt is made */
  VGPU_PHASE_AWAITING, /* connected, hello sent */
  VGPU_PHASE_JOINED
};

struct vgpu_core_link {
  enum vgpu_link_phase phase;
  enum vgpu_link_status status; /* as the guest sees it: stays REFUSED while the next attempt is under way */
  uint64_t retry_ms;            /* 0: none */
  bool is_tried;
  uint64_t attempt_ms; /* of the last attempt */
  uint64_t slow_ms;    /* when to say that hello has no answer yet; 0: not */
  bool is_writable_watched;
  bool hello_had_window;
  uint64_t shown[VGPU_BITMAP_WORDS]; /* channels in the last hello */
  uint32_t generation;
  uint32_t channels;
  uint32_t broker_pid;
  char text[VGPU_LINK_TEXT_SIZE];
  bool told_connected;
  char told[VGPU_LINK_TEXT_SIZE + 128]; /* the last line, so that each change is said once */
  struct vgpu_link_io io;
};

struct vgpu_core {
  struct vgpu_core_config config; /* its socket is `path` */
  char path[sizeof(((struct sockaddr_un*)0)->sun_path)];
  struct vgpu_core_front front;
  void* opaque;
  bool is_started;
  uint64_t armed_ms; /* what the front's timer is set to; 0: not */
  uint64_t mistakes;
  struct vgpu_log_rate link_lines;
  struct vgpu_log_rate mistake_lines;
  struct vgpu_log_rate trace_lines;
  int window; /* memfd behind BAR1, -1: the placeholder */
  struct vgpu_core_link link;
  struct vgpu_core_legacy legacy;
  struct vgpu_core_command command;
  struct vgpu_core_channel channels[VGPU_CHANNEL_MAX];
};

/* ---- core.c ---- */
uint64_t vgpu_core_now(struct vgpu_core* core);
/* Sets the front's timer to the next thing that is due. */
void vgpu_core_arm(struct vgpu_core* core);
void vgpu_core_log(struct vgpu_core* core, struct vgpu_log_rate* rate, enum vgpu_core_log_level level,
                   const char* format, ...) __attribute__((format(printf, 4, 5)));
/* The guest broke a rule: counted, and logged at a bounded rate. */
void vgpu_core_mistake(struct vgpu_core* core, const char* what, uint64_t offset, unsigned size);

/* ---- link.c ---- */
bool vgpu_link_is_up(const struct vgpu_core* core);
void vgpu_link_begin(struct vgpu_core* core);
/* Closes the connection on purpose: the broker takes everything back. The next attempt is due at once. */
void vgpu_link_restart(struct vgpu_core* core);
void vgpu_link_end(struct vgpu_core* core);
void vgpu_link_on_ready(struct vgpu_core* core);
void vgpu_link_on_timer(struct vgpu_core* core, uint64_t now_ms);
uint64_t vgpu_link_due(const struct vgpu_core* core);
/* Link up only, and with room: see vgpu_link_has_room(). Fills in the header. */
void vgpu_link_send(struct vgpu_core* core, unsigned type, void* message, size_t size);
/* True if a message of `size` can be queued and a command still can after it. */
bool vgpu_link_has_room(const struct vgpu_core* core, size_t size);

/* ---- window.c ---- */
/* Null if `fd` can be the window, else why not. */
const char* vgpu_window_check(int fd, uint64_t size);
/* Owns `fd`, also when it fails. 0 or an errno. */
int vgpu_window_attach(struct vgpu_core* core, int fd);
void vgpu_window_detach(struct vgpu_core* core);

/* ---- legacy.c ---- */
/* False if the access breaks a rule. */
bool vgpu_legacy_read(struct vgpu_core* core, uint64_t offset, unsigned size, uint64_t* value);
bool vgpu_legacy_write(struct vgpu_core* core, uint64_t offset, uint64_t value, unsigned size);
void vgpu_legacy_reset(struct vgpu_core* core);
void vgpu_legacy_link_lost(struct vgpu_core* core);
void vgpu_legacy_on_timer(struct vgpu_core* core, uint64_t now_ms);
uint64_t vgpu_legacy_due(const struct vgpu_core* core);
/* Null, or what is wrong with the broker's message. */
const char* vgpu_legacy_responded(struct vgpu_core* core, const struct vgpu_legacy_response* response);

/* ---- command.c ---- */
/* False if the guest broke a rule. */
bool vgpu_command_write(struct vgpu_core* core, uint32_t value);
void vgpu_command_reset(struct vgpu_core* core);
void vgpu_command_link_lost(struct vgpu_core* core);
/* Null, or what is wrong with the broker's message. Take the descriptors from the frame. */
const char* vgpu_command_opened(struct vgpu_core* core, struct vgpu_link_io* io);
const char* vgpu_command_closed(struct vgpu_core* core, const struct vgpu_closed* closed);

/* ---- channels.c ---- */
void vgpu_channels_init(struct vgpu_core* core);
/* A channel that can be opened, or VGPU_CHANNEL_MAX. */
unsigned vgpu_channels_find_free(const struct vgpu_core* core);
/* Null, or what is wrong with the descriptors. Owns them from now on. */
const char* vgpu_channel_open(struct vgpu_core* core, unsigned channel, int doorbell, int worker);
void vgpu_channel_lose(struct vgpu_core* core, unsigned channel, uint32_t exit_class);
void vgpu_channel_free(struct vgpu_core* core, unsigned channel);
void vgpu_channels_free_all(struct vgpu_core* core);
/* Their window is gone: they are lost, and the broker knows nothing of them. */
void vgpu_channels_lose_all(struct vgpu_core* core);
/* The channels that the guest holds, for a hello. */
void vgpu_channels_show(const struct vgpu_core* core, uint64_t held[VGPU_BITMAP_WORDS]);
/* After a kept link: those that are not in `living` are lost; those given back meanwhile are closed. */
void vgpu_channels_keep(struct vgpu_core* core, const uint64_t living[VGPU_BITMAP_WORDS]);
/* True if `fd` is that of a worker, which has ended now. */
bool vgpu_channels_on_ready(struct vgpu_core* core, int fd);
/* False if the channel is not open. */
bool vgpu_channel_ring(struct vgpu_core* core, unsigned channel, uint64_t value);
bool vgpu_channels_read_table(const struct vgpu_core* core, uint64_t offset, unsigned size, uint64_t* value);

/* ---- bytes: little-endian, whatever the host is ---- */
static inline uint64_t vgpu_get_bytes(const uint8_t* at, unsigned size) {
  uint64_t value = 0;
  for (unsigned i = 0; i < size; ++i) value |= (uint64_t)at[i] << (8 * i);
  return value;
}
static inline void vgpu_put_bytes(uint8_t* at, uint64_t value, unsigned size) {
  for (unsigned i = 0; i < size; ++i) at[i] = (uint8_t)(value >> (8 * i));
}

#endif
