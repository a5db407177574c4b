/* SPDX-License-Identifier: Apache-2.0
 *
 * The channel table: what the guest sees of each channel, its doorbell, and the watch over its worker.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "stub/core/core_private.h"

static uint64_t doorbell_offset(unsigned channel) {
  return VGPU_CHANNEL_PAGES + (uint64_t)channel * VGPU_CHANNEL_PAGE_SIZE + VGPU_PAGE_DOORBELL;
}

static bool is_in(const uint64_t bitmap[VGPU_BITMAP_WORDS], unsigned channel) {
  return (bitmap[channel / 64] >> (channel % 64) & 1) != 0;
}

/* ---- life of one channel ---- */

static void make_free(struct vgpu_core_channel* channel) {
  memset(channel, 0, sizeof *channel);
  channel->state = VGPU_CHANNEL_FREE;
  channel->doorbell = -1;
  channel->worker = -1;
}

void vgpu_channels_init(struct vgpu_core* core) {
  for (unsigned i = 0; i < VGPU_CHANNEL_MAX; ++i) make_free(&core->channels[i]);
}

unsigned vgpu_channels_find_free(const struct vgpu_core* core) {
  for (unsigned i = 0; i < core->link.channels; ++i)
    if (core->channels[i].state == VGPU_CHANNEL_FREE && !core->channels[i].is_returning) return i;
  return VGPU_CHANNEL_MAX;
}

/* An eventfd to which a write never blocks: it alone answers an all-ones write with EINVAL, and takes nothing of it. */
static bool is_doorbell(int fd) {
  struct stat about;
  const int flags = fcntl(fd, F_GETFL);
  if (flags < 0 || (flags & O_NONBLOCK) == 0 || fstat(fd, &about) != 0) return false;
  if (S_ISFIFO(about.st_mode) || S_ISSOCK(about.st_mode) || S_ISCHR(about.st_mode)) return false;
  const uint64_t all_ones = UINT64_MAX;
  return write(fd, &all_ones, sizeof all_ones) < 0 && errno == EINVAL;
}

const char* vgpu_channel_open(struct vgpu_core* core, unsigned number, int doorbell, int worker) {
  struct vgpu_core_channel* channel = &core->channels[number];
  if (!is_doorbell(doorbell)) {
    close(doorbell);
    close(worker);
    return "OPENED with a doorbell that is no non-blocking eventfd";
  }
  channel->doorbell = doorbell;
  channel->worker = worker;
  channel->exit_class = 0;
  channel->state = VGPU_CHANNEL_OPEN;
  channel->at_broker = true;
  if (core->front.attach_doorbell != NULL && !core->config.traces)
    channel->front_rings = core->front.attach_doorbell(core->opaque, number, doorbell_offset(number), doorbell) == 0;
  core->front.watch(core->opaque, worker, 0);
  return NULL;
}

static void forget_worker(struct vgpu_core* core, struct vgpu_core_channel* channel) {
  if (channel->worker < 0) return;
  core->front.unwatch(core->opaque, channel->worker);
  close(channel->worker);
  channel->worker = -1;
}

static void drop_descriptors(struct vgpu_core* core, unsigned number) {
  struct vgpu_core_channel* channel = &core->channels[number];
  forget_worker(core, channel);
  if (channel->front_rings && core->front.detach_doorbell != NULL)
    core->front.detach_doorbell(core->opaque, number, doorbell_offset(number), channel->doorbell);
  channel->front_rings = false;
  if (channel->doorbell >= 0) close(channel->doorbell);
  channel->doorbell = -1;
}

void vgpu_channel_lose(struct vgpu_core* core, unsigned number, uint32_t exit_class) {
  struct vgpu_core_channel* channel = &core->channels[number];
  forget_worker(core, channel);
  if (exit_class != 0) channel->exit_class = exit_class;
  if (channel->state == VGPU_CHANNEL_OPEN) channel->state = VGPU_CHANNEL_LOST;
}

/* What the broker may still hold is given back to it as soon as there is one. */
void vgpu_channel_free(struct vgpu_core* core, unsigned number) {
  struct vgpu_core_channel* channel = &core->channels[number];
  const bool may_be_held = channel->at_broker || channel->state == VGPU_CHANNEL_OPENING;
  drop_descriptors(core, number);
  make_free(channel);
  channel->is_returning = may_be_held && !vgpu_link_is_up(core);
}

/* ---- all of them ---- */

void vgpu_channels_free_all(struct vgpu_core* core) {
  for (unsigned i = 0; i < VGPU_CHANNEL_MAX; ++i) {
    drop_descriptors(core, i);
    make_free(&core->channels[i]);
  }
}

void vgpu_channels_lose_all(struct vgpu_core* core) {
  for (unsigned i = 0; i < VGPU_CHANNEL_MAX; ++i) {
    struct vgpu_core_channel* channel = &core->channels[i];
    vgpu_channel_lose(core, i, 0);
    drop_descriptors(core, i);
    channel->at_broker = false;
    channel->is_returning = false;
  }
}

void vgpu_channels_show(const struct vgpu_core* core, uint64_t held[VGPU_BITMAP_WORDS]) {
  memset(held, 0, VGPU_BITMAP_WORDS * sizeof held[0]);
  for (unsigned i = 0; i < VGPU_CHANNEL_MAX; ++i)
    if (core->channels[i].at_broker) held[i / 64] |= UINT64_C(1) << (i % 64);
}

void vgpu_channels_keep(struct vgpu_core* core, const uint64_t living[VGPU_BITMAP_WORDS]) {
  for (unsigned i = 0; i < VGPU_CHANNEL_MAX; ++i) {
    if (core->channels[i].at_broker && !is_in(living, i)) vgpu_channel_lose(core, i, 0);
    if (!core->channels[i].is_returning) continue;
    struct vgpu_close message;
    memset(&message, 0, sizeof message);
    message.channel = i;
    vgpu_link_send(core, VGPU_CLOSE, &message, sizeof message);
  }
}

/* A front that handles several events in a row may mean a descriptor that had this number a moment ago. */
static bool is_ready(int fd) {
  struct pollfd polled = {fd, POLLIN, 0};
  return poll(&polled, 1, 0) == 1;
}

bool vgpu_channels_on_ready(struct vgpu_core* core, int fd) {
  for (unsigned i = 0; i < VGPU_CHANNEL_MAX; ++i) {
    if (core->channels[i].worker != fd || !is_ready(fd)) continue;
    vgpu_channel_lose(core, i, 0); /* its exit class comes from the broker, if there is one */
    return true;
  }
  return false;
}

/* ---- for the guest ---- */

static void trace_doorbell(struct vgpu_core* core, unsigned number, uint64_t value) {
  vgpu_core_log(core, &core->trace_lines, VGPU_CORE_TRACE,
                "[vgpu] vm_id=%lu: CUDA doorbell received, channel %u, call %lu", (unsigned long)core->config.vm_id,
                number, (unsigned long)(uint32_t)value);
}

bool vgpu_channel_ring(struct vgpu_core* core, unsigned number, uint64_t value) {
  const struct vgpu_core_channel* channel = &core->channels[number];
  if (channel->state == VGPU_CHANNEL_LOST) return true; /* its client need not know yet */
  if (channel->doorbell < 0) return false;
  if (core->config.traces) trace_doorbell(core, number, value);
  const uint64_t one = 1;
  const ssize_t written = write(channel->doorbell, &one, sizeof one);
  (void)written; /* a full counter wakes as well */
  return true;
}

bool vgpu_channels_read_table(const struct vgpu_core* core, uint64_t offset, unsigned size, uint64_t* value) {
  if (offset >= VGPU_CHANNEL_MAX * VGPU_CHANNEL_ENTRY || size != 4) return false;
  const struct vgpu_core_channel* channel = &core->channels[offset / VGPU_CHANNEL_ENTRY];
  const uint32_t words[VGPU_CHANNEL_ENTRY / 4] = {
      channel->state,
      channel->exit_class,
      (uint32_t)channel->window_offset,
      (uint32_t)(channel->window_offset >> 32),
      (uint32_t)channel->client,
      (uint32_t)(channel->client >> 32),
  };
  *value = words[offset % VGPU_CHANNEL_ENTRY / 4];
  return true;
}
