/* SPDX-License-Identifier: Apache-2.0
 *
 * cublas_gemm LIBRARY [N]: products of two N x N matrices (default 2048) by NVIDIA's cuBLAS, in float32 and in bfloat16
 * with sums in float32. Prints a hash of each result's bytes: two machines computed the same bits if they print the
 * same. LIBRARY is the path of libcublas.so.13, or its name where the dynamic linker finds it. Exit status: 0; 1 it did
 * not go.
 */
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/programs/driver_api.h"

/* Of cuBLAS's documented interface. */
enum { OP_N = 0, R_32F = 0, R_16BF = 14, COMPUTE_32F = 68, GEMM_DEFAULT = -1 };

struct blas {
  int (*create)(void** handle);
  int (*destroy)(void* handle);
  int (*gemm)(void* handle, int transpose_a, int transpose_b, int m, int n, int k, const void* alpha, const void* a,
              int a_type, int a_stride, const void* b, int b_type, int b_stride, const void* beta, void* c, int c_type,
              int c_stride, int compute, int algorithm);
};

static int blas_open(struct blas* blas, const char* path) {
  static const char* const kNames[] = {"cublasCreate_v2", "cublasDestroy_v2", "cublasGemmEx"};
  void* members[] = {&blas->create, &blas->destroy, &blas->gemm};
  void* library = dlopen(path, RTLD_NOW);
  if (library == NULL) return fprintf(stderr, "cannot open %s: %s\n", path, dlerror()), 0;
  for (int i = 0; i < 3; ++i) {
    void* address = dlsym(library, kNames[i]);
    if (address == NULL) return fprintf(stderr, "%s has no %s\n", path, kNames[i]), 0;
    memcpy(members[i], &address, sizeof address);
  }
  return 1;
}

/* Numbers between -1 and 1, the same everywhere; as bfloat16 the upper half of the same floats. */
static void fill(void* matrix, size_t count, uint32_t seed, int is_half) {
  for (size_t i = 0; i < count; ++i) {
    seed = seed * 1664525u + 1013904223u;
    const float value = (float)(int32_t)(seed & ~0xffu) / 2147483648.0f;
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (is_half)
      ((uint16_t*)matrix)[i] = (uint16_t)(bits >> 16);
    else
      ((uint32_t*)matrix)[i] = bits;
  }
}

/* FNV-1a. */
static uint64_t hash_of(const uint8_t* bytes, size_t size) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (size_t i = 0; i < size; ++i) hash = (hash ^ bytes[i]) * 0x100000001b3u;
  return hash;
}

static int failed(const char* what, int code) { return fprintf(stderr, "%s gave %d\n", what, code), 0; }

/* One product from host memory to host memory; `result` has room for size floats. */
static int multiply(const struct driver* cuda, const struct blas* blas, void* handle, int n, int is_half, void* memory,
                    void* result) {
  const size_t count = (size_t)n * (size_t)n, size = count * (is_half ? 2 : 4);
  const int type = is_half ? R_16BF : R_32F;
  const float one = 1, zero = 0;
  cu_address place[3] = {0, 0, 0};
  int code = CU_OK;
  for (int i = 0; i < 3 && code == CU_OK; ++i) code = cuda->allocate(&place[i], i == 2 ? count * 4 : size);
  for (int i = 0; i < 2 && code == CU_OK; ++i) {
    fill(memory, count, 7u + (uint32_t)i, is_half);
    code = cuda->copy_to_device(place[i], memory, size);
  }
  if (code != CU_OK) return failed("preparing the matrices", code);
  code = blas->gemm(handle, OP_N, OP_N, n, n, n, &one, (void*)(uintptr_t)place[0], type, n, (void*)(uintptr_t)place[1],
                    type, n, &zero, (void*)(uintptr_t)place[2], R_32F, n, COMPUTE_32F, GEMM_DEFAULT);
  if (code != 0) return failed("cublasGemmEx", code);
  code = cuda->copy_to_host(result, place[2], count * 4);
  for (int i = 0; i < 3; ++i) cuda->release(place[i]);
  return code == CU_OK ? 1 : failed("copying the result", code);
}

static int run(const struct driver* cuda, const struct blas* blas, int n) {
  cu_device device = 0;
  cu_handle context = NULL;
  void* handle = NULL;
  int code = cuda->init(0);
  if (code == CU_OK) code = cuda->device_get(&device, 0);
  if (code == CU_OK) code = cuda->context_retain(&context, device);
  if (code == CU_OK) code = cuda->context_set(context);
  if (code != CU_OK) return failed("the driver's initialisation", code);
  if ((code = blas->create(&handle)) != 0) return failed("cublasCreate", code);
  const size_t size = (size_t)n * (size_t)n * 4;
  void* memory = malloc(size);
  void* result = malloc(size);
  int is_right = memory != NULL && result != NULL;
  for (int is_half = 0; is_half < 2 && is_right; ++is_half) {
    is_right = multiply(cuda, blas, handle, n, is_half, memory, result);
    if (is_right)
      printf("gemm %d %s %016llx first %.6f\n", n, is_half ? "bfloat16" : "float32",
             (unsigned long long)hash_of(result, size), (double)((float*)result)[0]);
  }
  free(memory);
  free(result);
  blas->destroy(handle);
  cuda->context_release(device);
  return is_right;
}

int main(int argc, char** argv) {
  struct driver cuda;
  struct blas blas;
  const int n = argc > 2 ? atoi(argv[2]) : 2048;
  if (argc < 2 || argc > 3 || n <= 0) return fputs("usage: cublas_gemm LIBRARY [N]\n", stderr), 64;
  if (!driver_open(&cuda) || !blas_open(&blas, argv[1])) return 1;
  return run(&cuda, &blas, n) ? 0 : 1;
}
