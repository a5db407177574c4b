/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VGPU_TESTS_PROGRAMS_DEMO_CASES_H
#define VGPU_TESTS_PROGRAMS_DEMO_CASES_H

#include "tests/programs/driver_api.h"

enum { VECTOR_SIZE = 1 << 16, MATRIX_SIZE = 128, TILE = 16, BLOCK = 256 };

struct session {
  struct driver driver;
  cu_device device;
  cu_handle context;
  cu_handle module;
};

/* Opens the library, device 0, its primary context and the kernels; prints the device's name. 0 on failure, with a
 * sentence. */
int session_open(struct session* session);
int session_close(struct session* session);

/* Each runs one computation and returns how many results are wrong; *result tells of a call that failed. */
int vector_add_once(struct session* session, cu_result* result);
int matrix_product_once(struct session* session, cu_result* result);
int reduce_once(struct session* session, cu_result* result);

/* Runs one of them and prints a line; 1 if all results are right. */
int report_case(struct session* session, const char* what, int results, int (*run)(struct session*, cu_result*));

/* printf on the device. */
int greet(struct session* session);

/* Makes a kernel store to an address that nothing was allocated at; 1 if then every call fails with error 700. */
int fault_is_sticky(struct session* session);

#endif
