/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VGPU_API_42_ERROR_H
#define VGPU_API_42_ERROR_H

#include "qemu/osdep.h"

extern Error* error_abort;

void error_setg(Error** errp, const char* format, ...) __attribute__((format(printf, 2, 3)));

#endif
