/* SPDX-License-Identifier: Apache-2.0
 *
 * A program that ends, or ends its context, in the middle of its own work: threads launch, copy, allocate and wait
 * while the first thread leaves. The seed says which threads there are and in what way it ends. What its calls return
 * does not matter; that the process ends, and in its own way, does. Status 0, 1 if it cannot start, 64 for a wrong
 * command line.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "round_trips.gen.h" /* round_trips_ptx */
#include "tests/programs/driver_api.h"

enum { NON_BLOCKING = 1, RELAXED = 2, PAGE = 4096, LARGE = 8 << 20, MOST_THREADS = 5, MOST_CHILDREN = 3 };

static struct driver driver;
static cu_handle context, module, step, graph;
static cu_address words;
static atomic_int is_over, host_calls;

static uint64_t seed;
static unsigned below(unsigned most) {
  seed = seed * 6364136223846793005u + 1442695040888963407u;
  return (unsigned)(seed >> 33) % most;
}

static void launch_once(cu_handle stream, cu_address on) {
  void* parameters[] = {&on};
  driver.launch(step, 1, 1, 1, 1, 1, 1, 0, stream, parameters, NULL);
}

static void count_call(void* unused) {
  (void)unused;
  atomic_fetch_add(&host_calls, 1);
}

static cu_handle new_stream(void) {
  cu_handle stream = NULL;
  driver.stream_create(&stream, NON_BLOCKING);
  return stream;
}

static cu_handle new_graph(cu_handle stream) {
  cu_handle captured = NULL, executable = NULL;
  driver.capture_begin(stream, RELAXED);
  launch_once(stream, words);
  launch_once(stream, words);
  driver.capture_end(stream, &captured);
  driver.graph_instantiate(&executable, captured, 0);
  driver.graph_destroy(captured);
  return executable;
}

/* What a thread does again and again. ---------------------------------------------------------------------------- */

static void launch_many(cu_handle stream, cu_address own) {
  for (int i = 0; i < 20; i++) launch_once(stream, own);
  driver.stream_synchronize(stream);
}

static void launch_without_waiting(cu_handle stream, cu_address own) {
  for (int i = 0; i < 300; i++) launch_once(stream, own);
}

static void call_the_host(cu_handle stream, cu_address own) {
  driver.launch_host(stream, count_call, NULL);
  launch_once(stream, own);
  driver.stream_synchronize(stream);
}

static void copy_little(cu_handle stream, cu_address own) {
  static _Thread_local char page[PAGE];
  cu_address other = 0;
  (void)stream;
  driver.copy_to_device(own, page, PAGE);
  driver.copy_to_host(page, own, PAGE);
  if (driver.allocate(&other, 1 << 20) == CU_OK) driver.release(other);
}

static void copy_much(cu_handle stream, cu_address own) {
  static char much[LARGE];
  cu_address other = 0;
  (void)stream, (void)own;
  if (driver.allocate(&other, LARGE) != CU_OK) return;
  driver.copy_to_device(other, much, LARGE);
  driver.release(other);
}

static void pin(cu_handle stream, cu_address own) {
  void* memory = NULL;
  (void)stream;
  if (driver.host_allocate(&memory, LARGE, 0) != CU_OK) return;
  driver.copy_to_device(own, memory, PAGE);
  driver.host_release(memory);
}

static void launch_graphs(cu_handle stream, cu_address own) {
  (void)own;
  for (int i = 0; i < 5; i++) driver.graph_launch(graph, stream);
  driver.stream_query(stream);
}

static void make_graphs(cu_handle stream, cu_address own) {
  const cu_handle made = new_graph(stream);
  (void)own;
  driver.graph_launch(made, stream);
  driver.graph_executable_destroy(made);
}

static void load_code(cu_handle stream, cu_address own) {
  cu_handle loaded = NULL;
  launch_once(stream, own);
  if (driver.module_load(&loaded, round_trips_ptx) == CU_OK) driver.module_unload(loaded);
}

typedef void work(cu_handle stream, cu_address own);
static work* const WORKS[] = {launch_many, launch_without_waiting, call_the_host, copy_little, copy_much,
                              pin,         launch_graphs,          make_graphs,   load_code};
enum { WORK_COUNT = sizeof WORKS / sizeof *WORKS };

static void* be_a_thread(void* argument) {
  work* const again = *(work* const*)argument;
  cu_address own = 0;
  driver.context_set(context);
  driver.allocate(&own, PAGE);
  const cu_handle stream = new_stream();
  while (!is_over) again(stream, own);
  return NULL;
}

/* The ways to end. ------------------------------------------------------------------------------------------------- */

/* As the destructors of a run-time library do it. */
static void tidy_up(void) {
  driver.synchronize();
  driver.graph_launch(graph, new_stream());
  driver.graph_executable_destroy(graph);
  driver.release(words);
  driver.module_unload(module);
  driver.context_release(0);
}

static void reset(void) {
  cu_address more = 0;
  driver.context_reset(0);
  driver.allocate(&more, PAGE);
}

/* A child has no CUDA, and must be able to ask for it and to end. */
static pid_t be_a_child(void) {
  const pid_t child = fork();
  if (child != 0) return child;
  cu_address memory = 0;
  driver.init(0);
  driver.synchronize();
  driver.allocate(&memory, PAGE);
  exit(0);
}

static int start(void) {
  if (!driver_open(&driver) || driver.init(0) != CU_OK || driver.context_retain(&context, 0) != CU_OK ||
      driver.context_set(context) != CU_OK || driver.module_load(&module, round_trips_ptx) != CU_OK ||
      driver.get_function(&step, module, "step") != CU_OK || driver.allocate(&words, PAGE) != CU_OK)
    return 0;
  graph = new_graph(new_stream());
  return 1;
}

static void have_children(unsigned count) {
  pid_t children[MOST_CHILDREN];
  for (unsigned i = 0; i < count; i++) {
    usleep(below(3000));
    children[i] = be_a_child();
  }
  for (unsigned i = 0; i < count; i++) waitpid(children[i], NULL, 0);
}

int main(int count, char** arguments) {
  char* rest = NULL;
  seed = count == 2 || count == 3 ? strtoul(arguments[1], &rest, 10) : 0;
  if (!rest || *rest) {
    puts("usage: ends SEED [--no-children]");
    return 64;
  }
  if (!start()) return 1;
  if (below(3) == 0) atexit(tidy_up);
  if (below(3) == 0) atexit(reset);

  pthread_t threads[MOST_THREADS];
  const unsigned thread_count = below(MOST_THREADS + 1);
  for (unsigned i = 0; i < thread_count; i++)
    if (pthread_create(&threads[i], NULL, be_a_thread, (void*)&WORKS[below(WORK_COUNT)]) != 0) return 1;
  if (count == 2) have_children(below(MOST_CHILDREN + 1));
  const cu_handle stream = new_stream();
  for (int i = 0; i < 20; i++) driver.graph_launch(graph, stream);
  usleep(below(5000));

  switch (below(5)) {
    case 0: /* in good order */
      is_over = 1;
      for (unsigned i = 0; i < thread_count; i++) pthread_join(threads[i], NULL);
      exit(0);
    case 1: /* with a host function on its way */
      driver.launch_host(stream, count_call, NULL);
      exit(0);
    case 2:
      _exit(0);
    case 3: /* the others go on with a context that is new */
      reset();
      usleep(below(20000));
      exit(0);
    default:
      exit(0);
  }
}
