/* SPDX-License-Identifier: Apache-2.0
 *
 * The link's life:
 *
 *   APART --attempt--> AWAITING --LINK ok--> JOINED
 *     ^  nobody: 200 ms   |  refused, nonsense, silence: 2 s   |  end: at once, then every 200 ms
 *     +-------------------+------------------------------------+
 *
 * Window, doorbells and open channels outlive the connection: the workers behind them may live on. They end with a
 * reset, and with a link that brings another window.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "stub/core/core_private.h"

#define MESSAGES_AT_ONCE 64 /* then the front's loop gets its turn */
#define SLOW_HELLO_MS 5000u

bool vgpu_link_is_up(const struct vgpu_core* core) { return core->link.phase == VGPU_PHASE_JOINED; }

uint64_t vgpu_link_due(const struct vgpu_core* core) {
  const struct vgpu_core_link* link = &core->link;
  return link->phase == VGPU_PHASE_AWAITING ? link->slow_ms : link->retry_ms;
}

/* ---- what is said of it ---- */

/* A line, once for as long as it stays true; `text` is for the guest. */
static void tell(struct vgpu_core* core, enum vgpu_core_log_level level, const char* format, ...)
    __attribute__((format(printf, 3, 4)));
static void tell(struct vgpu_core* core, enum vgpu_core_log_level level, const char* format, ...) {
  char line[sizeof core->link.told];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  if (strcmp(line, core->link.told) == 0) return;
  memcpy(core->link.told, line, sizeof line);
  vgpu_core_log(core, &core->link_lines, level, "%s", line);
}

static void show(struct vgpu_core* core, enum vgpu_link_status status, const char* text) {
  core->link.status = status;
  memset(core->link.text, 0, sizeof core->link.text);
  snprintf(core->link.text, sizeof core->link.text, "%s", text);
}

/* Text of the broker: always ended, nothing unprintable. */
static void copy_text(char* to, size_t size, const char* from, size_t from_size) {
  size_t length = 0;
  for (; length + 1 < size && length < from_size && from[length] != '\0'; ++length)
    to[length] = from[length] >= ' ' && from[length] <= '~' ? from[length] : '?';
  to[length] = '\0';
}

/* ---- connection ---- */

static void leave(struct vgpu_core* core) {
  if (core->link.io.fd >= 0) core->front.unwatch(core->opaque, core->link.io.fd);
  vgpu_io_close(&core->link.io);
  core->link.phase = VGPU_PHASE_APART;
  core->link.slow_ms = 0;
}

/* Never sooner after the last attempt than a stub that finds nobody would: neither a guest that resets on and on nor a
 * broker that closes on and on makes more connections. */
static void retry_in(struct vgpu_core* core, uint64_t ms) {
  struct vgpu_core_link* link = &core->link;
  link->retry_ms = vgpu_core_now(core) + ms;
  if (link->is_tried && link->retry_ms < link->attempt_ms + VGPU_CORE_RETRY_MS)
    link->retry_ms = link->attempt_ms + VGPU_CORE_RETRY_MS;
  if (link->retry_ms == 0) link->retry_ms = 1; /* 0 means never */
}

/* The connection is over, whatever it was good for. What the guest waits for ends now. */
static void lose(struct vgpu_core* core, enum vgpu_link_status status, const char* text) {
  leave(core);
  vgpu_command_link_lost(core);
  vgpu_legacy_link_lost(core);
  show(core, status, text);
}

/* The broker breaks the rules: it is left at once, which gives it everything back. */
static void lose_by_nonsense(struct vgpu_core* core, const char* problem) {
  tell(core, VGPU_CORE_ERROR,
       "the broker sent what it must not (%s): the link is closed; do the versions of stub and broker match?", problem);
  lose(core, VGPU_LINK_DOWN, "the broker sent what it must not: see the log of the device's process");
  retry_in(core, VGPU_CORE_REFUSED_RETRY_MS);
}

static void lose_by_end(struct vgpu_core* core) {
  const bool was_up = vgpu_link_is_up(core);
  if (was_up)
    tell(core, VGPU_CORE_WARNING, "the broker at %s has ended: its workers go on, the link is sought again",
         core->path);
  else
    tell(core, VGPU_CORE_WARNING, "the broker at %s closed the connection without an answer; see its log", core->path);
  if (was_up) core->link.told_connected = false;
  lose(core, VGPU_LINK_DOWN, "the broker has ended; the link is sought again");
  /* One that was killed just after it took us: the next may be there already. */
  retry_in(core, was_up ? 0 : VGPU_CORE_RETRY_MS);
}

static void send_failed(struct vgpu_core* core, int error) {
  if (error != 0) tell(core, VGPU_CORE_WARNING, "sendmsg failed: %s", strerror(error));
}

static void watch(struct vgpu_core* core) {
  struct vgpu_core_link* link = &core->link;
  link->is_writable_watched = vgpu_io_is_pending(&link->io);
  core->front.watch(core->opaque, link->io.fd, link->is_writable_watched);
}

static void watch_if_changed(struct vgpu_core* core) {
  if (core->link.io.fd >= 0 && core->link.is_writable_watched != vgpu_io_is_pending(&core->link.io)) watch(core);
}

bool vgpu_link_has_room(const struct vgpu_core* core, size_t size) {
  return vgpu_io_room(&core->link.io) >= size + sizeof(struct vgpu_open);
}

static void fill_header(struct vgpu_link_header* header, unsigned type, size_t size) {
  header->magic = VGPU_LINK_MAGIC;
  header->type = (uint16_t)type;
  header->size = (uint32_t)size;
  header->major = VGPU_LINK_MAJOR;
  header->minor = VGPU_LINK_MINOR;
}

void vgpu_link_send(struct vgpu_core* core, unsigned type, void* message, size_t size) {
  fill_header(message, type, size);
  send_failed(core, vgpu_io_send(&core->link.io, message, size));
  watch_if_changed(core);
}

/* ---- attempt and hello ---- */

static void send_hello(struct vgpu_core* core) {
  struct vgpu_core_link* link = &core->link;
  struct vgpu_stub_hello hello;
  memset(&hello, 0, sizeof hello);
  fill_header(&hello.header, VGPU_STUB_HELLO, sizeof hello);
  link->hello_had_window = core->window >= 0;
  hello.header.fd_count = link->hello_had_window ? 1 : 0;
  hello.oldest_minor = VGPU_LINK_MINOR;
  hello.pool = (uint8_t)core->config.pool;
  hello.priority = (uint8_t)core->config.priority;
  hello.vm_id = core->config.vm_id;
  hello.window_size = core->config.window_size;
  hello.channels = core->config.channels;
  memset(link->shown, 0, sizeof link->shown);
  if (link->hello_had_window) vgpu_channels_show(core, link->shown);
  memcpy(hello.open, link->shown, sizeof hello.open);
  send_failed(core, vgpu_io_send_first(&link->io, &hello, sizeof hello, core->window));
}

static void nobody_there(struct vgpu_core* core, const char* call, int error) {
  char text[VGPU_LINK_TEXT_SIZE];
  snprintf(text, sizeof text, "%s failed: %s", call, strerror(error));
  tell(core, VGPU_CORE_WARNING,
       "%s (%s); tried again every %u ms: does vgpu-broker run, with a [vm.NAME] socket at this path?", text,
       core->path, VGPU_CORE_RETRY_MS);
  core->link.told_connected = false;
  show(core, VGPU_LINK_DOWN, text);
  retry_in(core, VGPU_CORE_RETRY_MS);
}

static void attempt(struct vgpu_core* core) {
  struct vgpu_core_link* link = &core->link;
  const char* call = "";
  link->retry_ms = 0;
  link->attempt_ms = vgpu_core_now(core);
  link->is_tried = true;
  const int error = vgpu_io_connect(&link->io, core->path, &call);
  if (error != 0) {
    nobody_there(core, call, error);
    return;
  }
  link->phase = VGPU_PHASE_AWAITING;
  link->slow_ms = link->attempt_ms + SLOW_HELLO_MS;
  if (!link->told_connected)
    vgpu_core_log(core, &core->link_lines, VGPU_CORE_INFO, "Connected to mediator at %s (fd=%d)", core->path,
                  link->io.fd);
  link->told_connected = true;
  send_hello(core);
  watch(core);
}

void vgpu_link_on_timer(struct vgpu_core* core, uint64_t now_ms) {
  struct vgpu_core_link* link = &core->link;
  const uint64_t due = vgpu_link_due(core);
  if (due == 0 || now_ms < due) return;
  if (link->phase == VGPU_PHASE_APART) {
    attempt(core);
  } else if (link->phase == VGPU_PHASE_AWAITING) {
    link->slow_ms = 0; /* it may still be giving back what the last life of this VM held */
    tell(core, VGPU_CORE_WARNING, "the broker at %s has not answered for %u s; see its log", core->path,
         SLOW_HELLO_MS / 1000);
  }
}

/* ---- the answer ---- */

static const char* check_link(const struct vgpu_core* core, const struct vgpu_link* answer) {
  const struct vgpu_core_link* link = &core->link;
  if (answer->chosen_major != VGPU_LINK_MAJOR || answer->chosen_minor > VGPU_LINK_MINOR || answer->features != 0)
    return "a LINK with a version or features that were not offered";
  if (answer->window_size != core->config.window_size) return "a window of another size than BAR1";
  if (answer->channels == 0 || answer->channels > core->config.channels)
    return "a LINK with a wrong number of channels";
  if (answer->kept > 1 || answer->header.fd_count != 1 - answer->kept)
    return "a LINK with the wrong number of descriptors";
  if (answer->kept == 1 && !link->hello_had_window) return "a LINK that keeps a window which was not shown";
  for (unsigned i = 0; answer->kept == 1 && i < VGPU_BITMAP_WORDS; ++i)
    if ((answer->open[i] & ~link->shown[i]) != 0) return "a LINK with channels that were not shown";
  return NULL;
}

static void refused(struct vgpu_core* core, const char* why) {
  tell(core, VGPU_CORE_ERROR, "the broker at %s refuses this VM: %s (asked again every %u s)", core->path, why,
       VGPU_CORE_REFUSED_RETRY_MS / 1000);
  lose(core, VGPU_LINK_REFUSED, why);
  retry_in(core, VGPU_CORE_REFUSED_RETRY_MS);
}

static void link_up(struct vgpu_core* core, const struct vgpu_link* answer) {
  struct vgpu_core_link* link = &core->link;
  char name[sizeof answer->vm];
  copy_text(name, sizeof name, answer->vm, sizeof answer->vm);
  link->phase = VGPU_PHASE_JOINED;
  link->slow_ms = 0;
  link->channels = answer->channels;
  link->broker_pid = answer->broker_pid;
  show(core, VGPU_LINK_UP, name);
  tell(core, VGPU_CORE_INFO, "link up: VM %s, broker %u, %s window of %llu MiB, %u channels", name, answer->broker_pid,
       answer->kept != 0 ? "kept the" : "new", (unsigned long long)(answer->window_size >> 20), answer->channels);
}

/* A window that was held before is gone with its channels: whoever used them must see that. */
static const char* take_window(struct vgpu_core* core) {
  struct vgpu_link_io* io = &core->link.io;
  const char* problem = vgpu_window_check(io->fds[0], core->config.window_size);
  if (problem != NULL) return problem;
  vgpu_channels_lose_all(core);
  const int error = vgpu_window_attach(core, vgpu_io_take_fd(io, 0));
  if (error == 0) {
    ++core->link.generation;
    return NULL;
  }
  tell(core, VGPU_CORE_ERROR, "the window cannot be put behind BAR1: %s", strerror(error));
  lose(core, VGPU_LINK_DOWN, "the window cannot be put behind BAR1: see the log of the device's process");
  retry_in(core, VGPU_CORE_REFUSED_RETRY_MS);
  return NULL;
}

static const char* answered(struct vgpu_core* core, const struct vgpu_link* answer) {
  char why[VGPU_LINK_TEXT_SIZE];
  copy_text(why, sizeof why, answer->text, sizeof answer->text);
  if (answer->status != 0) {
    refused(core, why[0] != '\0' ? why : "no reason given");
    return NULL;
  }
  const char* problem = check_link(core, answer);
  if (problem != NULL) return problem;
  if (answer->kept == 0) problem = take_window(core);
  if (problem != NULL || core->link.phase == VGPU_PHASE_APART) return problem;
  link_up(core, answer);
  if (answer->kept == 1) vgpu_channels_keep(core, answer->open);
  return NULL;
}

/* ---- messages ---- */

/* Null, or what is wrong with the message. */
static const char* handle(struct vgpu_core* core) {
  struct vgpu_link_io* io = &core->link.io;
  const bool is_answer = io->in.header.type == VGPU_LINK;
  if (is_answer != (core->link.phase == VGPU_PHASE_AWAITING)) return "a message out of turn";
  switch (io->in.header.type) {
    case VGPU_LINK:
      return answered(core, &io->in.link);
    case VGPU_OPENED:
      return vgpu_command_opened(core, io);
    case VGPU_CLOSED:
      return vgpu_command_closed(core, &io->in.closed);
    default:
      return vgpu_legacy_responded(core, &io->in.legacy);
  }
}

static void foreign(struct vgpu_core* core) {
  const struct vgpu_link_header* header = &core->link.io.in.header;
  char why[128];
  snprintf(why, sizeof why, "it speaks version %u.%u of the link, this device %u.%u: install versions that match",
           header->major, header->minor, VGPU_LINK_MAJOR, VGPU_LINK_MINOR);
  refused(core, why);
}

/* True if more may be there. */
static bool receive(struct vgpu_core* core) {
  struct vgpu_link_io* io = &core->link.io;
  const char* problem = NULL;
  switch (vgpu_io_receive(io)) {
    case VGPU_IO_NOTHING:
      return false;
    case VGPU_IO_CLOSED:
      lose_by_end(core);
      return false;
    case VGPU_IO_FOREIGN:
      foreign(core);
      return false;
    case VGPU_IO_NONSENSE:
      problem = io->problem;
      break;
    case VGPU_IO_MESSAGE:
      problem = handle(core);
      break;
  }
  if (problem != NULL) lose_by_nonsense(core, problem);
  return core->link.io.fd >= 0;
}

void vgpu_link_on_ready(struct vgpu_core* core) {
  if (!core->link.io.broken) send_failed(core, vgpu_io_flush(&core->link.io));
  int left = MESSAGES_AT_ONCE;
  while (receive(core) && --left > 0) continue;
  watch_if_changed(core);
}

/* ---- begin, restart, end ---- */

void vgpu_link_begin(struct vgpu_core* core) {
  show(core, VGPU_LINK_DOWN, "the broker is sought");
  retry_in(core, 0);
}

void vgpu_link_restart(struct vgpu_core* core) {
  if (vgpu_link_is_up(core)) core->link.told_connected = false;
  lose(core, VGPU_LINK_DOWN, "the device was reset");
  vgpu_link_begin(core);
}

void vgpu_link_end(struct vgpu_core* core) { leave(core); }
