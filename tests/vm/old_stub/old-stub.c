/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The vgpu-stub of hosts that were never upgraded, for tests: under the name of ours, so that a machine's command line
 * stays as it is when the host gets the newer device. It speaks what the field speaks (common/abi/legacy_stub.h), and
 * has the field's faults, one kind each:
 *
 *   x-kind=bare       revision 0x01: no registers at all
 *   x-kind=deaf       revision 0x02, whose doorbell is never dispatched: STATUS stays IDLE
 *   x-kind=patient    revision 0x02, which waits for its mediator for ever: STATUS stays BUSY. It does not notice that
 *                     the mediator has gone, and never connects again
 *
 * Made by scripts/build-qemu for the distribution's QEMU only, in a folder of its own; no package holds it.
 */
#include "stub/qemu/compat.h"

#include <sys/socket.h>
#include <sys/un.h>

#include "common/abi/legacy_stub.h"

#define TYPE_OLD_STUB "vgpu-stub"
#define OLD_STUB(object) OBJECT_CHECK(struct old_stub, (object), TYPE_OLD_STUB)

enum kind { BARE, DEAF, PATIENT };
static const char* const kind_names[] = {"bare", "deaf", "patient"};

struct message {
  struct vgpu_legacy_message_header header;
  uint8_t payload[VGPU_LEGACY_BUFFER_SIZE];
};

struct old_stub {
  PCIDevice pci;

  /* Properties. */
  char* pool;
  char* priority;
  char* socket;
  char* kind_name;
  uint32_t vm_id;

  enum kind kind;
  MemoryRegion registers;
  int mediator; /* -1: there was none at the start */
  struct message arriving;
  size_t arrived; /* bytes of it */

  uint32_t status;
  uint32_t error;
  uint32_t request_length;
  uint32_t response_length;
  uint32_t request_id;
  uint64_t done_us;
  uint8_t request[VGPU_LEGACY_BUFFER_SIZE];
  uint8_t response[VGPU_LEGACY_BUFFER_SIZE];
};

/* ---- requests ---- */

static void finish(struct old_stub* stub, uint32_t error) {
  stub->error = error;
  stub->status = error == VGPU_LEGACY_OK ? VGPU_LEGACY_DONE : VGPU_LEGACY_ERROR;
  stub->done_us = (uint64_t)g_get_monotonic_time();
}

static void submit(struct old_stub* stub) {
  struct message message = {.header = {.magic = VGPU_LEGACY_STUB_MAGIC,
                                       .type = VGPU_LEGACY_MESSAGE_REQUEST,
                                       .vm_id = stub->vm_id,
                                       .request_id = stub->request_id,
                                       .pool = stub->pool[0],
                                       .payload_length = MIN(stub->request_length, VGPU_LEGACY_BUFFER_SIZE)}};
  size_t size = sizeof(message.header) + message.header.payload_length;

  if (stub->kind == DEAF || stub->status == VGPU_LEGACY_BUSY) return;
  memcpy(message.payload, stub->request, message.header.payload_length);
  if (stub->mediator < 0 || send(stub->mediator, &message, size, MSG_NOSIGNAL) != (ssize_t)size) {
    error_printf("[vgpu-stub] sendmsg failed: %s\n", stub->mediator < 0 ? "not connected" : strerror(errno));
    finish(stub, VGPU_LEGACY_MEDIATOR_UNAVAILABLE);
    return;
  }
  stub->status = VGPU_LEGACY_BUSY;
}

static void take_answer(struct old_stub* stub) {
  const struct message* answer = &stub->arriving;
  struct vgpu_legacy_answer head;

  switch (answer->header.type) {
    case VGPU_LEGACY_MESSAGE_BUSY:
      finish(stub, VGPU_LEGACY_RATE_LIMITED);
      break;
    case VGPU_LEGACY_MESSAGE_QUARANTINED:
      finish(stub, VGPU_LEGACY_QUARANTINED);
      break;
    case VGPU_LEGACY_MESSAGE_RESPONSE:
      stub->response_length = answer->header.payload_length;
      memcpy(stub->response, answer->payload, stub->response_length);
      memcpy(&head, answer->payload, sizeof(head));
      finish(stub, head.status);
      break;
  }
}

/* Bytes of the message that are still missing, as far as is known. */
static size_t missing(const struct old_stub* stub) {
  size_t size = sizeof(stub->arriving.header);

  if (stub->arrived >= size) size += MIN(stub->arriving.header.payload_length, VGPU_LEGACY_BUFFER_SIZE);
  return size - stub->arrived;
}

static void on_readable(void* opaque) {
  struct old_stub* stub = opaque;
  ssize_t count = recv(stub->mediator, (char*)&stub->arriving + stub->arrived, missing(stub), MSG_DONTWAIT);

  if (count == 0) qemu_set_fd_handler(stub->mediator, NULL, NULL, NULL); /* and nobody asks why */
  if (count <= 0) return;
  stub->arrived += (size_t)count;
  if (missing(stub) > 0) return;
  stub->arrived = 0;
  take_answer(stub);
}

/* ---- registers ---- */

static uint64_t read_buffer(const uint8_t* buffer, hwaddr at) {
  uint32_t word;

  memcpy(&word, buffer + at, sizeof(word));
  return word;
}

static uint64_t registers_read(void* opaque, hwaddr offset, unsigned size) {
  const struct old_stub* stub = opaque;

  if (offset >= VGPU_LEGACY_RESPONSE && offset < VGPU_LEGACY_RESPONSE + VGPU_LEGACY_BUFFER_SIZE)
    return read_buffer(stub->response, offset - VGPU_LEGACY_RESPONSE);
  if (offset >= VGPU_LEGACY_REQUEST && offset < VGPU_LEGACY_REQUEST + VGPU_LEGACY_BUFFER_SIZE)
    return read_buffer(stub->request, offset - VGPU_LEGACY_REQUEST);
  switch (offset) {
    case VGPU_LEGACY_STATUS:
      return stub->status;
    case VGPU_LEGACY_POOL_ID:
      return (uint8_t)stub->pool[0];
    case VGPU_LEGACY_VM_ID:
      return stub->vm_id;
    case VGPU_LEGACY_ERROR_CODE:
      return stub->error;
    case VGPU_LEGACY_REQUEST_LEN:
      return stub->request_length;
    case VGPU_LEGACY_RESPONSE_LEN:
      return stub->response_length;
    case VGPU_LEGACY_PROTOCOL_VER:
      return VGPU_LEGACY_VERSION;
    case VGPU_LEGACY_CAPABILITIES:
      return VGPU_CAP_BASIC;
    case VGPU_LEGACY_REQUEST_ID:
      return stub->request_id;
    case VGPU_LEGACY_TIME_LO:
      return (uint32_t)stub->done_us;
    case VGPU_LEGACY_TIME_HI:
      return stub->done_us >> 32;
    default:
      return 0;
  }
}

static void registers_write(void* opaque, hwaddr offset, uint64_t value, unsigned size) {
  struct old_stub* stub = opaque;
  uint32_t word = (uint32_t)value;

  if (offset >= VGPU_LEGACY_REQUEST && offset < VGPU_LEGACY_REQUEST + VGPU_LEGACY_BUFFER_SIZE)
    memcpy(stub->request + (offset - VGPU_LEGACY_REQUEST), &word, sizeof(word));
  else if (offset == VGPU_LEGACY_REQUEST_LEN)
    stub->request_length = word;
  else if (offset == VGPU_LEGACY_REQUEST_ID)
    stub->request_id = word;
  else if (offset == VGPU_LEGACY_DOORBELL && word == 1)
    submit(stub);
}

static const MemoryRegionOps registers_ops = {
    .read = registers_read,
    .write = registers_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = {.min_access_size = 4, .max_access_size = 4},
};

/* ---- life ---- */

static bool read_kind(struct old_stub* stub, Error** errp) {
  unsigned i;

  for (i = 0; i < ARRAY_SIZE(kind_names); i++) {
    if (g_strcmp0(stub->kind_name, kind_names[i]) != 0) continue;
    stub->kind = (enum kind)i;
    return true;
  }
  error_setg(errp, "x-kind is bare, deaf or patient");
  return false;
}

static bool fill_address(const struct old_stub* stub, struct sockaddr_un* address, Error** errp) {
  if (stub->socket && strlen(stub->socket) < sizeof(address->sun_path)) {
    strcpy(address->sun_path, stub->socket);
    return true;
  }
  error_setg(errp, "socket is a path of at most %zu bytes", sizeof(address->sun_path) - 1);
  return false;
}

/* Once, at the start. */
static void connect_mediator(struct old_stub* stub, const struct sockaddr_un* address) {
  stub->mediator = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (stub->mediator >= 0 && connect(stub->mediator, (const struct sockaddr*)address, sizeof(*address)) == 0) {
    error_printf("[vgpu-stub] Connected to mediator at %s (fd=%d)\n", stub->socket, stub->mediator);
    qemu_set_fd_handler(stub->mediator, on_readable, NULL, stub);
    return;
  }
  error_printf("[vgpu-stub] socket() failed: %s\n", strerror(errno));
  if (stub->mediator >= 0) close(stub->mediator);
  stub->mediator = -1;
}

static void old_stub_realize(PCIDevice* pci, Error** errp) {
  struct old_stub* stub = OLD_STUB(pci);
  struct sockaddr_un address = {.sun_family = AF_UNIX};

  stub->mediator = -1;
  if (!stub->pool) stub->pool = g_strdup("A");
  if (!stub->priority) stub->priority = g_strdup("medium");
  if (!read_kind(stub, errp) || !fill_address(stub, &address, errp)) return;
  pci_set_byte(pci->config + PCI_REVISION_ID, stub->kind == BARE ? 0x01 : VGPU_PCI_REVISION);
  error_printf("[vgpu-stub] realised  vm_id=%" PRIu32 "  pool=%s  priority=%s  rev=0x%02x\n", stub->vm_id, stub->pool,
               stub->priority, pci->config[PCI_REVISION_ID]);
  if (stub->kind == BARE) return;
  memory_region_init_io(&stub->registers, OBJECT(stub), &registers_ops, stub, "old-vgpu-registers",
                        VGPU_LEGACY_PAGE_SIZE);
  pci_register_bar(pci, 0, PCI_BASE_ADDRESS_SPACE_MEMORY, &stub->registers);
  connect_mediator(stub, &address);
}

static void old_stub_exit(PCIDevice* pci) {
  struct old_stub* stub = OLD_STUB(pci);

  if (stub->mediator < 0) return;
  qemu_set_fd_handler(stub->mediator, NULL, NULL, NULL);
  close(stub->mediator);
}

static Property old_stub_properties[] = {
    DEFINE_PROP_STRING("pool_id", struct old_stub, pool),   DEFINE_PROP_STRING("priority", struct old_stub, priority),
    DEFINE_PROP_STRING("socket", struct old_stub, socket),  DEFINE_PROP_STRING("x-kind", struct old_stub, kind_name),
    DEFINE_PROP_UINT32("vm_id", struct old_stub, vm_id, 0), DEFINE_PROP_END_OF_LIST()};

static const VMStateDescription old_stub_vmstate = {.name = TYPE_OLD_STUB, .unmigratable = 1};

static void old_stub_class_init(ObjectClass* object_class, void* data) {
  DeviceClass* device_class = DEVICE_CLASS(object_class);
  PCIDeviceClass* pci_class = PCI_DEVICE_CLASS(object_class);

  pci_class->realize = old_stub_realize;
  pci_class->exit = old_stub_exit;
  pci_class->vendor_id = VGPU_PCI_VENDOR;
  pci_class->device_id = VGPU_PCI_DEVICE;
  pci_class->class_id = VGPU_PCI_CLASS;
  device_class->desc = "GPU stub of an old host, for tests";
  device_class->vmsd = &old_stub_vmstate;
  device_class_set_props(device_class, old_stub_properties);
  set_bit(DEVICE_CATEGORY_MISC, device_class->categories);
}

static const TypeInfo old_stub_type = {
    .name = TYPE_OLD_STUB,
    .parent = TYPE_PCI_DEVICE,
    .instance_size = sizeof(struct old_stub),
    .class_init = old_stub_class_init,
    .interfaces = (InterfaceInfo[]){{INTERFACE_CONVENTIONAL_PCI_DEVICE}, {}},
};

static void old_stub_register_types(void) { type_register_static(&old_stub_type); }

type_init(old_stub_register_types)
