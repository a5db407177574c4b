/* SPDX-License-Identifier: Apache-2.0
 *
 * The device's PCI configuration space, for fronts that have no PCI bus of their own (an emulator beside Xen): a
 * type 0 header, BAR0 the registers, BAR1 and BAR2 the 64-bit prefetchable window. No capabilities, no interrupt.
 */
#ifndef VGPU_STUB_CORE_VGPU_PCI_CONFIG_H
#define VGPU_STUB_CORE_VGPU_PCI_CONFIG_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define VGPU_PCI_CONFIG_SIZE 256u

struct vgpu_pci_identity {
  uint16_t vendor;
  uint16_t device;
  uint16_t subsystem_vendor;
  uint16_t subsystem;
};

/* Where the guest has the BARs in its memory; 0: nowhere. */
struct vgpu_pci_place {
  uint64_t registers;
  uint64_t window;
};

struct vgpu_pci_config {
  uint8_t bytes[VGPU_PCI_CONFIG_SIZE];
  uint8_t writable[VGPU_PCI_CONFIG_SIZE]; /* bits that the guest may change */
  uint64_t window_size;
  struct vgpu_pci_place place;
  /* Called after a write that moved a BAR, mapped it or unmapped it; `place` is the new one. */
  void (*moved)(void* opaque, const struct vgpu_pci_place* place);
  void* opaque;
};

/* `window_size` is a power of two, as in vgpu_core_config. Calls nothing back. */
void vgpu_pci_config_init(struct vgpu_pci_config* config, const struct vgpu_pci_identity* identity,
                          uint64_t window_size, void (*moved)(void* opaque, const struct vgpu_pci_place* place),
                          void* opaque);
/* What a bus reset does: BARs and command register are zero again. Calls `moved` if something was mapped. */
void vgpu_pci_config_reset(struct vgpu_pci_config* config);

/* Accesses of 1, 2 or 4 bytes. Outside of the space reads are all ones, writes are lost. */
uint32_t vgpu_pci_config_read(const struct vgpu_pci_config* config, unsigned offset, unsigned size);
void vgpu_pci_config_write(struct vgpu_pci_config* config, unsigned offset, uint32_t value, unsigned size);

#ifdef __cplusplus
}
#endif

#endif
