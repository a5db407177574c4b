// Native baseline: launch rate, sync latency, copies, allocation, context creation (driver-visible costs).
#include <cuda.h>
#include <cuda_runtime.h>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>
__global__ void empty(int* p, int v) {
  if (p && v < 0) *p = v;
}
__global__ void add(const float* a, const float* b, float* c, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) c[i] = a[i] + b[i];
}
static double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}
#define CK(x)                                            \
  do {                                                   \
    cudaError_t e = (x);                                 \
    if (e) {                                             \
      printf("FAIL %s %s\n", #x, cudaGetErrorString(e)); \
      exit(1);                                           \
    }                                                    \
  } while (0)
int main() {
  double t = now();
  CK(cudaFree(0));
  printf("context_ms %.1f\n", (now() - t) * 1e3);
  int* d;
  CK(cudaMalloc(&d, 4));
  empty<<<1, 1>>>(d, 1);
  CK(cudaDeviceSynchronize());
  int N = 200000;
  t = now();
  for (int i = 0; i < N; i++) empty<<<1, 32>>>(d, i);
  CK(cudaDeviceSynchronize());
  printf("async_launch_us %.3f\n", (now() - t) / N * 1e6);
  N = 20000;
  t = now();
  for (int i = 0; i < N; i++) {
    empty<<<1, 32>>>(d, i);
    cudaDeviceSynchronize();
  }
  printf("sync_launch_us %.3f\n", (now() - t) / N * 1e6);
  int h = 0;
  t = now();
  for (int i = 0; i < N; i++) cudaMemcpy(&h, d, 4, cudaMemcpyDeviceToHost);
  printf("d2h4_us %.3f\n", (now() - t) / N * 1e6);
  t = now();
  for (int i = 0; i < N; i++) cudaMemcpy(d, &h, 4, cudaMemcpyHostToDevice);
  printf("h2d4_us %.3f\n", (now() - t) / N * 1e6);
  t = now();
  for (int i = 0; i < 2000; i++) {
    void* p;
    CK(cudaMalloc(&p, 1 << 20));
    CK(cudaFree(p));
  }
  printf("malloc_free_1M_us %.3f\n", (now() - t) / 2000 * 1e6);
  size_t S = 1ull << 30;
  char* dev;
  CK(cudaMalloc((void**)&dev, S));
  char* pg = (char*)malloc(S);
  memset(pg, 1, S);
  char* pn;
  CK(cudaMallocHost((void**)&pn, S));
  memset(pn, 2, S);
  for (int k = 0; k < 2; k++) {
    t = now();
    CK(cudaMemcpy(dev, pg, S, cudaMemcpyHostToDevice));
    if (k) printf("h2d_pageable_GBs %.2f\n", S / (now() - t) / 1e9);
    t = now();
    CK(cudaMemcpy(pg, dev, S, cudaMemcpyDeviceToHost));
    if (k) printf("d2h_pageable_GBs %.2f\n", S / (now() - t) / 1e9);
    t = now();
    CK(cudaMemcpy(dev, pn, S, cudaMemcpyHostToDevice));
    if (k) printf("h2d_pinned_GBs %.2f\n", S / (now() - t) / 1e9);
    t = now();
    CK(cudaMemcpy(pn, dev, S, cudaMemcpyDeviceToHost));
    if (k) printf("d2h_pinned_GBs %.2f\n", S / (now() - t) / 1e9);
  }
  int n = 1 << 20;
  std::vector<float> a(n, 1.5f), b(n, 2.5f), c(n);
  float *da, *db, *dc;
  CK(cudaMalloc(&da, n * 4));
  CK(cudaMalloc(&db, n * 4));
  CK(cudaMalloc(&dc, n * 4));
  CK(cudaMemcpy(da, a.data(), n * 4, cudaMemcpyHostToDevice));
  CK(cudaMemcpy(db, b.data(), n * 4, cudaMemcpyHostToDevice));
  add<<<n / 256, 256>>>(da, db, dc, n);
  CK(cudaMemcpy(c.data(), dc, n * 4, cudaMemcpyDeviceToHost));
  int bad = 0;
  for (float x : c) bad += x != 4.0f;
  printf("vecadd_bad %d\n", bad);
}
