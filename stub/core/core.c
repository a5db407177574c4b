/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stub/core/core_private.h"

/* ---- log and timer ---- */

uint64_t vgpu_core_now(struct vgpu_core* core) { return core->front.now_ms(core->opaque); }

void vgpu_core_log(struct vgpu_core* core, struct vgpu_log_rate* rate, enum vgpu_core_log_level level,
                   const char* format, ...) {
  uint64_t left_out = 0;
  if (!vgpu_log_rate_take(rate, vgpu_core_now(core), &left_out)) return;
  char text[512];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  char line[600];
  if (left_out == 0)
    snprintf(line, sizeof line, "[vgpu-stub] %s", text);
  else
    snprintf(line, sizeof line, "[vgpu-stub] %s (%llu lines before it left out)", text, (unsigned long long)left_out);
  core->front.log(core->opaque, level, line);
}

void vgpu_core_mistake(struct vgpu_core* core, const char* what, uint64_t offset, unsigned size) {
  ++core->mistakes;
  vgpu_core_log(core, &core->mistake_lines, VGPU_CORE_WARNING,
                "the guest broke a rule: %s at 0x%05llx, %u bytes (%llu mistakes in all)", what,
                (unsigned long long)offset, size, (unsigned long long)core->mistakes);
}

static uint64_t sooner(uint64_t one, uint64_t other) {
  if (one == 0 || other == 0) return one + other;
  return one < other ? one : other;
}

void vgpu_core_arm(struct vgpu_core* core) {
  const uint64_t due = sooner(vgpu_link_due(core), vgpu_legacy_due(core));
  if (due == core->armed_ms) return;
  core->armed_ms = due;
  core->front.set_timer(core->opaque, due);
}

/* ---- life ---- */

/* Empty if the configuration is right. */
static const char* check_config(const struct vgpu_core_config* config) {
  const uint64_t size = config->window_size;
  if (config->socket == NULL || config->socket[0] == '\0')
    return "socket is empty: give the path of the broker's socket for this VM ([vm.NAME] socket)";
  if (strlen(config->socket) >= sizeof(((struct sockaddr_un*)0)->sun_path))
    return "socket is too long: a Unix socket's path has at most 107 bytes";
  if (size < VGPU_CORE_WINDOW_MIN || size > VGPU_CORE_WINDOW_MAX || (size & (size - 1)) != 0)
    return "window size is wrong: a power of two from 64 MiB to 512 GiB is needed";
  if (config->pool != 'A' && config->pool != 'B') return "pool is wrong: A or B";
  if (config->priority > 2) return "priority is wrong: low, medium or high (0, 1, 2)";
  if (config->channels > VGPU_CHANNEL_MAX) return "too many channels: at most 128";
  return "";
}

struct vgpu_core* vgpu_core_new(const struct vgpu_core_config* config, const struct vgpu_core_front* front,
                                void* opaque, char* error, size_t error_size) {
  const char* problem = check_config(config);
  struct vgpu_core* core = problem[0] == '\0' ? calloc(1, sizeof *core) : NULL;
  if (core == NULL) {
    snprintf(error, error_size, "%s", problem[0] != '\0' ? problem : "no memory for the device");
    return NULL;
  }
  core->front = *front;
  core->opaque = opaque;
  core->config = *config;
  strcpy(core->path, config->socket);
  core->config.socket = core->path;
  if (core->config.channels == 0) core->config.channels = VGPU_CHANNEL_MAX;
  if (core->config.legacy_timeout_ms == 0) core->config.legacy_timeout_ms = VGPU_CORE_LEGACY_TIMEOUT_MS;
  core->window = -1;
  vgpu_log_rate_init(&core->link_lines, VGPU_CORE_LINK_LINES, vgpu_core_now(core));
  vgpu_log_rate_init(&core->trace_lines, VGPU_CORE_TRACE_LINES, vgpu_core_now(core));
  vgpu_log_rate_init(&core->mistake_lines, VGPU_CORE_MISTAKE_LINES, vgpu_core_now(core));
  vgpu_io_init(&core->link.io);
  vgpu_channels_init(core);
  return core;
}

void vgpu_core_start(struct vgpu_core* core) {
  core->is_started = true;
  vgpu_link_begin(core);
  vgpu_core_arm(core);
}

void vgpu_core_free(struct vgpu_core* core) {
  if (core == NULL) return;
  vgpu_link_end(core);
  vgpu_channels_free_all(core);
  vgpu_window_detach(core);
  if (core->armed_ms != 0) core->front.set_timer(core->opaque, 0);
  free(core);
}

void vgpu_core_reset(struct vgpu_core* core) {
  if (core->is_started) vgpu_link_restart(core);
  vgpu_channels_free_all(core);
  vgpu_window_detach(core);
  vgpu_command_reset(core);
  vgpu_legacy_reset(core);
  vgpu_core_arm(core);
}

/* ---- events ---- */

void vgpu_core_on_ready(struct vgpu_core* core, int fd) {
  if (fd < 0) return;
  if (fd == core->link.io.fd)
    vgpu_link_on_ready(core);
  else
    vgpu_channels_on_ready(core, fd);
  vgpu_core_arm(core);
}

void vgpu_core_on_timer(struct vgpu_core* core) {
  const uint64_t now_ms = vgpu_core_now(core);
  core->armed_ms = 0;
  vgpu_legacy_on_timer(core, now_ms);
  vgpu_link_on_timer(core, now_ms);
  vgpu_core_arm(core);
}

enum vgpu_link_status vgpu_core_link(const struct vgpu_core* core) { return core->link.status; }
uint64_t vgpu_core_mistakes(const struct vgpu_core* core) { return core->mistakes; }
