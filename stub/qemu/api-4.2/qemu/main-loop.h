/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VGPU_API_42_MAIN_LOOP_H
#define VGPU_API_42_MAIN_LOOP_H

typedef void IOHandler(void* opaque);

void qemu_set_fd_handler(int fd, IOHandler* on_readable, IOHandler* on_writable, void* opaque);

#endif
