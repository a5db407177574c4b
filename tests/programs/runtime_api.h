/* SPDX-License-Identifier: Apache-2.0
 *
 * The part of the CUDA run-time interface that runtime_check uses, declared here because it is built where no NVIDIA
 * header is. The library is opened at run time, so that one program tries several versions of it.
 */
#ifndef VGPU_TESTS_PROGRAMS_RUNTIME_API_H
#define VGPU_TESTS_PROGRAMS_RUNTIME_API_H

#include <stddef.h>
#include <stdint.h>

typedef int rt_error;    /* 0 is success */
typedef void* rt_handle; /* stream, event, graph */
struct rt_size {
  unsigned x, y, z;
};

struct rt_format { /* bits of each channel; of what kind: 1 unsigned, 2 float */
  int x, y, z, w, kind;
};
struct rt_rows {
  void* memory;
  size_t pitch, width, height;
};
struct rt_box_copy { /* offsets and extents in elements where an array takes part */
  rt_handle from_array;
  size_t from_x, from_y, from_z;
  struct rt_rows from;
  rt_handle to_array;
  size_t to_x, to_y, to_z;
  struct rt_rows to;
  size_t width, height, depth;
  int kind;
};

enum { RT_TO_DEVICE = 1, RT_TO_HOST = 2, RT_DEVICE_TO_DEVICE = 3 };

/* name in the library, our member, result and parameters */
#define RUNTIME_CALLS(X)                                                                                          \
  X(cudaRuntimeGetVersion, runtime_version, rt_error, (int* version))                                             \
  X(cudaDriverGetVersion, driver_version, rt_error, (int* version))                                               \
  X(cudaGetDeviceCount, device_count, rt_error, (int* count))                                                     \
  X(cudaSetDevice, set_device, rt_error, (int device))                                                            \
  X(cudaDeviceGetAttribute, attribute, rt_error, (int* value, int attribute, int device))                         \
  X(cudaMemGetInfo, memory_info, rt_error, (size_t * available, size_t * total))                                  \
  X(cudaMalloc, allocate, rt_error, (void** memory, size_t size))                                                 \
  X(cudaFree, release, rt_error, (void* memory))                                                                  \
  X(cudaMallocAsync, allocate_async, rt_error, (void** memory, size_t size, rt_handle stream))                    \
  X(cudaFreeAsync, release_async, rt_error, (void* memory, rt_handle stream))                                     \
  X(cudaHostAlloc, host_allocate, rt_error, (void** memory, size_t size, unsigned flags))                         \
  X(cudaFreeHost, host_release, rt_error, (void* memory))                                                         \
  X(cudaMemcpy, copy, rt_error, (void* to, const void* from, size_t size, int kind))                              \
  X(cudaMemcpyAsync, copy_async, rt_error, (void* to, const void* from, size_t size, int kind, rt_handle stream)) \
  X(cudaMemset, set_bytes, rt_error, (void* memory, int value, size_t size))                                      \
  X(cudaMallocArray, array_allocate, rt_error,                                                                    \
    (rt_handle * array, const struct rt_format* format, size_t width, size_t height, unsigned flags))             \
  X(cudaFreeArray, array_release, rt_error, (rt_handle array))                                                    \
  X(cudaMemcpy2DToArray, copy_to_array, rt_error,                                                                 \
    (rt_handle array, size_t x, size_t y, const void* from, size_t pitch, size_t width, size_t height, int kind)) \
  X(cudaMemcpy2DFromArray, copy_from_array, rt_error,                                                             \
    (void* to, size_t pitch, rt_handle array, size_t x, size_t y, size_t width, size_t height, int kind))         \
  X(cudaMemcpy3D, copy_box, rt_error, (const struct rt_box_copy* copy))                                           \
  X(cudaCreateTextureObject, texture_create, rt_error,                                                            \
    (unsigned long long* texture, const void* resource, const void* how, const void* view))                       \
  X(cudaDestroyTextureObject, texture_destroy, rt_error, (unsigned long long texture))                            \
  X(cudaStreamCreate, stream_create, rt_error, (rt_handle * stream))                                              \
  X(cudaStreamSynchronize, stream_synchronize, rt_error, (rt_handle stream))                                      \
  X(cudaStreamWaitEvent, stream_wait, rt_error, (rt_handle stream, rt_handle event, unsigned flags))              \
  X(cudaStreamDestroy, stream_destroy, rt_error, (rt_handle stream))                                              \
  X(cudaEventCreate, event_create, rt_error, (rt_handle * event))                                                 \
  X(cudaEventRecord, event_record, rt_error, (rt_handle event, rt_handle stream))                                 \
  X(cudaEventSynchronize, event_synchronize, rt_error, (rt_handle event))                                         \
  X(cudaEventElapsedTime, event_time, rt_error, (float* ms, rt_handle begin, rt_handle end))                      \
  X(cudaEventDestroy, event_destroy, rt_error, (rt_handle event))                                                 \
  X(cudaLaunchKernel, launch, rt_error,                                                                           \
    (const void* function, struct rt_size grid, struct rt_size block, void** parameters, size_t shared,           \
     rt_handle stream))                                                                                           \
  X(cudaStreamBeginCapture, capture_begin, rt_error, (rt_handle stream, int mode))                                \
  X(cudaStreamEndCapture, capture_end, rt_error, (rt_handle stream, rt_handle * graph))                           \
  X(cudaGraphInstantiateWithFlags, graph_instantiate, rt_error,                                                   \
    (rt_handle * executable, rt_handle graph, unsigned long long flags))                                          \
  X(cudaGraphLaunch, graph_launch, rt_error, (rt_handle executable, rt_handle stream))                            \
  X(cudaGraphExecDestroy, graph_executable_destroy, rt_error, (rt_handle executable))                             \
  X(cudaGraphDestroy, graph_destroy, rt_error, (rt_handle graph))                                                 \
  X(cudaGetLastError, last_error, rt_error, (void))                                                               \
  X(cudaGetErrorName, error_name, const char*, (rt_error error))                                                  \
  X(cudaGetErrorString, error_string, const char*, (rt_error error))                                              \
  X(cudaDeviceSynchronize, synchronize, rt_error, (void))                                                         \
  X(cudaDeviceReset, reset, rt_error, (void))                                                                     \
  /* what nvcc makes programs call before main(); a fourth parameter of the first is ignored before 12.0 */       \
  X(cudaGetDriverEntryPoint, driver_entry, rt_error,                                                              \
    (const char* name, void** function, unsigned long long flags, int* status))                                   \
  X(__cudaRegisterFatBinary, register_binary, void**, (void* wrapper))                                            \
  X(__cudaRegisterFatBinaryEnd, register_binary_end, void, (void** binary))                                       \
  X(__cudaUnregisterFatBinary, unregister_binary, void, (void** binary))                                          \
  X(__cudaRegisterFunction, register_function, void,                                                              \
    (void** binary, const char* function, char* device_function, const char* name, int threads, void* thread,     \
     void* block, void* block_size, void* grid_size, int* warp_size))

struct runtime {
  void* library;
  rt_error (*properties)(void* properties, int device); /* _v2 since 12.0; the name comes first in each version */
#define RUNTIME_MEMBER(symbol, member, result, parameters) result(*member) parameters;
  RUNTIME_CALLS(RUNTIME_MEMBER)
#undef RUNTIME_MEMBER
};

#endif
