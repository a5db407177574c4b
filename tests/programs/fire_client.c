/* SPDX-License-Identifier: Apache-2.0
 *
 * fire_client STAGE: a client to be shot at. It says "at STAGE" while it is in it, stays until released, goes on, and
 * ends with one line of verdict. Status: 0 right, 2 a CUDA error, 3 wrong results, 64 wrong usage.
 */
#include "tests/programs/fire_client.h"

#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "fire_kernels.gen.h" /* fire_kernels_ptx */

enum { LATER_ROUNDS = 3, MAX_NAMES = 8 };
enum { STATUS_RIGHT = 0, STATUS_ERROR = 2, STATUS_WRONG = 3, STATUS_USAGE = 64 };

void say(const char* format, ...) {
  char line[512];
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(line, sizeof line - 1, format, arguments);
  va_end(arguments);
  if (length < 0) return;
  if (length > (int)sizeof line - 2) length = (int)sizeof line - 2;
  line[length++] = '\n';
  if (write(STDOUT_FILENO, line, (size_t)length) < 0) _exit(STATUS_USAGE); /* nobody listens any more */
}

int succeeded(struct fire* fire, const char* call, cu_result result) {
  if (result == CU_OK) return 1;
  if (fire->error == CU_OK) fire->error = result;
  say("error %s in %s", driver_error_name(&fire->driver, result), call);
  return 0;
}

void expect_equal(struct fire* fire, const char* what, unsigned long have, unsigned long want) {
  ++fire->results;
  if (have == want) return;
  if (fire->wrong++ == 0) say("wrong: %s is %#lx, not %#lx", what, have, want);
}

/* ---- the hold: a thread watches standard input, so that a stage may sit in a call meanwhile ---- */

static atomic_int g_released;
static _Atomic(volatile uint32_t*) g_flag;

/* Both sides store first and look then (sequentially consistent), so one of them sets the flag. */
static void release(void) {
  atomic_store(&g_released, 1);
  volatile uint32_t* flag = atomic_load(&g_flag);
  if (flag != NULL) *flag = 1;
}

void release_with(volatile uint32_t* flag) {
  atomic_store(&g_flag, flag);
  if (atomic_load(&g_released)) *flag = 1;
}

static void* watch_input(void* unused) {
  (void)unused;
  struct pollfd input = {STDIN_FILENO, POLLIN, 0};
  char byte;
  if (poll(&input, 1, FIRE_HOLD_SECONDS * 1000) <= 0) {
    say("the hold expired");
  } else if (read(STDIN_FILENO, &byte, 1) < 0) {
    say("standard input cannot be read");
  }
  release();
  return NULL;
}

void hold_here(const char* stage) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, watch_input, NULL) != 0) {
    say("cannot start a thread");
    _exit(STATUS_USAGE);
  }
  pthread_detach(thread);
  say("at %s", stage);
}

int is_released(void) { return atomic_load(&g_released); }

void wait_for_release(void) {
  const struct timespec nap = {0, 1000000};
  while (!is_released()) nanosleep(&nap, NULL);
}

/* ---- computing ---- */

const char* fire_kernels(void) { return fire_kernels_ptx; }

static int open_session(struct fire* fire) {
  return TRY(fire, init, 0) && TRY(fire, device_get, &fire->device, 0) &&
         TRY(fire, context_retain, &fire->context, fire->device) && TRY(fire, context_set, fire->context) &&
         TRY(fire, module_load, &fire->module, fire_kernels_ptx) &&
         TRY(fire, get_function, &fire->mix, fire->module, "mix") &&
         TRY(fire, get_function, &fire->bump, fire->module, "bump") &&
         TRY(fire, get_function, &fire->spin, fire->module, "spin");
}

static int close_session(struct fire* fire) {
  return TRY(fire, module_unload, fire->module) && TRY(fire, context_release, fire->device);
}

int launch(struct fire* fire, cu_handle function, cu_handle stream, unsigned threads, void** parameters) {
  const unsigned block = threads < FIRE_BLOCK ? threads : FIRE_BLOCK;
  const unsigned grid = (threads + block - 1) / block;
  return TRY(fire, launch, function, grid, 1, 1, block, 1, 1, 0, stream, parameters, NULL);
}

int compute_once(struct fire* fire, unsigned count, unsigned seed) {
  static uint32_t values[FIRE_WORDS], results[FIRE_WORDS];
  cu_address on_device = 0;
  const size_t size = count * sizeof *values;
  void* parameters[] = {&on_device, &count, &seed};
  for (unsigned i = 0; i < count; ++i) values[i] = seed + i * 2654435761u;
  if (!TRY(fire, allocate, &on_device, size) || !TRY(fire, copy_to_device, on_device, values, size) ||
      !launch(fire, fire->mix, NULL, count, parameters) || !TRY(fire, copy_to_host, results, on_device, size))
    return 0;
  for (unsigned i = 0; i < count; ++i)
    expect_equal(fire, "a mixed word", results[i], (uint32_t)((values[i] ^ seed) * 1664525u + i));
  return TRY(fire, release, on_device);
}

/* ---- the verdict ---- */

/* Every kind of call a few times: what do they answer after an error? Fills `names` with the different answers. */
static unsigned collect_later(struct fire* fire, const char* names[MAX_NAMES]) {
  const struct driver* driver = &fire->driver;
  unsigned count = 0;
  for (int round = 0; round < LATER_ROUNDS; ++round) {
    cu_address address = 0;
    cu_handle stream = NULL;
    uint32_t word = 0;
    unsigned one = 1;
    void* parameters[] = {&address, &one, &one};
    const cu_result answers[] = {
        driver->allocate(&address, 4096),
        driver->copy_to_device(address, &word, sizeof word),
        driver->set_words(address, 0, 1),
        driver->synchronize(),
        driver->stream_create(&stream, 0),
        driver->stream_synchronize(NULL),
        driver->launch(fire->mix, 1, 1, 1, 1, 1, 1, 0, NULL, parameters, NULL),
    };
    /* Without a kernel the launch has an error of its own. */
    const unsigned asked = sizeof answers / sizeof *answers - (fire->mix == NULL);
    for (unsigned i = 0; i < asked; ++i) {
      const char* name = driver_error_name(driver, answers[i]);
      unsigned known = 0;
      while (known < count && strcmp(names[known], name) != 0) ++known;
      if (known == count && count < MAX_NAMES) names[count++] = name;
    }
  }
  return count;
}

static int report(struct fire* fire) {
  if (fire->wrong != 0) {
    say("verdict: wrong: %lu of %lu results", fire->wrong, fire->results);
    return STATUS_WRONG;
  }
  if (fire->error == CU_OK) {
    say("verdict: right");
    return STATUS_RIGHT;
  }
  const char* names[MAX_NAMES];
  const unsigned count = collect_later(fire, names);
  const char* first = driver_error_name(&fire->driver, fire->error);
  if (count == 1) {
    say("verdict: error %s first, every later call %s", first, names[0]);
  } else {
    char all[256] = "";
    for (unsigned i = 0; i < count; ++i) snprintf(all + strlen(all), sizeof all - strlen(all), " %s", names[i]);
    say("verdict: error %s first, later calls differ:%s", first, all);
  }
  return STATUS_ERROR;
}

static int print_usage(void) {
  puts("usage: fire_client STAGE\n  It says \"at STAGE\" and stays there until a byte or the end of standard input.");
  for (unsigned i = 0; i < fire_stage_count; ++i) printf("  %-10s %s\n", fire_stages[i].name, fire_stages[i].what);
  return STATUS_USAGE;
}

static const struct stage* find_stage(const char* name) {
  for (unsigned i = 0; i < fire_stage_count; ++i)
    if (strcmp(fire_stages[i].name, name) == 0) return &fire_stages[i];
  return NULL;
}

/* Says "on" when it is through its stage: how long the rest takes is nobody's recovery. */
static int go_through(struct fire* fire, const struct stage* stage) {
  if (stage->when == DURING && !stage->run(fire)) return 0;
  say("on");
  return 1;
}

int main(int count, char** arguments) {
  const struct stage* stage = count == 2 ? find_stage(arguments[1]) : NULL;
  static struct fire fire;
  if (stage == NULL) return print_usage();
  if (!driver_open(&fire.driver)) return STATUS_USAGE;
  if (stage->when == BEFORE) stage->run(&fire);
  if (open_session(&fire) && compute_once(&fire, FIRE_SMALL, 1) && go_through(&fire, stage) && grow(&fire) &&
      compute_once(&fire, FIRE_WORDS, 2))
    close_session(&fire);
  const int status = report(&fire);
  if (stage->when == AFTER) stage->run(&fire);
  return status;
}
