/* SPDX-License-Identifier: Apache-2.0
 *
 * The legacy page: one request at a time, passed on unread, ended by an answer, a deadline or the end of the link.
 */
#include <string.h>

#include "stub/core/core_private.h"

static uint32_t read_register(const struct vgpu_core* core, uint64_t offset, bool* is_known) {
  const struct vgpu_core_legacy* legacy = &core->legacy;
  switch (offset) {
    case VGPU_LEGACY_DOORBELL:
      return legacy->status == VGPU_LEGACY_BUSY ? 1 : 0;
    case VGPU_LEGACY_STATUS:
      return legacy->status;
    case VGPU_LEGACY_POOL_ID:
      return (uint8_t)core->config.pool;
    case VGPU_LEGACY_PRIORITY:
      return core->config.priority;
    case VGPU_LEGACY_VM_ID:
      return core->config.vm_id;
    case VGPU_LEGACY_ERROR_CODE:
      return legacy->error;
    case VGPU_LEGACY_REQUEST_LEN:
      return legacy->request_length;
    case VGPU_LEGACY_RESPONSE_LEN:
      return legacy->response_length;
    case VGPU_LEGACY_PROTOCOL_VER:
      return VGPU_LEGACY_VERSION;
    case VGPU_LEGACY_CAPABILITIES:
      return VGPU_CAP_BASIC | VGPU_CAP_CHANNELS;
    case VGPU_LEGACY_IRQ_CTRL:
      return legacy->irq_control;
    case VGPU_LEGACY_IRQ_STATUS:
      return 0; /* CAPABILITIES offers no interrupt: nothing is ever pending */
    case VGPU_LEGACY_REQUEST_ID:
      return legacy->request_id;
    case VGPU_LEGACY_TIME_LO:
      return (uint32_t)legacy->done_us;
    case VGPU_LEGACY_TIME_HI:
      return (uint32_t)(legacy->done_us >> 32);
    case VGPU_LEGACY_SCRATCH:
      return legacy->scratch;
    default:
      *is_known = false;
      return 0;
  }
}

bool vgpu_legacy_read(struct vgpu_core* core, uint64_t offset, unsigned size, uint64_t* value) {
  const struct vgpu_core_legacy* legacy = &core->legacy;
  if (offset >= VGPU_LEGACY_REQUEST && offset < VGPU_LEGACY_REQUEST + VGPU_LEGACY_BUFFER_SIZE) {
    *value = vgpu_get_bytes(legacy->request + (offset - VGPU_LEGACY_REQUEST), size);
    return true;
  }
  if (offset >= VGPU_LEGACY_RESPONSE && offset < VGPU_LEGACY_RESPONSE + VGPU_LEGACY_BUFFER_SIZE) {
    *value = vgpu_get_bytes(legacy->response + (offset - VGPU_LEGACY_RESPONSE), size);
    return true;
  }
  bool is_known = size == 4;
  if (is_known) *value = read_register(core, offset, &is_known);
  return is_known;
}

static void finish(struct vgpu_core* core, uint32_t error) {
  core->legacy.status = error == VGPU_LEGACY_OK ? VGPU_LEGACY_DONE : VGPU_LEGACY_ERROR;
  core->legacy.error = error;
  core->legacy.done_us = vgpu_core_now(core) * 1000;
  core->legacy.deadline_ms = 0;
}

static void send_request(struct vgpu_core* core) {
  struct vgpu_core_legacy* legacy = &core->legacy;
  struct vgpu_legacy_request message;
  memset(&message, 0, sizeof message);
  message.request_id = ++legacy->number;
  message.length = legacy->request_length;
  memcpy(message.payload, legacy->request, legacy->request_length);
  legacy->status = VGPU_LEGACY_BUSY;
  legacy->deadline_ms = vgpu_core_now(core) + core->config.legacy_timeout_ms;
  vgpu_link_send(core, VGPU_LEGACY_REQ, &message, sizeof message);
}

static bool submit(struct vgpu_core* core) {
  struct vgpu_core_legacy* legacy = &core->legacy;
  if (legacy->status == VGPU_LEGACY_BUSY) return false;
  legacy->error = VGPU_LEGACY_OK;
  legacy->response_length = 0;
  if (legacy->request_length == 0)
    finish(core, VGPU_LEGACY_INVALID_LENGTH);
  else if (legacy->request_length > VGPU_LEGACY_BUFFER_SIZE)
    finish(core, VGPU_LEGACY_REQUEST_TOO_LARGE);
  else if (!vgpu_link_is_up(core))
    finish(core, VGPU_LEGACY_MEDIATOR_UNAVAILABLE);
  else if (!vgpu_link_has_room(core, sizeof(struct vgpu_legacy_request)))
    finish(core, VGPU_LEGACY_QUEUE_FULL);
  else
    send_request(core);
  return true;
}

static bool write_register(struct vgpu_core* core, uint64_t offset, uint32_t value) {
  struct vgpu_core_legacy* legacy = &core->legacy;
  switch (offset) {
    case VGPU_LEGACY_DOORBELL:
      return value == 1 ? submit(core) : value == 0;
    case VGPU_LEGACY_REQUEST_LEN:
      legacy->request_length = value;
      return true;
    case VGPU_LEGACY_IRQ_CTRL:
      legacy->irq_control = value;
      return true;
    case VGPU_LEGACY_IRQ_STATUS:
      return true;
    case VGPU_LEGACY_REQUEST_ID:
      legacy->request_id = value;
      return true;
    case VGPU_LEGACY_SCRATCH:
      legacy->scratch = value;
      return true;
    default:
      return false;
  }
}

bool vgpu_legacy_write(struct vgpu_core* core, uint64_t offset, uint64_t value, unsigned size) {
  if (offset >= VGPU_LEGACY_REQUEST && offset < VGPU_LEGACY_REQUEST + VGPU_LEGACY_BUFFER_SIZE) {
    vgpu_put_bytes(core->legacy.request + (offset - VGPU_LEGACY_REQUEST), value, size);
    return true;
  }
  return size == 4 && write_register(core, offset, (uint32_t)value);
}

void vgpu_legacy_reset(struct vgpu_core* core) { memset(&core->legacy, 0, sizeof core->legacy); }

void vgpu_legacy_link_lost(struct vgpu_core* core) {
  if (core->legacy.status == VGPU_LEGACY_BUSY) finish(core, VGPU_LEGACY_MEDIATOR_UNAVAILABLE);
}

uint64_t vgpu_legacy_due(const struct vgpu_core* core) { return core->legacy.deadline_ms; }

void vgpu_legacy_on_timer(struct vgpu_core* core, uint64_t now_ms) {
  const uint64_t deadline_ms = core->legacy.deadline_ms;
  if (deadline_ms != 0 && now_ms >= deadline_ms) finish(core, VGPU_LEGACY_TIMEOUT);
}

const char* vgpu_legacy_responded(struct vgpu_core* core, const struct vgpu_legacy_response* response) {
  struct vgpu_core_legacy* legacy = &core->legacy;
  if (response->length > VGPU_LEGACY_BUFFER_SIZE) return "a legacy response longer than its buffer";
  const bool is_late = legacy->status != VGPU_LEGACY_BUSY || response->request_id != legacy->number;
  if (is_late) return NULL;
  memset(legacy->response, 0, sizeof legacy->response);
  memcpy(legacy->response, response->payload, response->length);
  legacy->response_length = response->length;
  finish(core, response->error);
  return NULL;
}
