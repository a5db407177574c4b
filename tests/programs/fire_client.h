/* SPDX-License-Identifier: Apache-2.0
 *
 * What the stages of fire_client share: the driver, its results, and the hold that standard input ends.
 */
#ifndef VGPU_TESTS_PROGRAMS_FIRE_CLIENT_H
#define VGPU_TESTS_PROGRAMS_FIRE_CLIENT_H

#include "tests/programs/driver_api.h"

enum { FIRE_BLOCK = 256, FIRE_SMALL = 4096, FIRE_WORDS = 1 << 16, FIRE_HOLD_SECONDS = 25 };

struct fire {
  struct driver driver;
  cu_device device;
  cu_handle context, module, mix, bump, spin;
  cu_result error;       /* the first that a call gave; CU_OK: none */
  unsigned long results; /* results compared */
  unsigned long wrong;   /* of them, those that were not what they should be */
};

/* Prints a line at once, without the buffers of stdio: memory may be exhausted, and the reader waits for it. */
void say(const char* format, ...) __attribute__((format(printf, 1, 2)));

/* True if the call succeeded; otherwise prints the error's name and remembers the first. */
int succeeded(struct fire* fire, const char* call, cu_result result);
#define TRY(fire, member, ...) succeeded(fire, #member, (fire)->driver.member(__VA_ARGS__))

/* Counts one compared result. */
void expect_equal(struct fire* fire, const char* what, unsigned long have, unsigned long want);

/* Says "at STAGE" and begins the hold, which ends with a byte on standard input, with the end of input, or at its
 * deadline. */
void hold_here(const char* stage);
int is_released(void);
void wait_for_release(void);
/* Sets *flag to 1 when the hold ends; at once if it has. */
void release_with(volatile uint32_t* flag);

int launch(struct fire* fire, cu_handle function, cu_handle stream, unsigned threads, void** parameters);
/* Fills, runs `mix` and compares every word with the CPU's. */
int compute_once(struct fire* fire, unsigned count, unsigned seed);

/* After a stage: asks for more of everything. */
int grow(struct fire* fire);
const char* fire_kernels(void);

/* A stage: brings itself there, says "at NAME" in it, goes on when released, compares its results. */
struct stage {
  const char* name;
  enum { BEFORE, DURING, AFTER } when; /* its computing */
  const char* what;
  int (*run)(struct fire* fire);
};
extern const struct stage fire_stages[];
extern const unsigned fire_stage_count;

#endif
