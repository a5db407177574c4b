/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VGPU_API_42_VMSTATE_H
#define VGPU_API_42_VMSTATE_H

typedef struct VMStateDescription {
  const char* name;
  int unmigratable;
} VMStateDescription;

#endif
