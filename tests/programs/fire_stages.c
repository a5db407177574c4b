/* SPDX-License-Identifier: Apache-2.0
 *
 * The stages of fire_client. Each is held, or repeated, until the client is released, so that whatever happens to the
 * processes meanwhile happens in this stage.
 */
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "tests/programs/fire_client.h"

enum { COPY_SIZE = 32 << 20, GROWTH = 24 << 20, MOST_HEAP = 64 << 20 };
enum { PINNED_FLAGS = 3 /* portable, mapped */, CAPTURE_RELAXED = 2, MAX_NODES = 500 };

static void nap(long microseconds) {
  const struct timespec time = {microseconds / 1000000, microseconds % 1000000 * 1000};
  nanosleep(&time, NULL);
}

static int stage_visit(struct fire* fire) {
  (void)fire;
  say("at visit");
  return 1;
}

static int stage_hello(struct fire* fire) {
  (void)fire;
  hold_here("hello");
  wait_for_release();
  return 1;
}

static int stage_idle(struct fire* fire) {
  (void)fire;
  hold_here("idle");
  wait_for_release();
  return 1;
}

/* Call after call, each of which waits for its answer. */
static int stage_call(struct fire* fire) {
  cu_address counter = 0;
  void* parameters[] = {&counter};
  uint32_t value = 0;
  if (!TRY(fire, allocate, &counter, sizeof value) || !TRY(fire, set_words, counter, 0, 1)) return 0;
  hold_here("call");
  for (uint32_t round = 1; !is_released(); ++round) {
    if (!launch(fire, fire->bump, NULL, 1, parameters) || !TRY(fire, copy_to_host, &value, counter, sizeof value))
      return 0;
    expect_equal(fire, "the counter", value, round);
  }
  return TRY(fire, release, counter);
}

/* A word that kernels and the CPU see. */
static volatile uint32_t* make_flag(struct fire* fire, cu_address* on_device) {
  void* memory = NULL;
  if (!TRY(fire, host_allocate, &memory, 4096, PINNED_FLAGS)) return NULL;
  *(volatile uint32_t*)memory = 0;
  return TRY(fire, host_device_address, on_device, memory, 0) ? memory : NULL;
}

/* The wait sits behind a kernel that spins; the release lets the kernel end. */
static int stage_stream(struct fire* fire) {
  cu_handle stream = NULL;
  cu_address flag_on_device = 0, counter = 0;
  void *spin_parameters[] = {&flag_on_device}, *bump_parameters[] = {&counter};
  uint32_t value = 0;
  volatile uint32_t* flag = make_flag(fire, &flag_on_device);
  if (flag == NULL || !TRY(fire, stream_create, &stream, 1) || !TRY(fire, allocate, &counter, sizeof value) ||
      !TRY(fire, set_words, counter, 7, 1) || !TRY(fire, synchronize))
    return 0;
  if (!launch(fire, fire->spin, stream, 1, spin_parameters) || !launch(fire, fire->bump, stream, 1, bump_parameters))
    return 0;
  hold_here("stream");
  release_with(flag);
  if (!TRY(fire, stream_synchronize, stream) || !TRY(fire, copy_to_host, &value, counter, sizeof value)) return 0;
  expect_equal(fire, "the word behind the spinning kernel", value, 8);
  expect_equal(fire, "whether the wait ended only when it was released", (unsigned long)is_released(), 1);
  return TRY(fire, host_release, (void*)flag) && TRY(fire, release, counter);
}

static void fill(uint32_t* words, size_t size, uint32_t seed) {
  for (size_t i = 0; i < size / sizeof *words; ++i) words[i] = seed = seed * 1664525u + 1013904223u;
}

/* There and back, again and again; comparing takes little of the time. */
static int copy_around(struct fire* fire, const char* from[2], char* back, cu_address on_device) {
  for (unsigned round = 0; !is_released(); ++round) {
    const char* source = from[round % 2];
    if (!TRY(fire, copy_to_device, on_device, source, COPY_SIZE) ||
        !TRY(fire, copy_to_host, back, on_device, COPY_SIZE))
      return 0;
    expect_equal(fire, "whether the copy came back different", memcmp(source, back, COPY_SIZE) != 0, 0);
  }
  return 1;
}

static int stage_copy(struct fire* fire) {
  static char first[COPY_SIZE], second[COPY_SIZE], back[COPY_SIZE];
  cu_address on_device = 0;
  fill((uint32_t*)first, COPY_SIZE, 1);
  fill((uint32_t*)second, COPY_SIZE, 2);
  if (!TRY(fire, allocate, &on_device, COPY_SIZE)) return 0;
  hold_here("copy");
  return copy_around(fire, (const char*[]){first, second}, back, on_device) && TRY(fire, release, on_device);
}

/* Launches are put into a capture; what it makes runs twice after the release. */
static int stage_capture(struct fire* fire) {
  cu_handle stream = NULL, graph = NULL, executable = NULL;
  cu_address counter = 0;
  void* parameters[] = {&counter};
  uint32_t value = 0;
  unsigned nodes = 0;
  if (!TRY(fire, stream_create, &stream, 1) || !TRY(fire, allocate, &counter, sizeof value) ||
      !TRY(fire, set_words, counter, 0, 1) || !TRY(fire, synchronize) ||
      !TRY(fire, capture_begin, stream, CAPTURE_RELAXED))
    return 0;
  hold_here("capture");
  for (; !is_released(); nap(2000)) {
    if (nodes == MAX_NODES) continue;
    if (!launch(fire, fire->bump, stream, 1, parameters)) return 0;
    ++nodes;
  }
  if (!TRY(fire, capture_end, stream, &graph) || !TRY(fire, graph_instantiate, &executable, graph, 0) ||
      !TRY(fire, graph_launch, executable, stream) || !TRY(fire, graph_launch, executable, stream) ||
      !TRY(fire, stream_synchronize, stream) || !TRY(fire, copy_to_host, &value, counter, sizeof value))
    return 0;
  expect_equal(fire, "the counter after two launches of the graph", value, 2 * nodes);
  return TRY(fire, graph_executable_destroy, executable) && TRY(fire, graph_destroy, graph) &&
         TRY(fire, release, counter);
}

/* Device memory of changing size, and pinned memory, which makes the window's extents come and go. */
static int allocate_once(struct fire* fire, unsigned round) {
  const size_t size = (size_t)4096 << (round % 12);
  const uint32_t pattern = round * 2654435761u;
  cu_address on_device = 0;
  uint32_t* pinned = NULL;
  const size_t words = size / sizeof *pinned;
  if (!TRY(fire, allocate, &on_device, size)) return 0;
  if (!TRY(fire, host_allocate, (void**)&pinned, size, PINNED_FLAGS)) return 0;
  pinned[words - 1] = 0;
  if (!TRY(fire, set_words, on_device, pattern, words) || !TRY(fire, copy_to_host, pinned, on_device, size)) return 0;
  expect_equal(fire, "the first word of an allocation", pinned[0], pattern);
  expect_equal(fire, "the last word of an allocation", pinned[words - 1], pattern);
  return TRY(fire, host_release, pinned) && TRY(fire, release, on_device);
}

static int stage_alloc(struct fire* fire) {
  hold_here("alloc");
  for (unsigned round = 0; !is_released(); ++round)
    if (!allocate_once(fire, round)) return 0;
  return 1;
}

static void hold_stream(void* entered) {
  hold_here("host");
  wait_for_release();
  atomic_store((atomic_int*)entered, 1);
}

static int stage_host(struct fire* fire) {
  static atomic_int entered; /* the stream orders both threads, but through another process: no tool sees that */
  cu_handle stream = NULL;
  if (!TRY(fire, stream_create, &stream, 1) || !TRY(fire, launch_host, stream, hold_stream, &entered) ||
      !TRY(fire, stream_synchronize, stream))
    return 0;
  expect_equal(fire, "whether the host function had ended when the stream had", (unsigned long)atomic_load(&entered),
               1);
  return 1;
}

/* The results are judged; what is left is the end of the process. */
static int stage_reclaim(struct fire* fire) {
  (void)fire;
  hold_here("reclaim");
  wait_for_release();
  return 1;
}

/* Lives on after its parent, with all that it inherited; CUDA is not for it. */
static int outlive_parent(struct fire* fire, pid_t parent) {
  struct pollfd input = {STDIN_FILENO, POLLIN, 0};
  char byte;
  for (int waited = 0; getppid() == parent && waited < FIRE_HOLD_SECONDS * 1000; ++waited) nap(1000);
  say("alone");
  if (poll(&input, 1, FIRE_HOLD_SECONDS * 1000) > 0 && read(STDIN_FILENO, &byte, 1) < 0) say("no input");
  cu_address address = 0;
  say("child: %s", driver_error_name(&fire->driver, fire->driver.allocate(&address, 4096)));
  return 0;
}

static int stage_forked(struct fire* fire) {
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child < 0) abort();
  if (child == 0) _exit(outlive_parent(fire, parent));
  say("child %d", (int)child);
  hold_here("forked");
  wait_for_release();
  return 1;
}

/* Computes all the time; each byte on standard input is answered with the count of right rounds. */
static int stage_neighbour(struct fire* fire) {
  struct pollfd input = {STDIN_FILENO, POLLIN, 0};
  char byte;
  say("at neighbour");
  for (unsigned round = 1;; ++round) {
    if (!compute_once(fire, round % 16 == 0 ? FIRE_WORDS : FIRE_SMALL, round)) return 0;
    if (fire->wrong != 0) return 0;
    if (poll(&input, 1, 0) <= 0) continue;
    if (read(STDIN_FILENO, &byte, 1) <= 0) return 1;
    say("rounds %u", round);
  }
}

/* A limit on the address space is felt once the heap has nothing left either. 1 if there is a limit. */
static int use_up_heap(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return 0;
  for (size_t size = MOST_HEAP; size >= 16; size /= 2)
    for (size_t taken = 0; taken < MOST_HEAP && malloc(size) != NULL; taken += size) continue;
  say("no memory is left");
  return 1;
}

/* Each makes the library remember something, until it cannot. */
static int allocate_many(struct fire* fire) {
  cu_address address = 0;
  for (int i = 0; i < 4000; ++i)
    if (!TRY(fire, allocate, &address, 16)) return 0;
  return 1;
}

/* What was not needed up to now: another module, stream, extent, more device memory. */
int grow(struct fire* fire) {
  cu_handle module = NULL, bump = NULL, stream = NULL;
  cu_address memory = 0;
  void* parameters[] = {&memory};
  uint32_t* pinned = NULL;
  const size_t words = GROWTH / sizeof *pinned;
  const int limited = use_up_heap();
  if (!TRY(fire, module_load, &module, fire_kernels()) || !TRY(fire, get_function, &bump, module, "bump") ||
      !TRY(fire, allocate, &memory, GROWTH) || !TRY(fire, host_allocate, (void**)&pinned, GROWTH, PINNED_FLAGS) ||
      !TRY(fire, set_words, memory, 41, words) || !TRY(fire, synchronize) || !TRY(fire, stream_create, &stream, 1) ||
      !launch(fire, bump, stream, 1, parameters) || !TRY(fire, stream_synchronize, stream) ||
      !TRY(fire, copy_to_host, pinned, memory, GROWTH))
    return 0;
  expect_equal(fire, "the first word after the stage", pinned[0], 42);
  expect_equal(fire, "the last word after the stage", pinned[words - 1], 41);
  return TRY(fire, host_release, pinned) && TRY(fire, release, memory) && TRY(fire, module_unload, module) &&
         (!limited || allocate_many(fire));
}

const struct stage fire_stages[] = {
    {"visit", DURING, "computes and ends", stage_visit},
    {"hello", BEFORE, "stays before its first call", stage_hello},
    {"idle", DURING, "makes no call", stage_idle},
    {"call", DURING, "makes calls that wait for their answer", stage_call},
    {"stream", DURING, "waits for a stream with a spinning kernel", stage_stream},
    {"copy", DURING, "copies 32 MiB there and back", stage_copy},
    {"capture", DURING, "puts launches into a capture", stage_capture},
    {"alloc", DURING, "allocates and frees device and pinned memory", stage_alloc},
    {"host", DURING, "stays in a host function", stage_host},
    {"reclaim", AFTER, "has its verdict; stays before its end", stage_reclaim},
    {"forked", AFTER, "the same with a forked child that lives on", stage_forked},
    {"neighbour", DURING, "computes until the end of standard input; a byte asks for the count of rounds",
     stage_neighbour},
};
const unsigned fire_stage_count = sizeof fire_stages / sizeof *fire_stages;
