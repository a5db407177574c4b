/* SPDX-License-Identifier: Apache-2.0
 *
 * A program that computes without a pause and checks every answer: a launch and a copy back in each round, and in
 * every sixteenth a block of memory there and back. It needs no NVIDIA file to be built.
 */
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "round_trips.gen.h" /* round_trips_ptx */
#include "tests/programs/driver_api.h"

enum { BLOCK_SIZE = 64 << 10, BLOCK_EVERY = 16, SAY_EVERY = 100 };
enum { STATUS_RIGHT = 0, STATUS_ERROR = 2, STATUS_WRONG = 3, STATUS_USAGE = 64 };

struct work {
  struct driver driver;
  cu_device device;
  cu_handle context, module, step;
  cu_address words, block;
  unsigned long rounds, wrong;
  cu_result error;
  const char* failed; /* the call that gave it */
};

static int try(struct work* work, const char* call, cu_result result) {
  if (result == CU_OK) return 1;
  work->error = result;
  work->failed = call;
  return 0;
}
#define TRY(work, member, ...) try(work, #member, (work)->driver.member(__VA_ARGS__))

static int begin(struct work* work) {
  return TRY(work, init, 0) && TRY(work, device_get, &work->device, 0) &&
         TRY(work, context_retain, &work->context, work->device) && TRY(work, context_set, work->context) &&
         TRY(work, module_load, &work->module, round_trips_ptx) &&
         TRY(work, get_function, &work->step, work->module, "step") && TRY(work, allocate, &work->words, 8) &&
         TRY(work, set_words, work->words, 0, 2) && TRY(work, allocate, &work->block, BLOCK_SIZE);
}

static int end(struct work* work) {
  return TRY(work, release, work->words) && TRY(work, release, work->block) && TRY(work, module_unload, work->module) &&
         TRY(work, context_release, work->device);
}

static int step_once(struct work* work) {
  uint32_t words[2] = {0, 0};
  void* parameters[] = {&work->words};
  if (!TRY(work, launch, work->step, 1, 1, 1, 1, 1, 1, 0, NULL, parameters, NULL) ||
      !TRY(work, copy_to_host, words, work->words, sizeof words))
    return 0;
  work->wrong += words[0] != (uint32_t)work->rounds + 1 || words[1] != (uint32_t)work->rounds;
  return 1;
}

static int copy_once(struct work* work) {
  static uint32_t there[BLOCK_SIZE / 4], back[BLOCK_SIZE / 4];
  for (unsigned i = 0; i < BLOCK_SIZE / 4; i++) there[i] = i * 2654435761u + (uint32_t)work->rounds;
  memset(back, 0, sizeof back);
  if (!TRY(work, copy_to_device, work->block, there, BLOCK_SIZE) ||
      !TRY(work, copy_to_host, back, work->block, BLOCK_SIZE))
    return 0;
  work->wrong += memcmp(there, back, BLOCK_SIZE) != 0;
  return 1;
}

static int is_told_to_stop(void) {
  struct pollfd input = {STDIN_FILENO, POLLIN, 0};
  return poll(&input, 1, 0) > 0;
}

static int run(struct work* work, unsigned long count) {
  while (count == 0 ? !is_told_to_stop() : work->rounds < count) {
    if (!step_once(work) || (work->rounds % BLOCK_EVERY == 0 && !copy_once(work))) return 0;
    if (++work->rounds % SAY_EVERY == 0) {
      printf("at %lu\n", work->rounds);
      fflush(stdout);
    }
  }
  return 1;
}

int main(int count, char** arguments) {
  static struct work work;
  char* rest = NULL;
  const unsigned long rounds = count == 2 ? strtoul(arguments[1], &rest, 10) : 0;
  if (!rest || *rest) {
    puts("usage: round_trips COUNT\n  0: until there is something on standard input, or its end");
    return STATUS_USAGE;
  }
  if (!driver_open(&work.driver)) return STATUS_USAGE;
  if (begin(&work) && run(&work, rounds)) end(&work);
  printf("round_trips: %lu rounds, %lu wrong", work.rounds, work.wrong);
  if (work.error != CU_OK) printf(", %s in %s", driver_error_name(&work.driver, work.error), work.failed);
  puts("");
  return work.wrong ? STATUS_WRONG : work.error != CU_OK ? STATUS_ERROR : STATUS_RIGHT;
}
