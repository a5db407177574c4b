// SPDX-License-Identifier: Apache-2.0
// Copies of rectangles.
#include "tests/conformance/fixtures/objects.hpp"
#include "tests/conformance/harness/registry.hpp"

namespace conformance {
namespace {

constexpr size_t kHostPitch = 80, kDevicePitch = 128, kRows = 10;

CUDA_MEMCPY2D to_device(const std::vector<uint8_t>& host, const DeviceMemory& device) {
  CUDA_MEMCPY2D copy = {};
  copy.srcMemoryType = CU_MEMORYTYPE_HOST, copy.srcHost = host.data(), copy.srcPitch = kHostPitch;
  copy.dstMemoryType = CU_MEMORYTYPE_DEVICE, copy.dstDevice = device.at(), copy.dstPitch = kDevicePitch;
  copy.WidthInBytes = 50, copy.Height = kRows;
  return copy;
}
CUDA_MEMCPY2D to_host(std::vector<uint8_t>& host, const DeviceMemory& device) {
  CUDA_MEMCPY2D copy = {};
  copy.srcMemoryType = CU_MEMORYTYPE_DEVICE, copy.srcDevice = device.at(), copy.srcPitch = kDevicePitch;
  copy.dstMemoryType = CU_MEMORYTYPE_HOST, copy.dstHost = host.data(), copy.dstPitch = kHostPitch;
  copy.WidthInBytes = 50, copy.Height = kRows;
  return copy;
}

/// What a copy of rows does, on the host.
void copy_rows(const std::vector<uint8_t>& source, size_t source_pitch, size_t source_start,
               std::vector<uint8_t>& target, size_t target_pitch, size_t target_start, size_t width, size_t height) {
  for (size_t row = 0; row < height; ++row) {
    for (size_t i = 0; i < width; ++i)
      target[target_start + row * target_pitch + i] = source[source_start + row * source_pitch + i];
  }
}

CASE(copy_2d, to_device_and_back) {
  const Context context;
  const DeviceMemory device(kDevicePitch * kRows);
  expect_ok(CU(cuMemsetD8_v2, device.at(), 0xa5, device.size()));
  const auto host = pattern(kHostPitch * kRows);
  const auto copy = to_device(host, device);
  expect_ok(CU(cuMemcpy2D_v2, &copy));
  std::vector<uint8_t> wanted(device.size(), 0xa5);
  copy_rows(host, kHostPitch, 0, wanted, kDevicePitch, 0, 50, kRows);
  expect_same(device.read(), wanted);

  std::vector<uint8_t> result(kHostPitch * kRows, 0x5a), expected = result;
  const auto back = to_host(result, device);
  expect_ok(CU(cuMemcpy2D_v2, &back));
  copy_rows(host, kHostPitch, 0, expected, kHostPitch, 0, 50, kRows);
  expect_same(result, expected);
}
CASE(copy_2d, with_offsets) {
  const Context context;
  const DeviceMemory device(kDevicePitch * kRows);
  expect_ok(CU(cuMemsetD8_v2, device.at(), 0xa5, device.size()));
  const auto host = pattern(kHostPitch * kRows);
  auto copy = to_device(host, device);
  copy.srcXInBytes = 3, copy.srcY = 2, copy.dstXInBytes = 16, copy.dstY = 4, copy.WidthInBytes = 33, copy.Height = 5;
  expect_ok(CU(cuMemcpy2D_v2, &copy));
  std::vector<uint8_t> wanted(device.size(), 0xa5);
  copy_rows(host, kHostPitch, 2 * kHostPitch + 3, wanted, kDevicePitch, 4 * kDevicePitch + 16, 33, 5);
  expect_same(device.read(), wanted);
}
CASE(copy_2d, unaligned) {
  const Context context;
  const DeviceMemory device(kDevicePitch * kRows);
  const auto host = pattern(kHostPitch * kRows);
  auto copy = to_device(host, device);
  copy.dstPitch = 51;
  expect_ok(CU(cuMemcpy2DUnaligned_v2, &copy));
  std::vector<uint8_t> wanted(51 * (kRows - 1) + 50, 0);
  const auto actual = device.read(0, wanted.size());
  wanted = actual;
  copy_rows(host, kHostPitch, 0, wanted, 51, 0, 50, kRows);
  expect_same(actual, wanted);
}
CASE(copy_2d, device_to_device) {
  const Context context;
  const DeviceMemory a(kDevicePitch * kRows), b(256 * kRows);
  const auto bytes = pattern(a.size());
  a.write(bytes);
  expect_ok(CU(cuMemsetD8_v2, b.at(), 0, b.size()));
  CUDA_MEMCPY2D copy = {};
  copy.srcMemoryType = CU_MEMORYTYPE_DEVICE, copy.srcDevice = a.at(), copy.srcPitch = kDevicePitch;
  copy.dstMemoryType = CU_MEMORYTYPE_DEVICE, copy.dstDevice = b.at(), copy.dstPitch = 256;
  copy.WidthInBytes = 100, copy.Height = kRows;
  expect_ok(CU(cuMemcpy2D_v2, &copy));
  std::vector<uint8_t> wanted(b.size(), 0);
  copy_rows(bytes, kDevicePitch, 0, wanted, 256, 0, 100, kRows);
  expect_same(b.read(), wanted);
}
CASE(copy_2d, on_a_stream) {
  const Context context;
  const DeviceMemory device(kDevicePitch * kRows);
  expect_ok(CU(cuMemsetD8_v2, device.at(), 0, device.size()));
  expect_ok(CU(cuCtxSynchronize));
  const Stream stream;
  const auto host = pattern(kHostPitch * kRows);
  std::vector<uint8_t> result(kHostPitch * kRows, 0), wanted = result;
  const auto copy = to_device(host, device);
  const auto back = to_host(result, device);
  expect_ok(CU(cuMemcpy2DAsync_v2, &copy, stream));
  expect_ok(CU(cuMemcpy2DAsync_v2, &back, stream));
  stream.synchronize();
  copy_rows(host, kHostPitch, 0, wanted, kHostPitch, 0, 50, kRows);
  expect_same(result, wanted);
}
CASE(copy_2d, unified_addresses) {
  const Context context;
  const DeviceMemory device(kDevicePitch * kRows);
  const auto host = pattern(kHostPitch * kRows);
  auto copy = to_device(host, device);
  copy.srcMemoryType = copy.dstMemoryType = CU_MEMORYTYPE_UNIFIED;
  copy.srcDevice = reinterpret_cast<CUdeviceptr>(host.data()), copy.srcHost = nullptr;
  expect_ok(CU(cuMemcpy2D_v2, &copy));
  expect_same(device.read(0, 50), {host.begin(), host.begin() + 50});
}
CASE(copy_2d, nothing) {
  const Context context;
  const DeviceMemory device(kDevicePitch * kRows);
  const auto host = pattern(kHostPitch * kRows);
  auto copy = to_device(host, device);
  copy.WidthInBytes = 0;
  expect_ok(CU(cuMemcpy2D_v2, &copy));
  copy.WidthInBytes = 50, copy.Height = 0;
  expect_ok(CU(cuMemcpy2D_v2, &copy));
}
CASE(copy_2d, errors) {
  const Context context;
  const DeviceMemory device(kDevicePitch * kRows);
  const auto host = pattern(kHostPitch * kRows);
  expect(CU(cuMemcpy2D_v2, nullptr), CUDA_ERROR_INVALID_VALUE);
  auto copy = to_device(host, device);
  copy.srcPitch = 40;
  expect(CU(cuMemcpy2D_v2, &copy), CUDA_ERROR_INVALID_VALUE);
  copy = to_device(host, device);
  copy.dstPitch = 40;
  expect(CU(cuMemcpy2D_v2, &copy), CUDA_ERROR_INVALID_VALUE);
  copy = to_device(host, device);
  copy.srcMemoryType = 99;
  expect(CU(cuMemcpy2D_v2, &copy), CUDA_ERROR_INVALID_VALUE);
  copy = to_device(host, device);
  copy.dstDevice = 0;
  expect(CU(cuMemcpy2D_v2, &copy), CUDA_ERROR_INVALID_VALUE);
}

}  // namespace
}  // namespace conformance
