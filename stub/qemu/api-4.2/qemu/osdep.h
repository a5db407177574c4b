/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VGPU_API_42_OSDEP_H
#define VGPU_API_42_OSDEP_H

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#define QEMU_VERSION_MAJOR 4
#define QEMU_VERSION_MINOR 2
#define QEMU_VERSION_MICRO 1

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

typedef struct Error Error;
typedef struct Object Object;
typedef struct ObjectClass ObjectClass;

#endif
