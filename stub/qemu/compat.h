/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The one place that knows how QEMU's device API differs between the versions that this front is built for: 4.2.1, 7.2
 * and 10.0. The front uses only what is the same in all of them, or has a name here.
 */
#ifndef VGPU_STUB_QEMU_COMPAT_H
#define VGPU_STUB_QEMU_COMPAT_H

#include "qemu/osdep.h" /* before everything else, as QEMU wants it */

#include "hw/pci/pci.h"
#include "hw/qdev-properties.h"
#include "qapi/error.h"
#include "qemu/error-report.h"
#include "qemu/event_notifier.h"
#include "qemu/main-loop.h"
#include "qemu/module.h"
#include "qemu/timer.h"

#define VGPU_QEMU_AT_LEAST(major, minor) \
  (QEMU_VERSION_MAJOR > (major) || (QEMU_VERSION_MAJOR == (major) && QEMU_VERSION_MINOR >= (minor)))

#if VGPU_QEMU_AT_LEAST(8, 0)
#include "hw/pci/pci_device.h"
#endif
#if VGPU_QEMU_AT_LEAST(10, 0)
#include "system/kvm.h"
#elif VGPU_QEMU_AT_LEAST(5, 0)
#include "sysemu/kvm.h"
#endif
#include "migration/vmstate.h"

/* Properties: tables without an end mark from 10.0 on; assigned directly before 5.0. */
#if VGPU_QEMU_AT_LEAST(10, 0)
#define VGPU_PROPERTIES static const Property
#define VGPU_END_OF_PROPERTIES
#else
#define VGPU_PROPERTIES static Property
#define VGPU_END_OF_PROPERTIES DEFINE_PROP_END_OF_LIST(),
#endif
#if !VGPU_QEMU_AT_LEAST(5, 0)
#define device_class_set_props(device_class, table) ((device_class)->props = (table))
#endif

/* 10.1 made what class_init is given read-only. */
#if VGPU_QEMU_AT_LEAST(10, 1)
#define VGPU_CLASS_DATA const void
#else
#define VGPU_CLASS_DATA void
#endif

/* A plain function as reset, beside the phases that later versions have: its own setter from 9.2 on. */
#if VGPU_QEMU_AT_LEAST(9, 2)
#define VGPU_SET_RESET(device_class, function) device_class_set_legacy_reset((device_class), (function))
#else
#define VGPU_SET_RESET(device_class, function) ((device_class)->reset = (function))
#endif

/* Adding a property to an object cannot fail since 5.1. */
#if VGPU_QEMU_AT_LEAST(5, 1)
#define VGPU_ADD_ALIAS(object, alias, name) object_property_add_alias((object), (alias), (object), (name))
#define VGPU_ADD_STRING(object, name, getter) object_property_add_str((object), (name), (getter), NULL)
#else
#define VGPU_ADD_ALIAS(object, alias, name) object_property_add_alias((object), (alias), (object), (name), &error_abort)
#define VGPU_ADD_STRING(object, name, getter) object_property_add_str((object), (name), (getter), NULL, &error_abort)
#endif

/* Whether a write of any length can be bound to an eventfd (length 0 at memory_region_add_eventfd). QEMU aborts if KVM
 * refuses, so this must be right:
 *   from 8.2   KVM is not used without it;
 *   5.0 - 8.1  KVM says so. Without KVM the dispatcher compares start addresses, and takes length 0 for a match;
 *   4.2        not used: its dispatcher compares the length as well as far as we know, and the field's builds have no
 *              KVM to ask, so that the functions for that may be missing. The core signals the doorbell itself.
 */
static inline bool vgpu_has_wildcard_eventfd(void) {
#if VGPU_QEMU_AT_LEAST(8, 2)
  return true;
#elif VGPU_QEMU_AT_LEAST(5, 0)
  return !kvm_enabled() || kvm_ioeventfd_any_length_enabled();
#else
  return false;
#endif
}

#endif
