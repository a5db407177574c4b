/* SPDX-License-Identifier: Apache-2.0
 *
 * The test bench's hand inside a guest: runs programs that the bench names over a serial port, and tells what they
 * wrote and how they ended. It is the guest's first process, so it also collects whatever loses its parent.
 *
 * usage: vgpu-vm-delegate PORT
 */
#include "tests/vm/programs/delegate.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROGRAMS_MAX 64
#define WORDS_MAX 256

struct program {
  pid_t pid; /* 0: this place is free */
  uint32_t id;
  int input, output, errors; /* our ends; -1 when closed */
  int ended, status;
  char* unwritten; /* input that the program has not taken yet */
  size_t unwritten_size;
  int input_is_complete;
};

static struct program programs[PROGRAMS_MAX];
static int port = -1;
static int child_noticed[2]; /* a byte for each SIGCHLD: poll() sees it */

static void give_up(const char* what) {
  dprintf(2, "delegate: %s: %s\n", what, strerror(errno));
  _exit(1);
}

/* ---- frames ---- */

static void write_all(const void* bytes, size_t size) {
  const char* at = bytes;
  while (size > 0) {
    const ssize_t done = write(port, at, size);
    if (done > 0) {
      at += done;
      size -= (size_t)done;
    } else if (done < 0 && errno != EAGAIN && errno != EINTR) {
      return; /* the bench has gone; it begins anew with a new guest */
    } else {
      struct pollfd wait_for = {.fd = port, .events = POLLOUT};
      poll(&wait_for, 1, 1000);
    }
  }
}

static void send_frame(uint32_t id, enum frame_kind kind, const void* body, size_t size) {
  const struct frame_header header = {.size = (uint32_t)size, .id = id, .kind = kind};
  write_all(&header, sizeof header);
  write_all(body, size);
}

static void send_number(uint32_t id, enum frame_kind kind, uint32_t number) {
  send_frame(id, kind, &number, sizeof number);
}

static void refuse(uint32_t id, const char* format, ...) {
  char text[256];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  send_frame(id, FRAME_REFUSED, text, strlen(text));
}

/* ---- programs ---- */

static struct program* find_program(uint32_t id) {
  for (int i = 0; i < PROGRAMS_MAX; i++)
    if (programs[i].pid != 0 && programs[i].id == id) return &programs[i];
  return NULL;
}

static struct program* free_place(void) {
  for (int i = 0; i < PROGRAMS_MAX; i++)
    if (programs[i].pid == 0) return &programs[i];
  return NULL;
}

static void close_end(int* end) {
  if (*end >= 0) close(*end);
  *end = -1;
}

/* In the child. A program that cannot be started says why through `report`, which closes by itself otherwise. */
static void become(char** words, char** settings, uint32_t user, const int ends[3], int report) {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  signal(SIGPIPE, SIG_DFL);
  setsid();
  for (int i = 0; i < 3; i++)
    if (dup2(ends[i], i) < 0) _exit(127);
  if (user != 0 && (setgroups(0, NULL) != 0 || setgid(user) != 0 || setuid(user) != 0)) _exit(127);
  for (; *settings; settings++) putenv(*settings);
  if (chdir("/tmp") != 0) _exit(127);
  execvp(words[0], words);
  const int reason = errno;
  if (write(report, &reason, sizeof reason) < 0) _exit(126);
  _exit(127);
}

static int make_pipes(int pipes[4][2]) {
  for (int i = 0; i < 4; i++) {
    if (pipe2(pipes[i], O_CLOEXEC) == 0) continue;
    while (i-- > 0) {
      close(pipes[i][0]);
      close(pipes[i][1]);
    }
    return 0;
  }
  return 1;
}

static void start_program(uint32_t id, uint32_t user, char** words, char** settings) {
  struct program* program = free_place();
  int pipes[4][2]; /* input, output, errors, why exec failed */
  if (!program || !make_pipes(pipes)) {
    refuse(id, "no more than %d programs at once", PROGRAMS_MAX);
    return;
  }
  const int ends[3] = {pipes[0][0], pipes[1][1], pipes[2][1]};
  const pid_t pid = fork();
  if (pid == 0) become(words, settings, user, ends, pipes[3][1]);
  for (int i = 0; i < 3; i++) close(ends[i]);
  close(pipes[3][1]);
  int reason = pid < 0 ? errno : 0;
  if (pid > 0 && read(pipes[3][0], &reason, sizeof reason) < 0) reason = errno;
  close(pipes[3][0]);
  *program = (struct program){.pid = pid, .id = id, .input = pipes[0][1], .output = pipes[1][0], .errors = pipes[2][0]};
  if (reason != 0) {
    close_end(&program->input);
    close_end(&program->output);
    close_end(&program->errors);
    program->pid = 0;
    refuse(id, "%s: %s", words[0], strerror(reason));
    return;
  }
  fcntl(program->input, F_SETFL, O_NONBLOCK);
  fcntl(program->output, F_SETFL, O_NONBLOCK);
  fcntl(program->errors, F_SETFL, O_NONBLOCK);
  send_number(id, FRAME_STARTED, (uint32_t)pid);
}

/* Passes on what can be read now; 0 at the end of it. */
static int pass_on(struct program* program, int* end, enum frame_kind kind) {
  static char bytes[FRAME_MAX];
  for (int rounds = 0; *end >= 0 && rounds < 4; rounds++) {
    const ssize_t size = read(*end, bytes, sizeof bytes);
    if (size > 0) {
      send_frame(program->id, kind, bytes, (size_t)size);
    } else if (size == 0) {
      close_end(end);
    } else if (errno != EINTR) {
      return errno == EAGAIN ? 0 : (close_end(end), 0);
    }
  }
  return *end >= 0;
}

static void feed(struct program* program) {
  while (program->input >= 0 && program->unwritten_size > 0) {
    const ssize_t done = write(program->input, program->unwritten, program->unwritten_size);
    if (done < 0 && errno == EAGAIN) return;
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) program->unwritten_size = 0, program->input_is_complete = 1; /* it does not want any */
    if (done > 0) {
      program->unwritten_size -= (size_t)done;
      memmove(program->unwritten, program->unwritten + done, program->unwritten_size);
    }
  }
  if (program->input_is_complete) close_end(&program->input);
}

/* It has ended: what is left in its pipes, then the status. Children of its own may hold the pipes open; they are not
 * waited for. */
static void finish(struct program* program) {
  while (pass_on(program, &program->output, FRAME_OUTPUT)) continue;
  while (pass_on(program, &program->errors, FRAME_ERRORS)) continue;
  close_end(&program->input);
  close_end(&program->output);
  close_end(&program->errors);
  free(program->unwritten);
  send_number(program->id, FRAME_ENDED, (uint32_t)program->status);
  memset(program, 0, sizeof *program);
}

static void collect_children(void) {
  char bytes[64];
  while (read(child_noticed[0], bytes, sizeof bytes) > 0) continue;
  int status;
  pid_t pid;
  while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
    for (int i = 0; i < PROGRAMS_MAX; i++) {
      if (programs[i].pid != pid) continue;
      programs[i].status = status;
      finish(&programs[i]);
    }
  }
}

/* ---- what the bench asks ---- */

static void run_asked(uint32_t id, char* body, uint32_t size) {
  uint32_t numbers[2];
  char* words[WORDS_MAX + 2] = {NULL}; /* the program's words, a null, the settings, a null */
  uint32_t count = 0;
  if (size < sizeof numbers || body[size - 1] != '\0') return refuse(id, "not a list of words");
  memcpy(numbers, body, sizeof numbers);
  for (char* at = body + sizeof numbers; at < body + size; at += strlen(at) + 1) {
    if (count == numbers[1]) count++;
    if (count >= WORDS_MAX) return refuse(id, "more than %d words", WORDS_MAX);
    words[count++] = at;
  }
  if (!words[0] || count < numbers[1]) return refuse(id, "no program named");
  start_program(id, numbers[0], words, &words[numbers[1] + 1]);
}

static void take_input(struct program* program, const char* body, uint32_t size) {
  if (size == 0) {
    program->input_is_complete = 1;
  } else if (!program->input_is_complete) {
    char* grown = realloc(program->unwritten, program->unwritten_size + size);
    if (!grown) give_up("memory for input");
    memcpy(grown + program->unwritten_size, body, size);
    program->unwritten = grown;
    program->unwritten_size += size;
  }
  feed(program);
}

static void obey(const struct frame_header* header, char* body) {
  if (header->kind == FRAME_RUN) {
    run_asked(header->id, body, header->size);
    return;
  }
  struct program* program = find_program(header->id);
  if (!program) return; /* it has ended meanwhile */
  if (header->kind == FRAME_INPUT) take_input(program, body, header->size);
  if (header->kind == FRAME_KILL && header->size == sizeof(uint32_t)) {
    uint32_t number;
    memcpy(&number, body, sizeof number);
    kill(program->pid, (int)number);
  }
}

/* 0 while nobody is connected at the other end. */
static int read_port(void) {
  static char bytes[sizeof(struct frame_header) + FRAME_MAX];
  static size_t have;
  const ssize_t size = read(port, bytes + have, sizeof bytes - have);
  if (size <= 0) return size < 0 && (errno == EAGAIN || errno == EINTR);
  have += (size_t)size;
  size_t at = 0;
  struct frame_header header;
  while (have - at >= sizeof header) {
    memcpy(&header, bytes + at, sizeof header);
    if (header.size > FRAME_MAX) {
      errno = EPROTO;
      give_up("the bench's frame");
    }
    if (have - at - sizeof header < header.size) break;
    obey(&header, bytes + at + sizeof header);
    at += sizeof header + header.size;
  }
  have -= at;
  memmove(bytes, bytes + at, have);
  return 1;
}

/* ---- the loop ---- */

static void notice_child(int signal_number) {
  (void)signal_number;
  const int kept = errno;
  if (write(child_noticed[1], "", 1) < 0) errno = kept; /* full: then there is one to read */
  errno = kept;
}

static void serve_programs(const struct pollfd* waiting, struct program* const* of, int count) {
  for (int i = 0; i < count; i++) {
    if (!waiting[i].revents || of[i]->pid == 0) continue;
    if (waiting[i].fd == of[i]->input) feed(of[i]);
    if (waiting[i].fd == of[i]->output) pass_on(of[i], &of[i]->output, FRAME_OUTPUT);
    if (waiting[i].fd == of[i]->errors) pass_on(of[i], &of[i]->errors, FRAME_ERRORS);
  }
}

static void serve(void) {
  struct pollfd waiting[2 + 3 * PROGRAMS_MAX];
  struct program* of[3 * PROGRAMS_MAX];
  int connected = 1;
  for (;;) {
    int count = 0;
    for (int i = 0; i < PROGRAMS_MAX; i++) {
      struct program* program = &programs[i];
      if (program->pid == 0) continue;
      const int ends[3] = {program->unwritten_size > 0 ? program->input : -1, program->output, program->errors};
      for (int end = 0; end < 3; end++) {
        if (ends[end] < 0) continue;
        of[count] = program;
        waiting[2 + count++] = (struct pollfd){.fd = ends[end], .events = end == 0 ? POLLOUT : POLLIN};
      }
    }
    waiting[0] = (struct pollfd){.fd = child_noticed[0], .events = POLLIN};
    waiting[1] = (struct pollfd){.fd = connected ? port : -1, .events = POLLIN};
    poll(waiting, (nfds_t)(2 + count), connected ? -1 : 100);
    if (!connected || waiting[1].revents) connected = read_port();
    serve_programs(waiting + 2, of, count);
    if (waiting[0].revents) collect_children();
  }
}

static void say_ready(void) {
  char text[64] = "";
  const int boot_id = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
  const ssize_t size = boot_id < 0 ? 0 : read(boot_id, text, sizeof text);
  close(boot_id);
  send_frame(0, FRAME_READY, text, size > 0 ? (size_t)size : 0);
}

int main(int count, char** arguments) {
  if (count != 2) {
    dprintf(2, "usage: vgpu-vm-delegate PORT\n");
    return 64;
  }
  if (pipe2(child_noticed, O_CLOEXEC | O_NONBLOCK) != 0) give_up("pipe");
  port = open(arguments[1], O_RDWR | O_CLOEXEC | O_NONBLOCK);
  if (port < 0) give_up(arguments[1]);
  signal(SIGPIPE, SIG_IGN);
  const struct sigaction on_child = {.sa_handler = notice_child, .sa_flags = SA_RESTART | SA_NOCLDSTOP};
  sigaction(SIGCHLD, &on_child, NULL);
  say_ready();
  serve();
}
