/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VGPU_API_42_EVENT_NOTIFIER_H
#define VGPU_API_42_EVENT_NOTIFIER_H

typedef struct EventNotifier {
  int rfd;
  int wfd;
} EventNotifier;

void event_notifier_init_fd(EventNotifier* notifier, int fd);

#endif
