/* SPDX-License-Identifier: Apache-2.0
 *
 * The mailbox: one command at a time. While it is busy, exactly one channel is OPENING or CLOSING.
 */
#include <stdio.h>
#include <string.h>

#include "common/abi/window_layout.h"
#include "stub/core/core_private.h"

static void finish(struct vgpu_core* core, enum vgpu_command_status status) {
  core->command.status = status;
  core->command.operation = 0;
}

static void begin(struct vgpu_core* core, unsigned operation, unsigned channel) {
  core->command.status = VGPU_COMMAND_BUSY;
  core->command.operation = operation;
  core->command.channel = channel;
}

/* ---- from the guest ---- */

/* A refusal by the device itself, in the broker's form: struct HelloReply of common/control/messages.hpp. */
static void refuse(struct vgpu_core* core) {
  struct {
    struct vgpu_link_header header;
    uint32_t status;
    uint16_t chosen_major;
    uint16_t chosen_minor;
    uint8_t nothing[248];
    char text[240];
  } reply;
  _Static_assert(sizeof reply == sizeof(((struct vgpu_opened*)0)->reply), "size of a HelloReply");
  memset(&reply, 0, sizeof reply);
  reply.header.magic = VGPU_LINK_MAGIC;
  reply.header.type = 2; /* hello_reply */
  reply.header.size = sizeof reply;
  reply.header.major = reply.chosen_major = VGPU_LINK_MAJOR;
  reply.header.minor = reply.chosen_minor = VGPU_LINK_MINOR;
  reply.status = 2; /* limit */
  snprintf(reply.text, sizeof reply.text,
           "all %u channels of the device are in use: end a CUDA program in this VM, or raise channels in the broker's "
           "[vm.NAME] (at most 128)",
           core->link.channels);
  memcpy(core->command.reply, &reply, sizeof reply);
  finish(core, VGPU_COMMAND_FAILED);
}

static void send_open(struct vgpu_core* core, unsigned channel) {
  struct vgpu_open message;
  memset(&message, 0, sizeof message);
  message.channel = channel;
  message.size = core->command.argument;
  memcpy(message.hello, core->command.request, core->command.argument);
  begin(core, VGPU_COMMAND_OPEN, channel);
  core->channels[channel].state = VGPU_CHANNEL_OPENING;
  vgpu_link_send(core, VGPU_OPEN, &message, sizeof message);
}

static bool open_channel(struct vgpu_core* core) {
  memset(core->command.reply, 0, sizeof core->command.reply);
  core->command.result = 0;
  if (core->command.argument == 0 || core->command.argument > VGPU_MAILBOX_SIZE) {
    finish(core, VGPU_COMMAND_INVALID);
    return false;
  }
  if (!vgpu_link_is_up(core)) {
    finish(core, VGPU_COMMAND_LOST);
    return true;
  }
  const unsigned channel = vgpu_channels_find_free(core);
  if (channel == VGPU_CHANNEL_MAX)
    refuse(core);
  else
    send_open(core, channel);
  return true;
}

static void close_at_broker(struct vgpu_core* core, unsigned channel) {
  struct vgpu_close message;
  memset(&message, 0, sizeof message);
  message.channel = channel;
  begin(core, VGPU_COMMAND_CLOSE, channel);
  core->channels[channel].state = VGPU_CHANNEL_CLOSING;
  vgpu_link_send(core, VGPU_CLOSE, &message, sizeof message);
}

static bool close_channel(struct vgpu_core* core, unsigned channel) {
  if (channel >= VGPU_CHANNEL_MAX || core->channels[channel].state == VGPU_CHANNEL_FREE) {
    finish(core, VGPU_COMMAND_INVALID);
    return false;
  }
  if (vgpu_link_is_up(core) && core->channels[channel].at_broker) {
    close_at_broker(core, channel);
  } else {
    vgpu_channel_free(core, channel); /* the next hello does not show it */
    finish(core, VGPU_COMMAND_DONE);
  }
  return true;
}

bool vgpu_command_write(struct vgpu_core* core, uint32_t value) {
  if (core->command.status == VGPU_COMMAND_BUSY) return false;
  if (value == VGPU_COMMAND_OPEN) return open_channel(core);
  const unsigned operation = value & ((1u << VGPU_COMMAND_CHANNEL_SHIFT) - 1);
  if (operation == VGPU_COMMAND_CLOSE) return close_channel(core, value >> VGPU_COMMAND_CHANNEL_SHIFT);
  finish(core, VGPU_COMMAND_INVALID);
  return false;
}

/* ---- from the link ---- */

void vgpu_command_reset(struct vgpu_core* core) { memset(&core->command, 0, sizeof core->command); }

void vgpu_command_link_lost(struct vgpu_core* core) {
  if (core->command.status != VGPU_COMMAND_BUSY) return;
  struct vgpu_core_channel* channel = &core->channels[core->command.channel];
  if (core->command.operation == VGPU_COMMAND_OPEN)
    vgpu_channel_free(core, core->command.channel);
  else
    channel->state = channel->worker >= 0 ? VGPU_CHANNEL_OPEN : VGPU_CHANNEL_LOST;
  finish(core, VGPU_COMMAND_LOST);
}

static bool is_awaited(const struct vgpu_core* core, unsigned operation, unsigned channel) {
  return core->command.status == VGPU_COMMAND_BUSY && core->command.operation == operation &&
         core->command.channel == channel;
}

static const char* check_opened(const struct vgpu_core* core, const struct vgpu_opened* opened) {
  if (!is_awaited(core, VGPU_COMMAND_OPEN, opened->channel)) return "OPENED for a channel that is not being opened";
  const bool is_ok = opened->status == 0;
  if (is_ok != (opened->header.fd_count == VGPU_IO_FDS)) return "OPENED with the wrong number of descriptors";
  if (is_ok && (opened->window_offset >= core->config.window_size || opened->window_offset % VGPU_EXTENT_ALIGN != 0))
    return "OPENED with a channel that does not lie in the window";
  return NULL;
}

const char* vgpu_command_opened(struct vgpu_core* core, struct vgpu_link_io* io) {
  const struct vgpu_opened* opened = &io->in.opened;
  const char* problem = check_opened(core, opened);
  if (problem != NULL) return problem;
  const unsigned number = opened->channel;
  if (opened->status != 0) {
    vgpu_channel_free(core, number);
  } else {
    const int doorbell = vgpu_io_take_fd(io, 0);
    const int worker = vgpu_io_take_fd(io, 1);
    core->channels[number].window_offset = opened->window_offset;
    core->channels[number].client = opened->client;
    problem = vgpu_channel_open(core, number, doorbell, worker);
    if (problem != NULL) return problem;
  }
  memcpy(core->command.reply, opened->reply, sizeof opened->reply);
  core->command.result = number;
  finish(core, opened->status == 0 ? VGPU_COMMAND_DONE : VGPU_COMMAND_FAILED);
  return NULL;
}

/* Of a channel that a hello left out, the broker says so by itself, and again when it is asked. */
static const char* released(struct vgpu_core* core, unsigned number) {
  struct vgpu_core_channel* channel = &core->channels[number];
  channel->is_returning = false;
  if (channel->state == VGPU_CHANNEL_FREE || channel->state == VGPU_CHANNEL_OPENING) return NULL;
  if (!is_awaited(core, VGPU_COMMAND_CLOSE, number)) return "CLOSED for a channel that is not being closed";
  vgpu_channel_free(core, number);
  finish(core, VGPU_COMMAND_DONE);
  return NULL;
}

const char* vgpu_command_closed(struct vgpu_core* core, const struct vgpu_closed* closed) {
  if (closed->channel >= VGPU_CHANNEL_MAX) return "CLOSED for a channel that does not exist";
  if (closed->released != 0) return released(core, closed->channel);
  const struct vgpu_core_channel* channel = &core->channels[closed->channel];
  if (!channel->at_broker) return NULL; /* its worker ends because it was given back */
  vgpu_channel_lose(core, closed->channel, closed->exit_class);
  return NULL;
}
