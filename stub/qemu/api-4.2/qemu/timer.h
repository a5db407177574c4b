/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VGPU_API_42_TIMER_H
#define VGPU_API_42_TIMER_H

#include "qemu/osdep.h"

typedef enum { QEMU_CLOCK_REALTIME = 0 } QEMUClockType;
typedef struct QEMUTimer QEMUTimer;
typedef void QEMUTimerCB(void* opaque);

int64_t qemu_clock_get_ms(QEMUClockType type);
QEMUTimer* timer_new_ms(QEMUClockType type, QEMUTimerCB* function, void* opaque);
void timer_mod(QEMUTimer* timer, int64_t when);
void timer_del(QEMUTimer* timer);
void timer_free(QEMUTimer* timer);

#endif
