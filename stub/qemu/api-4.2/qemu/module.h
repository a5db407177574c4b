/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VGPU_API_42_MODULE_H
#define VGPU_API_42_MODULE_H

void register_type_functions(void (*function)(void));

#define type_init(function) \
  static void __attribute__((constructor)) function##_at_start(void) { register_type_functions(function); }

#endif
