// SPDX-License-Identifier: Apache-2.0
//
// An ordinary CUDA C++ program: it knows nothing of the shim, and links NVIDIA's run-time library statically, as nvcc
// does by default. Vector addition, a tiled matrix product, a reduction with warp shuffles, and printf on the device;
// each result is compared with the CPU's. Sizes suit a software GPU too. Exit status: 0 all right, 1 something was not.
#include <cuda_runtime.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <vector>

#define CHECK(call)                                                                                             \
  do {                                                                                                          \
    const cudaError_t status = (call);                                                                          \
    if (status != cudaSuccess) {                                                                                \
      std::fprintf(stderr, "demo: %s: %s (%s)\n", #call, cudaGetErrorName(status), cudaGetErrorString(status)); \
      std::exit(1);                                                                                             \
    }                                                                                                           \
  } while (0)

constexpr int kTile = 16;
constexpr int kMatrixSize = 128;
constexpr int kVectorSize = 1 << 16;
constexpr int kBlock = 256;

__global__ void vector_add(const float* a, const float* b, float* c, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) c[i] = a[i] + b[i];
}

__global__ void matrix_product(const float* a, const float* b, float* c, int n) {
  __shared__ float tile_a[kTile][kTile];
  __shared__ float tile_b[kTile][kTile];
  const int row = blockIdx.y * kTile + threadIdx.y;
  const int column = blockIdx.x * kTile + threadIdx.x;
  float sum = 0;
  for (int first = 0; first < n; first += kTile) {
    tile_a[threadIdx.y][threadIdx.x] = a[row * n + first + threadIdx.x];
    tile_b[threadIdx.y][threadIdx.x] = b[(first + threadIdx.y) * n + column];
    __syncthreads();
    for (int k = 0; k < kTile; ++k) sum += tile_a[threadIdx.y][k] * tile_b[k][threadIdx.x];
    __syncthreads();
  }
  c[row * n + column] = sum;
}

__global__ void reduce_sum(const float* values, float* result, int n) {
  __shared__ float sum_of_warp[kBlock / 32];
  float sum = 0;
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) sum += values[i];
  for (int distance = 16; distance > 0; distance /= 2) sum += __shfl_down_sync(0xffffffffu, sum, distance);
  if (threadIdx.x % 32 == 0) sum_of_warp[threadIdx.x / 32] = sum;
  __syncthreads();
  if (threadIdx.x == 0) {
    for (int warp = 1; warp < kBlock / 32; ++warp) sum += sum_of_warp[warp];
    atomicAdd(result, sum);
  }
}

__global__ void greet() { printf("  a kernel says hello from block %d, thread %d\n", blockIdx.x, threadIdx.x); }

// Memory on the device that is given back at the end of the scope.
class DeviceArray {
 public:
  explicit DeviceArray(const std::vector<float>& values) : size_(values.size() * sizeof(float)) {
    CHECK(cudaMalloc(&data_, size_));
    CHECK(cudaMemcpy(data_, values.data(), size_, cudaMemcpyHostToDevice));
  }
  ~DeviceArray() { CHECK(cudaFree(data_)); }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;

  float* get() const { return data_; }
  std::vector<float> fetch() const {
    std::vector<float> values(size_ / sizeof(float));
    CHECK(cudaMemcpy(values.data(), data_, size_, cudaMemcpyDeviceToHost));
    return values;
  }

 private:
  float* data_ = nullptr;
  size_t size_;
};

// Small multiples of 1/8: sums of them are exact in single precision, whatever the order of the additions.
static std::vector<float> make_values(int count, unsigned seed) {
  std::vector<float> values(count);
  for (float& value : values) {
    seed = seed * 1664525u + 1013904223u;
    value = static_cast<float>(static_cast<int>(seed >> 28) - 8) / 8;
  }
  return values;
}

static bool report(const char* what, int count, int wrong) {
  std::printf("  %-16s %6d results, %d wrong\n", what, count, wrong);
  return wrong == 0;
}

static bool test_vector_add() {
  const std::vector<float> a = make_values(kVectorSize, 1);
  const std::vector<float> b = make_values(kVectorSize, 2);
  const DeviceArray on_a(a), on_b(b), on_c(std::vector<float>(kVectorSize, 0.0f));
  vector_add<<<kVectorSize / kBlock, kBlock>>>(on_a.get(), on_b.get(), on_c.get(), kVectorSize);
  CHECK(cudaGetLastError());
  const std::vector<float> c = on_c.fetch();
  int wrong = 0;
  for (int i = 0; i < kVectorSize; ++i) wrong += c[i] != a[i] + b[i];
  return report("vector addition", kVectorSize, wrong);
}

static bool test_matrix_product() {
  constexpr int n = kMatrixSize;
  const std::vector<float> a = make_values(n * n, 3);
  const std::vector<float> b = make_values(n * n, 4);
  const DeviceArray on_a(a), on_b(b), on_c(std::vector<float>(n * n, 0.0f));
  matrix_product<<<dim3(n / kTile, n / kTile), dim3(kTile, kTile)>>>(on_a.get(), on_b.get(), on_c.get(), n);
  CHECK(cudaGetLastError());
  const std::vector<float> c = on_c.fetch();
  int wrong = 0;
  for (int row = 0; row < n; ++row) {
    for (int column = 0; column < n; ++column) {
      float sum = 0;
      for (int k = 0; k < n; ++k) sum += a[row * n + k] * b[k * n + column];
      wrong += std::fabs(c[row * n + column] - sum) > 1e-4f;
    }
  }
  return report("matrix product", n * n, wrong);
}

static bool test_reduction() {
  const std::vector<float> values = make_values(kVectorSize, 5);
  const DeviceArray on_values(values), on_result(std::vector<float>(1, 0.0f));
  reduce_sum<<<16, kBlock>>>(on_values.get(), on_result.get(), kVectorSize);
  CHECK(cudaGetLastError());
  float sum = 0;
  for (float value : values) sum += value;
  return report("reduction", 1, on_result.fetch()[0] != sum);
}

int main() {
  cudaDeviceProp properties;
  CHECK(cudaGetDeviceProperties(&properties, 0));
  std::printf("device: %s\n", properties.name);
  greet<<<1, 1>>>();
  CHECK(cudaDeviceSynchronize());
  bool right = test_vector_add();
  right = test_matrix_product() && right;
  right = test_reduction() && right;
  std::printf("demo: %s\n", right ? "all results are right" : "SOME RESULTS ARE WRONG");
  return right ? 0 : 1;
}
