/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/programs/demo_cases.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "demo_kernels.gen.h" /* demo_kernels_ptx: the text of demo_kernels.ptx */

/* Runs a call unless one before it failed, so that a sequence of calls reads without a test after each. */
#define STEP(result, call)                      \
  do {                                          \
    if (*(result) == CU_OK) *(result) = (call); \
  } while (0)

int session_open(struct session* session) {
  if (!driver_open(&session->driver)) return 0;
  const struct driver* driver = &session->driver;
  char name[256] = "";
  cu_result result = driver->init(0);
  STEP(&result, driver->device_get(&session->device, 0));
  STEP(&result, driver->device_get_name(name, sizeof name, session->device));
  STEP(&result, driver->context_retain(&session->context, session->device));
  STEP(&result, driver->context_set(session->context));
  STEP(&result, driver->module_load(&session->module, demo_kernels_ptx));
  if (result != CU_OK) {
    fprintf(stderr, "demo_driver: cannot start: error %d (%s)\n", result, driver_error_name(driver, result));
    return 0;
  }
  printf("device: %s\n", name);
  fflush(stdout);
  return 1;
}

int session_close(struct session* session) {
  cu_result result = session->driver.module_unload(session->module);
  STEP(&result, session->driver.context_release(session->device));
  if (result != CU_OK) fprintf(stderr, "demo_driver: cannot end cleanly: error %d\n", result);
  return result == CU_OK;
}

/* Small multiples of 1/8: sums of them are exact in single precision, whatever the order of the additions. */
static float* make_values(int count, unsigned seed) {
  float* values = malloc((size_t)count * sizeof *values);
  for (int i = 0; i < count; ++i) {
    seed = seed * 1664525u + 1013904223u;
    values[i] = (float)((int)(seed >> 28) - 8) / 8;
  }
  return values;
}

static cu_result upload(struct session* session, const float* values, int count, cu_address* address) {
  cu_result result = session->driver.allocate(address, (size_t)count * sizeof *values);
  STEP(&result, session->driver.copy_to_device(*address, values, (size_t)count * sizeof *values));
  return result;
}

static cu_result run_kernel(struct session* session, const char* kernel, unsigned grid_x, unsigned grid_y,
                            unsigned block_x, unsigned block_y, void** parameters) {
  cu_handle function = NULL;
  cu_result result = session->driver.get_function(&function, session->module, kernel);
  STEP(&result, session->driver.launch(function, grid_x, grid_y, 1, block_x, block_y, 1, 0, NULL, parameters, NULL));
  return result;
}

/* Two operands in, one result out: what vector addition and matrix product have in common. */
static float* run_binary(struct session* session, const char* kernel, const float* a, const float* b, int count,
                         unsigned size, unsigned grid, unsigned grid_y, unsigned block, unsigned block_y,
                         cu_result* result) {
  float* c = calloc((size_t)count, sizeof *c);
  cu_address on_a = 0, on_b = 0, on_c = 0;
  void* parameters[] = {&on_a, &on_b, &on_c, &size};
  STEP(result, upload(session, a, count, &on_a));
  STEP(result, upload(session, b, count, &on_b));
  STEP(result, upload(session, c, count, &on_c));
  STEP(result, run_kernel(session, kernel, grid, grid_y, block, block_y, parameters));
  STEP(result, session->driver.copy_to_host(c, on_c, (size_t)count * sizeof *c));
  STEP(result, session->driver.release(on_a));
  STEP(result, session->driver.release(on_b));
  STEP(result, session->driver.release(on_c));
  return c;
}

int vector_add_once(struct session* session, cu_result* result) {
  float* a = make_values(VECTOR_SIZE, 1);
  float* b = make_values(VECTOR_SIZE, 2);
  float* c =
      run_binary(session, "vector_add", a, b, VECTOR_SIZE, VECTOR_SIZE, VECTOR_SIZE / BLOCK, 1, BLOCK, 1, result);
  int wrong = 0;
  for (int i = 0; i < VECTOR_SIZE; ++i) wrong += c[i] != a[i] + b[i];
  free(a);
  free(b);
  free(c);
  return wrong;
}

int matrix_product_once(struct session* session, cu_result* result) {
  const int n = MATRIX_SIZE;
  float* a = make_values(n * n, 3);
  float* b = make_values(n * n, 4);
  float* c = run_binary(session, "matrix_product", a, b, n * n, MATRIX_SIZE, MATRIX_SIZE / TILE, MATRIX_SIZE / TILE,
                        TILE, TILE, result);
  int wrong = 0;
  for (int row = 0; row < n; ++row) {
    for (int column = 0; column < n; ++column) {
      float sum = 0;
      for (int k = 0; k < n; ++k) sum += a[row * n + k] * b[k * n + column];
      wrong += fabsf(c[row * n + column] - sum) > 1e-4f;
    }
  }
  free(a);
  free(b);
  free(c);
  return wrong;
}

int reduce_once(struct session* session, cu_result* result) {
  float* values = make_values(VECTOR_SIZE, 5);
  float sum = 0;
  for (int i = 0; i < VECTOR_SIZE; ++i) sum += values[i];
  cu_address on_values = 0, on_result = 0;
  unsigned count = VECTOR_SIZE;
  float reduced = 0;
  void* parameters[] = {&on_values, &on_result, &count};
  STEP(result, upload(session, values, VECTOR_SIZE, &on_values));
  STEP(result, session->driver.allocate(&on_result, sizeof reduced));
  STEP(result, session->driver.set_words(on_result, 0, 1));
  STEP(result, run_kernel(session, "reduce_sum", 16, 1, BLOCK, 1, parameters));
  STEP(result, session->driver.copy_to_host(&reduced, on_result, sizeof reduced));
  STEP(result, session->driver.release(on_values));
  STEP(result, session->driver.release(on_result));
  free(values);
  return reduced != sum;
}

int report_case(struct session* session, const char* what, int results, int (*run)(struct session*, cu_result*)) {
  cu_result result = CU_OK;
  const int wrong = run(session, &result);
  if (result != CU_OK) {
    printf("  %-16s error %d (%s)\n", what, result, driver_error_name(&session->driver, result));
    return 0;
  }
  printf("  %-16s %6d results, %d wrong\n", what, results, wrong);
  return wrong == 0;
}

int greet(struct session* session) {
  fflush(stdout);
  cu_result result = run_kernel(session, "greet", 1, 1, 1, 1, NULL);
  STEP(&result, session->driver.synchronize());
  if (result != CU_OK) printf("  greeting: error %d (%s)\n", result, driver_error_name(&session->driver, result));
  return result == CU_OK;
}

/* One line a call; 1 if it said "illegal address". */
static int expect_fault(const struct driver* driver, const char* call, cu_result result) {
  printf("  %-20s %d (%s)\n", call, result, driver_error_name(driver, result));
  return result == CU_ILLEGAL_ADDRESS;
}

int fault_is_sticky(struct session* session) {
  const struct driver* driver = &session->driver;
  cu_address address = 0x1000, other = 0;
  unsigned word = 7;
  cu_handle stream = NULL;
  void* parameters[] = {&address, &word};
  const cu_result launched = run_kernel(session, "store_word", 1, 1, 1, 1, parameters);
  if (launched != CU_OK) {
    printf("  the launch itself failed: %d (%s)\n", launched, driver_error_name(driver, launched));
    return 0;
  }
  int sticky = expect_fault(driver, "cuCtxSynchronize", driver->synchronize());
  for (int round = 0; round < 3; ++round) {
    sticky &= expect_fault(driver, "cuMemAlloc", driver->allocate(&other, 4096));
    sticky &= expect_fault(driver, "cuMemcpyHtoD", driver->copy_to_device(address, &word, sizeof word));
    sticky &= expect_fault(driver, "cuMemsetD32", driver->set_words(address, 0, 1));
    sticky &= expect_fault(driver, "cuStreamCreate", driver->stream_create(&stream, 0));
    sticky &= expect_fault(driver, "cuStreamSynchronize", driver->stream_synchronize(NULL));
    sticky &= expect_fault(driver, "cuStreamQuery", driver->stream_query(NULL));
    sticky &= expect_fault(driver, "cuLaunchKernel", run_kernel(session, "greet", 1, 1, 1, 1, NULL));
    sticky &= expect_fault(driver, "cuCtxSynchronize", driver->synchronize());
  }
  printf("fault: %s\n", sticky ? "every later call says error 700" : "SOME CALLS DID NOT SAY 700");
  return sticky;
}
