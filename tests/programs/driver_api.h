/* SPDX-License-Identifier: Apache-2.0
 *
 * The part of the CUDA driver interface that our own test programs use, declared here because they are built where no
 * NVIDIA header is. The library is opened at run time by its soname, as any program that links it would find it.
 */
#ifndef VGPU_TESTS_PROGRAMS_DRIVER_API_H
#define VGPU_TESTS_PROGRAMS_DRIVER_API_H

#include <stddef.h>
#include <stdint.h>

typedef int cu_result; /* 0 is success */
typedef int cu_device;
typedef uint64_t cu_address;
typedef void* cu_handle; /* context, module, function, stream, graph */

enum { CU_OK = 0, CU_ILLEGAL_ADDRESS = 700 };

/* name in the library, our member, result and parameters */
#define DRIVER_CALLS(X)                                                                                         \
  X(cuInit, init, (unsigned flags))                                                                             \
  X(cuDeviceGet, device_get, (cu_device * device, int ordinal))                                                 \
  X(cuDeviceGetName, device_get_name, (char* name, int size, cu_device device))                                 \
  X(cuDevicePrimaryCtxRetain, context_retain, (cu_handle * context, cu_device device))                          \
  X(cuDevicePrimaryCtxRelease_v2, context_release, (cu_device device))                                          \
  X(cuDevicePrimaryCtxReset_v2, context_reset, (cu_device device))                                              \
  X(cuCtxSetCurrent, context_set, (cu_handle context))                                                          \
  X(cuCtxSynchronize, synchronize, (void))                                                                      \
  X(cuModuleLoadData, module_load, (cu_handle * module, const void* image))                                     \
  X(cuModuleUnload, module_unload, (cu_handle module))                                                          \
  X(cuModuleGetFunction, get_function, (cu_handle * function, cu_handle module, const char* name))              \
  X(cuMemAlloc_v2, allocate, (cu_address * address, size_t size))                                               \
  X(cuMemFree_v2, release, (cu_address address))                                                                \
  X(cuMemcpyHtoD_v2, copy_to_device, (cu_address to, const void* from, size_t size))                            \
  X(cuMemcpyDtoH_v2, copy_to_host, (void* to, cu_address from, size_t size))                                    \
  X(cuMemsetD32_v2, set_words, (cu_address address, unsigned value, size_t count))                              \
  X(cuStreamCreate, stream_create, (cu_handle * stream, unsigned flags))                                        \
  X(cuStreamSynchronize, stream_synchronize, (cu_handle stream))                                                \
  X(cuStreamQuery, stream_query, (cu_handle stream))                                                            \
  X(cuLaunchKernel, launch,                                                                                     \
    (cu_handle function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x, unsigned block_y, \
     unsigned block_z, unsigned shared_bytes, cu_handle stream, void** parameters, void** extra))               \
  X(cuMemHostAlloc, host_allocate, (void** memory, size_t size, unsigned flags))                                \
  X(cuMemFreeHost, host_release, (void* memory))                                                                \
  X(cuMemHostGetDevicePointer_v2, host_device_address, (cu_address * address, void* memory, unsigned flags))    \
  X(cuLaunchHostFunc, launch_host, (cu_handle stream, void (*function)(void*), void* user))                     \
  X(cuStreamBeginCapture_v2, capture_begin, (cu_handle stream, unsigned mode))                                  \
  X(cuStreamEndCapture, capture_end, (cu_handle stream, cu_handle * graph))                                     \
  X(cuGraphInstantiateWithFlags, graph_instantiate,                                                             \
    (cu_handle * executable, cu_handle graph, unsigned long long flags))                                        \
  X(cuGraphLaunch, graph_launch, (cu_handle executable, cu_handle stream))                                      \
  X(cuGraphExecDestroy, graph_executable_destroy, (cu_handle executable))                                       \
  X(cuGraphDestroy, graph_destroy, (cu_handle graph))                                                           \
  X(cuGetErrorName, error_name, (cu_result result, const char** name))

struct driver {
  void* library;
#define DRIVER_MEMBER(symbol, member, parameters) cu_result(*member) parameters;
  DRIVER_CALLS(DRIVER_MEMBER)
#undef DRIVER_MEMBER
};

/* Opens libcuda.so.1 and finds every call above; prints one sentence and returns 0 on failure. */
int driver_open(struct driver* driver);

/* The library's name of a result, or "?". */
const char* driver_error_name(const struct driver* driver, cu_result result);

#endif
