/* SPDX-License-Identifier: Apache-2.0
 *
 * A program on the CUDA driver interface that needs no NVIDIA file to be built: kernels are our own PTX, libcuda.so.1
 * is found at run time. What it does is chosen by its argument (see usage); each way ends with status 0 if all went as
 * it should.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/programs/demo_cases.h"

static void print_usage(void) {
  puts(
      "usage: demo_driver [--steady | --fault | --help]\n"
      "  (nothing)  runs vector addition, matrix product, reduction and device printf; compares with the CPU\n"
      "  --steady   after one vector addition waits on standard input: each line is answered by another addition and\n"
      "             the line 'right', 'wrong' or the error's name; ends cleanly at the end of input\n"
      "  --fault    has a kernel store to an illegal address, and checks that every later call says so (error 700)");
}

/* Reads a line from standard input; 0 at its end. */
static int next_request(void) {
  char line[64];
  return fgets(line, sizeof line, stdin) != NULL;
}

static int run_steady(struct session* session) {
  int all_right = 1;
  do {
    cu_result result = CU_OK;
    const int wrong = vector_add_once(session, &result);
    if (result != CU_OK) {
      puts(driver_error_name(&session->driver, result));
    } else {
      puts(wrong == 0 ? "right" : "wrong");
    }
    fflush(stdout);
    all_right = all_right && result == CU_OK && wrong == 0;
  } while (next_request());
  return all_right;
}

static int run_demo(struct session* session) {
  int right = greet(session);
  right = report_case(session, "vector addition", VECTOR_SIZE, vector_add_once) && right;
  right = report_case(session, "matrix product", MATRIX_SIZE * MATRIX_SIZE, matrix_product_once) && right;
  right = report_case(session, "reduction", 1, reduce_once) && right;
  printf("demo: %s\n", right ? "all results are right" : "SOME RESULTS ARE WRONG");
  return right;
}

int main(int count, char** arguments) {
  const char* mode = count > 1 ? arguments[1] : "";
  const int known = strcmp(mode, "") == 0 || strcmp(mode, "--steady") == 0 || strcmp(mode, "--fault") == 0;
  if (!known || count > 2) {
    print_usage();
    return strcmp(mode, "--help") == 0 ? 0 : 64;
  }
  struct session session;
  if (!session_open(&session)) return 1;
  int right = 0;
  if (strcmp(mode, "--fault") == 0) {
    /* Nothing is given back afterwards: in a context that faulted every call only repeats the error. */
    return fault_is_sticky(&session) ? 0 : 1;
  }
  right = strcmp(mode, "--steady") == 0 ? run_steady(&session) : run_demo(&session);
  return session_close(&session) && right ? 0 : 1;
}
