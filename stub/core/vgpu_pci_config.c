/* SPDX-License-Identifier: Apache-2.0 */
#include "stub/core/vgpu_pci_config.h"

#include <stdbool.h>
#include <string.h>

#include "common/abi/device_registers.h"

enum { VENDOR = 0x00, DEVICE = 0x02, COMMAND = 0x04, REVISION = 0x08, CLASS = 0x0a, CACHE_LINE = 0x0c, BAR0 = 0x10 };
enum { BAR1 = 0x14, BAR2 = 0x18, SUBSYSTEM_VENDOR = 0x2c, SUBSYSTEM = 0x2e, INTERRUPT_LINE = 0x3c };

#define COMMAND_MEMORY 0x0002u
#define COMMAND_MASTER 0x0004u /* kept for the guest's driver; the device never masters the bus */
#define COMMAND_NO_INTERRUPT 0x0400u
#define BAR_64BIT_PREFETCHABLE 0xcu
#define BAR_FLAGS UINT64_C(0xf)

static void put(uint8_t* bytes, unsigned offset, uint64_t value, unsigned size) {
  for (unsigned i = 0; i < size; ++i) bytes[offset + i] = (uint8_t)(value >> (8 * i));
}

static uint64_t get(const uint8_t* bytes, unsigned offset, unsigned size) {
  uint64_t value = 0;
  for (unsigned i = 0; i < size; ++i) value |= (uint64_t)bytes[offset + i] << (8 * i);
  return value;
}

void vgpu_pci_config_init(struct vgpu_pci_config* config, const struct vgpu_pci_identity* identity,
                          uint64_t window_size, void (*moved)(void* opaque, const struct vgpu_pci_place* place),
                          void* opaque) {
  memset(config, 0, sizeof *config);
  config->window_size = window_size;
  config->moved = moved;
  config->opaque = opaque;
  put(config->bytes, VENDOR, identity->vendor, 2);
  put(config->bytes, DEVICE, identity->device, 2);
  put(config->bytes, SUBSYSTEM_VENDOR, identity->subsystem_vendor, 2);
  put(config->bytes, SUBSYSTEM, identity->subsystem, 2);
  put(config->bytes, REVISION, VGPU_PCI_REVISION, 1);
  put(config->bytes, CLASS, VGPU_PCI_CLASS, 2);
  put(config->bytes, BAR1, BAR_64BIT_PREFETCHABLE, 1);
  put(config->writable, COMMAND, COMMAND_MEMORY | COMMAND_MASTER | COMMAND_NO_INTERRUPT, 2);
  put(config->writable, CACHE_LINE, 0xff, 1);
  put(config->writable, INTERRUPT_LINE, 0xff, 1);
  /* Address bits below a BAR's size stay zero: that is how a guest learns the size. */
  put(config->writable, BAR0, ~(uint64_t)(VGPU_BAR0_SIZE - 1), 4);
  put(config->writable, BAR1, ~(window_size - 1), 8);
}

/* An address at which the whole BAR lies in memory; 0 if it has none. All ones are what sizing leaves behind. */
static uint64_t placed(uint64_t address, uint64_t size, uint64_t end_of_memory) {
  return address != 0 && address <= end_of_memory - size ? address : 0;
}

static struct vgpu_pci_place current_place(const struct vgpu_pci_config* config) {
  struct vgpu_pci_place place = {0, 0};
  if ((get(config->bytes, COMMAND, 2) & COMMAND_MEMORY) == 0) return place;
  place.registers = placed(get(config->bytes, BAR0, 4) & ~BAR_FLAGS, VGPU_BAR0_SIZE, UINT32_MAX);
  place.window = placed(get(config->bytes, BAR1, 8) & ~BAR_FLAGS, config->window_size, UINT64_MAX);
  return place;
}

static void tell_if_moved(struct vgpu_pci_config* config) {
  const struct vgpu_pci_place now = current_place(config);
  if (now.registers == config->place.registers && now.window == config->place.window) return;
  config->place = now;
  if (config->moved != NULL) config->moved(config->opaque, &config->place);
}

void vgpu_pci_config_reset(struct vgpu_pci_config* config) {
  for (unsigned i = 0; i < VGPU_PCI_CONFIG_SIZE; ++i) config->bytes[i] &= (uint8_t)~config->writable[i];
  tell_if_moved(config);
}

static bool is_sound(unsigned offset, unsigned size) {
  return (size == 1 || size == 2 || size == 4) && offset <= VGPU_PCI_CONFIG_SIZE - size;
}

uint32_t vgpu_pci_config_read(const struct vgpu_pci_config* config, unsigned offset, unsigned size) {
  if (!is_sound(offset, size)) return UINT32_MAX;
  return (uint32_t)get(config->bytes, offset, size);
}

void vgpu_pci_config_write(struct vgpu_pci_config* config, unsigned offset, uint32_t value, unsigned size) {
  if (!is_sound(offset, size)) return;
  for (unsigned i = 0; i < size; ++i) {
    const uint8_t mask = config->writable[offset + i];
    uint8_t* byte = &config->bytes[offset + i];
    *byte = (uint8_t)((*byte & ~mask) | ((value >> (8 * i)) & mask));
  }
  tell_if_moved(config);
}
