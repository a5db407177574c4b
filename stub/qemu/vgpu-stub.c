/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The PCI device vgpu-stub: through it a guest reaches the vGPU broker. What it does is in stub/core; this file gives
 * that a place on QEMU's PCI bus: identity, two BARs, properties, life.
 *
 *   -device vgpu-stub,pool_id=A,priority=high,vm_id=1,socket=/run/vgpu/vm1.sock,window-size=1G
 *
 * The device reads and writes no guest memory. It cannot be migrated: what it stands for lives in the broker.
 */
#include "stub/qemu/vgpu-stub.h"

/* ---- BARs ---- */

static uint64_t registers_read(void* opaque, hwaddr offset, unsigned size) {
  struct vgpu_stub* stub = opaque;

  return vgpu_core_bar0_read(stub->core, offset, size);
}

static void registers_write(void* opaque, hwaddr offset, uint64_t value, unsigned size) {
  struct vgpu_stub* stub = opaque;

  vgpu_core_bar0_write(stub->core, offset, value, size);
}

static uint64_t placeholder_read(void* opaque, hwaddr offset, unsigned size) { return UINT64_MAX >> (64 - 8 * size); }

static void placeholder_write(void* opaque, hwaddr offset, uint64_t value, unsigned size) {}

/* Any aligned or unaligned access is let through: the core, not the bus, says what is a mistake. */
static const MemoryRegionOps registers_ops = {
    .read = registers_read,
    .write = registers_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = {.min_access_size = 1, .max_access_size = 8, .unaligned = true},
    .impl = {.min_access_size = 1, .max_access_size = 8, .unaligned = true},
};

static const MemoryRegionOps placeholder_ops = {
    .read = placeholder_read,
    .write = placeholder_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = {.min_access_size = 1, .max_access_size = 8, .unaligned = true},
    .impl = {.min_access_size = 1, .max_access_size = 8, .unaligned = true},
};

static void add_bars(struct vgpu_stub* stub) {
  Object* owner = OBJECT(stub);
  uint8_t bar1_type = PCI_BASE_ADDRESS_SPACE_MEMORY | PCI_BASE_ADDRESS_MEM_TYPE_64 | PCI_BASE_ADDRESS_MEM_PREFETCH;

  memory_region_init_io(&stub->registers, owner, &registers_ops, stub, "vgpu-registers", VGPU_BAR0_SIZE);
  memory_region_init(&stub->bar1, owner, "vgpu-bar1", stub->window_size);
  memory_region_init_io(&stub->placeholder, owner, &placeholder_ops, stub, "vgpu-placeholder", stub->window_size);
  /* Not registered for migration (vmstate_register_ram): its contents are the broker's. */
  memory_region_init_ram_ptr(&stub->window, owner, "vgpu-window", stub->window_size, stub->range);
  memory_region_set_enabled(&stub->window, false);
  memory_region_add_subregion(&stub->bar1, 0, &stub->placeholder);
  memory_region_add_subregion_overlap(&stub->bar1, 0, &stub->window, 1);
  pci_register_bar(&stub->pci, 0, PCI_BASE_ADDRESS_SPACE_MEMORY, &stub->registers);
  pci_register_bar(&stub->pci, 1, bar1_type, &stub->bar1);
}

/* ---- properties ---- */

VGPU_PROPERTIES vgpu_stub_properties[] = {
    DEFINE_PROP_STRING("pool_id", struct vgpu_stub, pool),
    DEFINE_PROP_STRING("priority", struct vgpu_stub, priority),
    DEFINE_PROP_UINT32("vm_id", struct vgpu_stub, vm_id, 0),
    DEFINE_PROP_STRING("socket", struct vgpu_stub, socket),
    DEFINE_PROP_SIZE("window-size", struct vgpu_stub, window_size, VGPU_CORE_WINDOW_DEFAULT),
    DEFINE_PROP_UINT32("channels", struct vgpu_stub, channels, VGPU_CHANNEL_MAX),
    DEFINE_PROP_BOOL("ioeventfd", struct vgpu_stub, ioeventfd, true),
    DEFINE_PROP_BOOL("trace", struct vgpu_stub, traces, false),
    DEFINE_PROP_UINT16("vendor-id", struct vgpu_stub, vendor_id, VGPU_PCI_VENDOR),
    DEFINE_PROP_UINT16("device-id", struct vgpu_stub, device_id, VGPU_PCI_DEVICE),
    DEFINE_PROP_UINT16("subsystem-vendor-id", struct vgpu_stub, subsystem_vendor_id, PCI_SUBVENDOR_ID_REDHAT_QUMRANET),
    DEFINE_PROP_UINT16("subsystem-id", struct vgpu_stub, subsystem_id, PCI_SUBDEVICE_ID_QEMU),
    VGPU_END_OF_PROPERTIES};

static const char* const priority_names[] = {"low", "medium", "high"};

static bool read_labels(const struct vgpu_stub* stub, struct vgpu_core_config* config, Error** errp) {
  const char* pool = stub->pool ? stub->pool : "A";
  const char* priority = stub->priority ? stub->priority : "medium";
  unsigned i;

  if (strcmp(pool, "A") != 0 && strcmp(pool, "B") != 0) {
    error_setg(errp, "vgpu-stub: pool_id is A or B, not \"%s\"", pool);
    return false;
  }
  config->pool = pool[0];
  for (i = 0; i < ARRAY_SIZE(priority_names); i++) {
    if (strcmp(priority, priority_names[i]) != 0) continue;
    config->priority = i;
    return true;
  }
  error_setg(errp, "vgpu-stub: priority is low, medium or high, not \"%s\"", priority);
  return false;
}

static void set_identity(struct vgpu_stub* stub) {
  pci_set_word(stub->pci.config + PCI_VENDOR_ID, stub->vendor_id);
  pci_set_word(stub->pci.config + PCI_DEVICE_ID, stub->device_id);
  pci_set_word(stub->pci.config + PCI_SUBSYSTEM_VENDOR_ID, stub->subsystem_vendor_id);
  pci_set_word(stub->pci.config + PCI_SUBSYSTEM_ID, stub->subsystem_id);
}

static char* get_link(Object* object, Error** errp) {
  static const char* const names[] = {"down", "up", "refused"};
  struct vgpu_stub* stub = VGPU_STUB(object);

  return g_strdup(stub->core ? names[vgpu_core_link(stub->core)] : "down");
}

/* ---- life ---- */

static void vgpu_stub_realize(PCIDevice* pci, Error** errp) {
  struct vgpu_stub* stub = VGPU_STUB(pci);
  struct vgpu_core_config config = {.socket = stub->socket ? stub->socket : VGPU_CORE_DEFAULT_SOCKET,
                                    .window_size = stub->window_size,
                                    .vm_id = stub->vm_id,
                                    .channels = stub->channels,
                                    .traces = stub->traces};
  char error[256];

  if (!read_labels(stub, &config, errp)) return;
  stub->core = vgpu_core_new(&config, &vgpu_qemu_front, stub, error, sizeof(error));
  if (!stub->core) {
    error_setg(errp, "vgpu-stub: %s", error);
    return;
  }
  if (!vgpu_reserve_range(stub, errp)) {
    vgpu_core_free(stub->core);
    stub->core = NULL;
    return;
  }
  set_identity(stub);
  add_bars(stub);
  stub->timer = timer_new_ms(QEMU_CLOCK_REALTIME, vgpu_on_timer, stub);
  error_printf("[vgpu-stub] realised  vm_id=%" PRIu32 "  pool=%c  priority=%s  rev=0x%02x\n", stub->vm_id, config.pool,
               priority_names[config.priority], VGPU_PCI_REVISION);
  /* Only sets the timer: the first attempt to connect is made when the main loop runs. */
  vgpu_core_start(stub->core);
}

/* Guests see the device no more: its BARs are off the bus. */
static void vgpu_stub_exit(PCIDevice* pci) {
  struct vgpu_stub* stub = VGPU_STUB(pci);

  vgpu_core_free(stub->core);
  stub->core = NULL;
  timer_del(stub->timer);
  timer_free(stub->timer);
  stub->timer = NULL;
  /* They refer to the device, which would never end otherwise. */
  memory_region_del_subregion(&stub->bar1, &stub->window);
  memory_region_del_subregion(&stub->bar1, &stub->placeholder);
}

static void vgpu_stub_reset(DeviceState* device) { vgpu_core_reset(VGPU_STUB(device)->core); }

static void vgpu_stub_init(Object* object) {
  VGPU_ADD_ALIAS(object, "pool", "pool_id");
  VGPU_ADD_STRING(object, "link", get_link);
}

static void vgpu_stub_finalize(Object* object) { vgpu_release_range(VGPU_STUB(object)); }

static const VMStateDescription vgpu_stub_vmstate = {.name = TYPE_VGPU_STUB, .unmigratable = 1};

static void vgpu_stub_class_init(ObjectClass* object_class, VGPU_CLASS_DATA* data) {
  DeviceClass* device_class = DEVICE_CLASS(object_class);
  PCIDeviceClass* pci_class = PCI_DEVICE_CLASS(object_class);

  pci_class->realize = vgpu_stub_realize;
  pci_class->exit = vgpu_stub_exit;
  pci_class->vendor_id = VGPU_PCI_VENDOR;
  pci_class->device_id = VGPU_PCI_DEVICE;
  pci_class->class_id = VGPU_PCI_CLASS;
  pci_class->revision = VGPU_PCI_REVISION;
  device_class->desc = "GPU of the vGPU broker (cannot be migrated)";
  device_class->vmsd = &vgpu_stub_vmstate;
  VGPU_SET_RESET(device_class, vgpu_stub_reset);
  device_class_set_props(device_class, vgpu_stub_properties);
  set_bit(DEVICE_CATEGORY_MISC, device_class->categories);
}

static const TypeInfo vgpu_stub_type = {
    .name = TYPE_VGPU_STUB,
    .parent = TYPE_PCI_DEVICE,
    .instance_size = sizeof(struct vgpu_stub),
    .instance_init = vgpu_stub_init,
    .instance_finalize = vgpu_stub_finalize,
    .class_init = vgpu_stub_class_init,
    .interfaces = (InterfaceInfo[]){{INTERFACE_CONVENTIONAL_PCI_DEVICE}, {}},
};

static void vgpu_stub_register_types(void) { type_register_static(&vgpu_stub_type); }

type_init(vgpu_stub_register_types)
