/* SPDX-License-Identifier: Apache-2.0
 *
 * runtime_check LIBCUDART: what an ordinary program does with NVIDIA's run-time library, with the library of any
 * version. Prints a line for each part, "ok NAME" or "FAILED NAME: why", and goes on after a failure.
 * Exit status: 0 all parts are right; 1 some are not; 2 the library cannot be used at all.
 */
#include "tests/programs/runtime_api.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime_kernels.gen.h" /* runtime_kernels_ptx */

enum { COUNT = 5000, BLOCK = 128, GRID = (COUNT + BLOCK - 1) / BLOCK, ROOM_FOR_PROPERTIES = 8192 };
enum { STATUS_RIGHT = 0, STATUS_WRONG = 1, STATUS_UNUSABLE = 2, STATUS_USAGE = 64 };

static struct runtime rt;
static char why[512]; /* of the part that failed last */

/* For the parts: false from a call that failed, which is then the reason. */
static int succeeded(const char* call, rt_error error) {
  if (error == 0) return 1;
  snprintf(why, sizeof why, "%s gives %d (%s: %s)", call, error, rt.error_name(error), rt.error_string(error));
  return 0;
}
#define TRY(member, ...) succeeded(#member, rt.member(__VA_ARGS__))

static int is(int right, const char* reason) {
  if (!right) snprintf(why, sizeof why, "%s", reason);
  return right;
}

static int open_library(const char* path) {
  rt.library = dlopen(path, RTLD_NOW | RTLD_GLOBAL);
  if (!rt.library) {
    fprintf(stderr, "runtime_check: %s\n", dlerror());
    return 0;
  }
#define RUNTIME_FIND(symbol, member, result, parameters)             \
  *(void**)&rt.member = dlsym(rt.library, #symbol);                  \
  if (!rt.member) {                                                  \
    fprintf(stderr, "runtime_check: %s has no %s\n", path, #symbol); \
    return 0;                                                        \
  }
  RUNTIME_CALLS(RUNTIME_FIND)
#undef RUNTIME_FIND
  *(void**)&rt.properties = dlsym(rt.library, "cudaGetDeviceProperties_v2");
  if (!rt.properties) *(void**)&rt.properties = dlsym(rt.library, "cudaGetDeviceProperties");
  return rt.properties != NULL;
}

/* ---- the kernel, as nvcc hands it over: a fat binary of PTX, registered before main() ---- */

struct fatbin { /* header, one entry of PTX, its text */
  uint32_t magic;
  uint16_t version, header_size;
  uint64_t files_size;
  uint16_t kind, entry_version;
  uint32_t entry_header_size;
  uint64_t padded_size;
  uint32_t compressed_size, unknown_offset;
  uint16_t ptx_minor, ptx_major;
  uint32_t architecture;
  uint64_t reserved, flags, reserved_too, uncompressed_size, name_offset, name;
  char text[8192];
};
static struct fatbin fatbin;
static struct {
  uint32_t magic, version;
  const void *data, *file;
} wrapper;
static void** binary;
static const char scale_and_add[1] = ""; /* stands for the kernel, as the host's stub function does */

static void register_kernel(void) {
  const size_t padded = (strlen(runtime_kernels_ptx) + 1 + 7) / 8 * 8;
  fatbin = (struct fatbin){0xba55ed50, 1, 16, 80 + padded, 1,    0x101, 80, padded, 0, 0x40,
                           0,          7, 70, 0,           0x11, 0,     0,  0x48,   0, ""};
  if (padded > sizeof fatbin.text) abort();
  strcpy(fatbin.text, runtime_kernels_ptx);
  wrapper.magic = 0x466243b1;
  wrapper.version = 1;
  wrapper.data = &fatbin;
  static char name[] = "scale_and_add";
  binary = rt.register_binary(&wrapper);
  rt.register_function(binary, scale_and_add, name, name, -1, NULL, NULL, NULL, NULL, NULL);
  rt.register_binary_end(binary);
}

/* ---- the parts ---- */

static uint32_t* device_words; /* COUNT words: 0, 1, 2, ... at the start of each part that uses them */

static int fill_words(void) {
  uint32_t words[COUNT];
  for (uint32_t i = 0; i < COUNT; ++i) words[i] = i;
  return TRY(copy, device_words, words, sizeof words, RT_TO_DEVICE);
}

/* Every word is factor * i + added. */
static int words_are(const uint32_t* words, uint32_t factor, uint32_t added) {
  for (uint32_t i = 0; i < COUNT; ++i) {
    if (words[i] == factor * i + added) continue;
    snprintf(why, sizeof why, "word %u is %u, not %u", i, words[i], factor * i + added);
    return 0;
  }
  return 1;
}

static int device_words_are(uint32_t factor, uint32_t added) {
  uint32_t words[COUNT] = {0};
  return TRY(copy, words, device_words, sizeof words, RT_TO_HOST) && words_are(words, factor, added);
}

static int launch(uint32_t factor, uint32_t added, rt_handle stream) {
  uint32_t count = COUNT;
  void* parameters[] = {&device_words, &factor, &added, &count};
  const struct rt_size grid = {GRID, 1, 1}, block = {BLOCK, 1, 1};
  return TRY(launch, scale_and_add, grid, block, parameters, 0, stream);
}

static int versions(void) {
  int runtime = 0, driver = 0;
  if (!TRY(runtime_version, &runtime) || !TRY(driver_version, &driver)) return 0;
  printf("runtime: %d\ndriver: %d\n", runtime, driver);
  return is(runtime > 0 && driver >= runtime, "the driver is older than the run-time library");
}

static int device(void) {
  static char properties[ROOM_FOR_PROPERTIES];
  int count = 0, processors = 0;
  size_t available = 0, total = 0;
  if (!TRY(device_count, &count) || !TRY(set_device, 0) || !TRY(properties, properties, 0)) return 0;
  printf("device: %.255s\n", properties);
  return TRY(attribute, &processors, 16 /* multiprocessors */, 0) && TRY(memory_info, &available, &total) &&
         is(count > 0 && properties[0] && processors > 0 && available <= total && total, "its figures make no sense");
}

static int memory(void) {
  void* bytes = NULL;
  unsigned char found[100] = {0};
  int right = TRY(allocate, (void**)&device_words, COUNT * sizeof(uint32_t)) && fill_words() &&
              device_words_are(1, 0) && TRY(allocate, &bytes, 1 << 20) && TRY(set_bytes, bytes, 0x5a, 1 << 20) &&
              TRY(copy, found, (char*)bytes + 5000, sizeof found, RT_TO_HOST) && TRY(release, bytes);
  for (size_t i = 0; right && i < sizeof found; ++i)
    right = is(found[i] == 0x5a, "memory that was set is not as it was set");
  return right;
}

static int kernel(void) {
  return fill_words() && launch(3, 7, NULL) && TRY(last_error) && TRY(synchronize) && device_words_are(3, 7);
}

/* The run-time library leads to the driver's functions, and its streams and contexts are the driver's. */
static int kernel_by_driver(void) {
  int (*load)(void** module, const void* image) = NULL;
  int (*find)(void** function, void* module, const char* name) = NULL;
  int (*start)(void* function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
               unsigned shared, void* stream, void** parameters, void** extra) = NULL;
  int status = 0;
  if (!TRY(driver_entry, "cuModuleLoadData", (void**)&load, 0, &status) ||
      !TRY(driver_entry, "cuModuleGetFunction", (void**)&find, 0, &status) ||
      !TRY(driver_entry, "cuLaunchKernel", (void**)&start, 0, &status) || !is(load && find && start, "no function"))
    return 0;
  void *module = NULL, *function = NULL;
  uint32_t factor = 5, added = 2, count = COUNT;
  void* parameters[] = {&device_words, &factor, &added, &count};
  return fill_words() && succeeded("cuModuleLoadData", load(&module, runtime_kernels_ptx)) &&
         succeeded("cuModuleGetFunction", find(&function, module, "scale_and_add")) &&
         succeeded("cuLaunchKernel", start(function, GRID, 1, 1, BLOCK, 1, 1, 0, NULL, parameters, NULL)) &&
         device_words_are(5, 2);
}

static int streams_and_events(void) {
  rt_handle first = NULL, second = NULL, begin = NULL, end = NULL;
  uint32_t* pinned = NULL;
  float ms = -1;
  int right = TRY(stream_create, &first) && TRY(stream_create, &second) && TRY(event_create, &begin) &&
              TRY(event_create, &end) && TRY(host_allocate, (void**)&pinned, COUNT * sizeof *pinned, 0) &&
              fill_words() && TRY(event_record, begin, first) && launch(2, 0, first) && launch(1, 9, first) &&
              TRY(event_record, end, first) && TRY(stream_wait, second, end, 0) &&
              TRY(copy_async, pinned, device_words, COUNT * sizeof *pinned, RT_TO_HOST, second) &&
              TRY(stream_synchronize, second) && words_are(pinned, 2, 9) && TRY(event_synchronize, end) &&
              TRY(event_time, &ms, begin, end) &&
              is(ms >= 0 && ms < 60000, "the time between the events makes no sense");
  return right && TRY(event_destroy, begin) && TRY(event_destroy, end) && TRY(stream_destroy, first) &&
         TRY(stream_destroy, second) && TRY(host_release, pinned);
}

static int stream_ordered_memory(void) {
  rt_handle stream = NULL;
  uint32_t* words = NULL;
  uint32_t* const others = device_words;
  if (!TRY(stream_create, &stream) || !fill_words() ||
      !TRY(allocate_async, (void**)&words, COUNT * sizeof *words, stream) ||
      !TRY(copy_async, words, others, COUNT * sizeof *words, RT_DEVICE_TO_DEVICE, stream))
    return 0;
  device_words = words;
  const int right = launch(4, 1, stream) && TRY(stream_synchronize, stream) && device_words_are(4, 1);
  device_words = others;
  return right && TRY(release_async, words, stream) && TRY(stream_synchronize, stream) && TRY(stream_destroy, stream);
}

/* Rows of words go into an array and out of it, by rows and as a box, and a texture is made of it. */
static int arrays(void) {
  enum { WIDTH = 50, HEIGHT = 20, SIZE = WIDTH * HEIGHT };
  static const struct rt_format word = {32, 0, 0, 0, 1};
  uint32_t words[SIZE], back[SIZE] = {0}, box[SIZE] = {0};
  for (uint32_t i = 0; i < SIZE; ++i) words[i] = 7 * i;
  const size_t row = WIDTH * sizeof *words;
  rt_handle array = NULL;
  unsigned long long texture = 0;
  if (!TRY(array_allocate, &array, &word, WIDTH, HEIGHT, 0)) return 0;
  const struct rt_box_copy copy = {.from_array = array,
                                   .to = {box, row, WIDTH, HEIGHT},
                                   .width = WIDTH,
                                   .height = HEIGHT,
                                   .depth = 1,
                                   .kind = RT_TO_HOST};
  /* Of both descriptions nearly all is zero: an array, its elements as they are, cut off at the edges. */
  uint64_t resource[32] = {0, (uint64_t)(uintptr_t)array}, how[32] = {0};
  return TRY(copy_to_array, array, 0, 0, words, row, row, HEIGHT, RT_TO_DEVICE) &&
         TRY(copy_from_array, back, row, array, 0, 0, row, HEIGHT, RT_TO_HOST) &&
         is(memcmp(words, back, sizeof words) == 0, "an array does not hold what was copied into it") &&
         TRY(copy_box, &copy) && is(memcmp(words, box, sizeof words) == 0, "a box comes out of an array otherwise") &&
         TRY(texture_create, &texture, resource, how, NULL) && is(texture != 0, "a texture has no number") &&
         TRY(texture_destroy, texture) && TRY(array_release, array);
}

static int graph(void) {
  rt_handle stream = NULL, captured = NULL, executable = NULL;
  int right = fill_words() && TRY(stream_create, &stream) && TRY(capture_begin, stream, 0) && launch(2, 0, stream) &&
              launch(1, 1, stream) && TRY(capture_end, stream, &captured) &&
              TRY(graph_instantiate, &executable, captured, 0);
  for (int turn = 0; right && turn < 3; ++turn) right = TRY(graph_launch, executable, stream);
  return right && TRY(stream_synchronize, stream) && device_words_are(8, 7) &&
         TRY(graph_executable_destroy, executable) && TRY(graph_destroy, captured) && TRY(stream_destroy, stream);
}

static int errors(void) {
  void* memory = NULL;
  const rt_error absurd = rt.allocate(&memory, (size_t)10 << 40);
  const rt_error kept = rt.last_error(), after = rt.last_error();
  printf("out of memory: %d %s, %s\n", absurd, rt.error_name(absurd), rt.error_string(absurd));
  return is(absurd == 2 && kept == 2 && after == 0, "an absurd size is not refused as out of memory, once") &&
         is(rt.set_device(99) == 101 && rt.last_error() == 101, "device 99 is not refused as an invalid one") &&
         kernel();
}

static int ending(void) {
  rt.unregister_binary(binary);
  return TRY(release, device_words) && TRY(synchronize) && TRY(reset);
}

static const struct {
  const char* name;
  int (*run)(void);
} kParts[] = {{"versions", versions},
              {"device", device},
              {"memory", memory},
              {"kernel", kernel},
              {"kernel_by_driver", kernel_by_driver},
              {"streams_and_events", streams_and_events},
              {"stream_ordered_memory", stream_ordered_memory},
              {"arrays", arrays},
              {"graph", graph},
              {"errors", errors},
              {"ending", ending}};

int main(int argc, char** argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: runtime_check LIBCUDART\n");
    return STATUS_USAGE;
  }
  if (!open_library(argv[1])) return STATUS_UNUSABLE;
  register_kernel();
  int failed = 0;
  for (size_t i = 0; i < sizeof kParts / sizeof kParts[0]; ++i) {
    const int right = kParts[i].run();
    failed += !right;
    printf(right ? "ok %s\n" : "FAILED %s: %s\n", kParts[i].name, why);
    fflush(stdout);
  }
  return failed ? STATUS_WRONG : STATUS_RIGHT;
}
