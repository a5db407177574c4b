/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VGPU_API_42_PCI_H
#define VGPU_API_42_PCI_H

#include "hw/qdev-properties.h"
#include "qemu/event_notifier.h"

/* ---- memory ---- */

typedef uint64_t hwaddr;

enum device_endian { DEVICE_NATIVE_ENDIAN, DEVICE_BIG_ENDIAN, DEVICE_LITTLE_ENDIAN };

typedef struct MemoryRegion {
  Object* owner;
} MemoryRegion;

typedef struct MemoryRegionOps {
  uint64_t (*read)(void* opaque, hwaddr offset, unsigned size);
  void (*write)(void* opaque, hwaddr offset, uint64_t value, unsigned size);
  enum device_endian endianness;
  struct {
    unsigned min_access_size, max_access_size;
    bool unaligned;
  } valid, impl;
} MemoryRegionOps;

void memory_region_init(MemoryRegion* region, Object* owner, const char* name, uint64_t size);
void memory_region_init_io(MemoryRegion* region, Object* owner, const MemoryRegionOps* ops, void* opaque,
                           const char* name, uint64_t size);
void memory_region_init_ram_ptr(MemoryRegion* region, Object* owner, const char* name, uint64_t size, void* memory);
void memory_region_add_subregion(MemoryRegion* region, hwaddr offset, MemoryRegion* subregion);
void memory_region_add_subregion_overlap(MemoryRegion* region, hwaddr offset, MemoryRegion* subregion, int priority);
void memory_region_del_subregion(MemoryRegion* region, MemoryRegion* subregion);
void memory_region_set_enabled(MemoryRegion* region, bool enabled);
void memory_region_add_eventfd(MemoryRegion* region, hwaddr address, unsigned size, bool match_data, uint64_t data,
                               EventNotifier* notifier);
void memory_region_del_eventfd(MemoryRegion* region, hwaddr address, unsigned size, bool match_data, uint64_t data,
                               EventNotifier* notifier);

/* ---- PCI ---- */

#define TYPE_PCI_DEVICE "pci-device"
#define INTERFACE_CONVENTIONAL_PCI_DEVICE "conventional-pci-device"

#define PCI_VENDOR_ID 0x00
#define PCI_DEVICE_ID 0x02
#define PCI_SUBSYSTEM_VENDOR_ID 0x2c
#define PCI_SUBSYSTEM_ID 0x2e
#define PCI_BASE_ADDRESS_SPACE_MEMORY 0x00
#define PCI_BASE_ADDRESS_MEM_TYPE_64 0x04
#define PCI_BASE_ADDRESS_MEM_PREFETCH 0x08
#define PCI_SUBVENDOR_ID_REDHAT_QUMRANET 0x1af4
#define PCI_SUBDEVICE_ID_QEMU 0x1100

typedef struct PCIDevice {
  long parent;
  uint8_t* config;
} PCIDevice;

typedef struct PCIDeviceClass {
  DeviceClass parent_class;
  void (*realize)(PCIDevice* device, Error** errp);
  void (*exit)(PCIDevice* device);
  uint16_t vendor_id;
  uint16_t device_id;
  uint8_t revision;
  uint16_t class_id;
} PCIDeviceClass;

#define PCI_DEVICE_CLASS(object_class) ((PCIDeviceClass*)object_class_cast((object_class), TYPE_PCI_DEVICE))

void pci_register_bar(PCIDevice* device, int number, uint8_t attributes, MemoryRegion* memory);
void pci_set_word(uint8_t* config, uint16_t value);

#endif
