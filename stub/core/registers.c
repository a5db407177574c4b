/* SPDX-License-Identifier: Apache-2.0
 *
 * BAR0: which access reaches what. Registers are read and written whole, 32 bits at a time; buffers in any naturally
 * aligned piece. What breaks a rule reads as zero.
 */
#include "stub/core/core_private.h"

static bool is_sound(uint64_t offset, unsigned size) {
  if (size != 1 && size != 2 && size != 4 && size != 8) return false;
  return offset < VGPU_BAR0_SIZE && offset % size == 0;
}

static bool lies_in(uint64_t offset, uint64_t begin, uint64_t length) {
  return offset >= begin && offset - begin < length;
}

static uint32_t clamped(uint64_t value) { return value > UINT32_MAX ? UINT32_MAX : (uint32_t)value; }

static bool read_device_register(const struct vgpu_core* core, uint64_t offset, uint64_t* value) {
  const bool is_up = vgpu_link_is_up(core);
  switch (offset) {
    case VGPU_REG_MAGIC:
      *value = VGPU_DEVICE_MAGIC;
      return true;
    case VGPU_REG_LAYOUT:
      *value = VGPU_DEVICE_LAYOUT;
      return true;
    case VGPU_REG_FEATURES:
      *value = 0;
      return true;
    case VGPU_REG_LINK:
      *value = core->link.status;
      return true;
    case VGPU_REG_GENERATION:
      *value = core->link.generation;
      return true;
    case VGPU_REG_CHANNELS:
      *value = is_up ? core->link.channels : 0;
      return true;
    case VGPU_REG_WINDOW_LO:
      *value = (uint32_t)core->config.window_size;
      return true;
    case VGPU_REG_WINDOW_HI:
      *value = core->config.window_size >> 32;
      return true;
    case VGPU_REG_STATUS:
      *value = core->command.status;
      return true;
    case VGPU_REG_ARGUMENT:
      *value = core->command.argument;
      return true;
    case VGPU_REG_RESULT:
      *value = core->command.result;
      return true;
    case VGPU_REG_MISTAKES:
      *value = clamped(core->mistakes);
      return true;
    case VGPU_REG_BROKER_PID:
      *value = is_up ? core->link.broker_pid : 0;
      return true;
    default:
      return false;
  }
}

static bool read_device_page(const struct vgpu_core* core, uint64_t offset, unsigned size, uint64_t* value) {
  if (lies_in(offset, VGPU_REG_LINK_TEXT, VGPU_LINK_TEXT_SIZE)) {
    *value = vgpu_get_bytes((const uint8_t*)core->link.text + (offset - VGPU_REG_LINK_TEXT), size);
    return true;
  }
  return size == 4 && read_device_register(core, offset, value);
}

static bool read_channel_page(const struct vgpu_core* core, uint64_t offset, unsigned size, uint64_t* value) {
  const uint64_t from_first = offset - VGPU_CHANNEL_PAGES;
  if (from_first % VGPU_CHANNEL_PAGE_SIZE != VGPU_PAGE_STATE || size != 4) return false;
  *value = core->channels[from_first / VGPU_CHANNEL_PAGE_SIZE].state;
  return true;
}

static bool read_any(struct vgpu_core* core, uint64_t offset, unsigned size, uint64_t* value) {
  if (!is_sound(offset, size)) return false;
  if (offset >= VGPU_CHANNEL_PAGES) return read_channel_page(core, offset, size, value);
  if (offset < VGPU_REG_MAGIC) return vgpu_legacy_read(core, offset, size, value);
  if (offset < VGPU_REQUEST_BUFFER) return read_device_page(core, offset, size, value);
  if (offset < VGPU_REPLY_BUFFER) {
    *value = vgpu_get_bytes(core->command.request + (offset - VGPU_REQUEST_BUFFER), size);
    return true;
  }
  if (offset < VGPU_CHANNEL_TABLE) {
    *value = vgpu_get_bytes(core->command.reply + (offset - VGPU_REPLY_BUFFER), size);
    return true;
  }
  return vgpu_channels_read_table(core, offset - VGPU_CHANNEL_TABLE, size, value);
}

uint64_t vgpu_core_bar0_read(struct vgpu_core* core, uint64_t offset, unsigned size) {
  uint64_t value = 0;
  if (!read_any(core, offset, size, &value)) vgpu_core_mistake(core, "read", offset, size);
  return value;
}

static bool write_device_page(struct vgpu_core* core, uint64_t offset, uint64_t value, unsigned size) {
  if (size != 4) return false;
  if (offset == VGPU_REG_COMMAND) return vgpu_command_write(core, (uint32_t)value);
  if (offset != VGPU_REG_ARGUMENT || core->command.status == VGPU_COMMAND_BUSY) return false;
  core->command.argument = (uint32_t)value;
  return true;
}

static bool write_request(struct vgpu_core* core, uint64_t offset, uint64_t value, unsigned size) {
  if (core->command.status == VGPU_COMMAND_BUSY) return false;
  vgpu_put_bytes(core->command.request + offset, value, size);
  return true;
}

/* No more than a comparison and a write to an eventfd, however often a guest rings. */
static bool write_channel_page(struct vgpu_core* core, uint64_t offset, uint64_t value) {
  const uint64_t from_first = offset - VGPU_CHANNEL_PAGES;
  if (from_first % VGPU_CHANNEL_PAGE_SIZE != VGPU_PAGE_DOORBELL) return false;
  return vgpu_channel_ring(core, (unsigned)(from_first / VGPU_CHANNEL_PAGE_SIZE), value);
}

static bool write_any(struct vgpu_core* core, uint64_t offset, uint64_t value, unsigned size) {
  if (!is_sound(offset, size)) return false;
  if (offset >= VGPU_CHANNEL_PAGES) return write_channel_page(core, offset, value);
  if (offset < VGPU_REG_MAGIC) return vgpu_legacy_write(core, offset, value, size);
  if (offset < VGPU_REQUEST_BUFFER) return write_device_page(core, offset, value, size);
  if (offset < VGPU_REPLY_BUFFER) return write_request(core, offset - VGPU_REQUEST_BUFFER, value, size);
  return false;
}

void vgpu_core_bar0_write(struct vgpu_core* core, uint64_t offset, uint64_t value, unsigned size) {
  if (!write_any(core, offset, value, size)) vgpu_core_mistake(core, "write", offset, size);
  vgpu_core_arm(core);
}
