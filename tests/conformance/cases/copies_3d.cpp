// SPDX-License-Identifier: Apache-2.0
// Copies of boxes between linear memories, and batches of copies.
#include <cstring>

#include "tests/conformance/fixtures/arrays.hpp"
#include "tests/conformance/harness/registry.hpp"

namespace conformance {
namespace {

// A box inside another.
constexpr size_t kHostRow = 96, kHostRows = 12, kDeviceRow = 128, kDeviceRows = 10, kSlices = 5;
constexpr size_t kWidth = 40, kHeight = 6, kDepth = 3;
constexpr size_t kHostSize = kHostRow * kHostRows * kSlices, kDeviceSize = kDeviceRow * kDeviceRows * kSlices;

CUDA_MEMCPY3D to_device(const void* host, CUdeviceptr device) {
  CUDA_MEMCPY3D copy = {};
  copy.srcMemoryType = CU_MEMORYTYPE_HOST, copy.srcHost = host, copy.srcPitch = kHostRow, copy.srcHeight = kHostRows;
  copy.srcXInBytes = 7, copy.srcY = 2, copy.srcZ = 1;
  copy.dstMemoryType = CU_MEMORYTYPE_DEVICE, copy.dstDevice = device, copy.dstPitch = kDeviceRow;
  copy.dstHeight = kDeviceRows, copy.dstXInBytes = 16, copy.dstY = 3, copy.dstZ = 2;
  copy.WidthInBytes = kWidth, copy.Height = kHeight, copy.Depth = kDepth;
  return copy;
}

/// The same there and back.
CUDA_MEMCPY3D turned(const CUDA_MEMCPY3D& copy, void* host) {
  CUDA_MEMCPY3D back = {};
  back.srcMemoryType = copy.dstMemoryType, back.srcDevice = copy.dstDevice, back.srcPitch = copy.dstPitch;
  back.srcHeight = copy.dstHeight, back.srcXInBytes = copy.dstXInBytes, back.srcY = copy.dstY, back.srcZ = copy.dstZ;
  back.dstMemoryType = copy.srcMemoryType, back.dstHost = host, back.dstPitch = copy.srcPitch;
  back.dstHeight = copy.srcHeight, back.dstXInBytes = copy.srcXInBytes, back.dstY = copy.srcY, back.dstZ = copy.srcZ;
  back.WidthInBytes = copy.WidthInBytes, back.Height = copy.Height, back.Depth = copy.Depth;
  return back;
}

std::vector<uint8_t> on_device(const std::vector<uint8_t>& host) {
  std::vector<uint8_t> device(kDeviceSize, 0);
  for (size_t z = 0; z < kDepth; ++z)
    for (size_t y = 0; y < kHeight; ++y)
      std::memcpy(&device[((2 + z) * kDeviceRows + 3 + y) * kDeviceRow + 16],
                  &host[((1 + z) * kHostRows + 2 + y) * kHostRow + 7], kWidth);
  return device;
}

/// Only the box is as in `host`.
std::vector<uint8_t> box_of(const std::vector<uint8_t>& host) {
  std::vector<uint8_t> box(kHostSize, 0);
  for (size_t z = 0; z < kDepth; ++z)
    for (size_t y = 0; y < kHeight; ++y) {
      const size_t at = ((1 + z) * kHostRows + 2 + y) * kHostRow + 7;
      std::memcpy(&box[at], &host[at], kWidth);
    }
  return box;
}

CASE(copy_3d, to_device_and_back) {
  const Context context;
  const DeviceMemory device(kDeviceSize);
  expect_ok(CU(cuMemsetD8_v2, device.at(), 0, device.size()));
  const auto host = pattern(kHostSize);
  const auto copy = to_device(host.data(), device.at());
  expect_ok(CU(cuMemcpy3D_v2, &copy));
  expect_same(device.read(), on_device(host));
  std::vector<uint8_t> result(kHostSize, 0);
  const auto back = turned(copy, result.data());
  expect_ok(CU(cuMemcpy3D_v2, &back));
  expect_same(result, box_of(host));
}
CASE(copy_3d, pinned_memory_on_a_stream) {
  const Context context;
  const Stream stream;
  const DeviceMemory device(kDeviceSize);
  const PinnedMemory from(kHostSize), to(kHostSize);
  const auto host = pattern(kHostSize);
  std::memcpy(from.get(), host.data(), kHostSize);
  const auto copy = to_device(from.get(), device.at());
  const auto back = turned(copy, to.get());
  expect_ok(CU(cuMemcpy3DAsync_v2, &copy, stream));
  expect_ok(CU(cuMemcpy3DAsync_v2, &back, stream));
  stream.synchronize();
  expect_same({to.bytes(), to.bytes() + kHostSize}, box_of(host));
}
CASE(copy_3d, pageable_memory_on_a_stream) {
  const Context context;
  const Stream stream;
  const DeviceMemory device(kDeviceSize);
  const auto host = pattern(kHostSize);
  std::vector<uint8_t> result(kHostSize, 0);
  const auto copy = to_device(host.data(), device.at());
  const auto back = turned(copy, result.data());
  expect_ok(CU(cuMemcpy3DAsync_v2, &copy, stream));
  expect_ok(CU(cuMemcpy3DAsync_v2, &back, stream));
  stream.synchronize();
  expect_same(result, box_of(host));
}
CASE(copy_3d, on_the_device) {
  const Context context;
  const DeviceMemory from(kHostSize), to(kDeviceSize);
  const auto bytes = pattern(kHostSize);
  from.write(bytes);
  expect_ok(CU(cuMemsetD8_v2, to.at(), 0, to.size()));
  auto copy = to_device(nullptr, to.at());
  copy.srcMemoryType = CU_MEMORYTYPE_DEVICE, copy.srcDevice = from.at();
  expect_ok(CU(cuMemcpy3D_v2, &copy));
  expect_same(to.read(), on_device(bytes));
}
CASE(copy_3d, between_hosts) {
  const Context context;
  const auto bytes = pattern(kHostSize);
  std::vector<uint8_t> to(kDeviceSize, 0);
  auto copy = to_device(bytes.data(), 0);
  copy.dstMemoryType = CU_MEMORYTYPE_HOST, copy.dstHost = to.data();
  expect_ok(CU(cuMemcpy3D_v2, &copy));
  expect_same(to, on_device(bytes));
}
CASE(copy_3d, unified_addresses) {
  const Context context;
  const DeviceMemory device(kDeviceSize);
  expect_ok(CU(cuMemsetD8_v2, device.at(), 0, device.size()));
  const auto host = pattern(kHostSize);
  auto copy = to_device(nullptr, device.at());
  copy.srcMemoryType = copy.dstMemoryType = CU_MEMORYTYPE_UNIFIED;
  copy.srcDevice = reinterpret_cast<CUdeviceptr>(host.data());
  expect_ok(CU(cuMemcpy3D_v2, &copy));
  expect_same(device.read(), on_device(host));
}
CASE(copy_3d, large) {
  const Context context;
  constexpr size_t row = 5000, rows = 60, slices = 40;
  const DeviceMemory device(row * rows * slices);
  const auto host = pattern(device.size());
  CUDA_MEMCPY3D copy = {};
  copy.srcMemoryType = CU_MEMORYTYPE_HOST, copy.srcHost = host.data(), copy.srcPitch = row, copy.srcHeight = rows;
  copy.dstMemoryType = CU_MEMORYTYPE_DEVICE, copy.dstDevice = device.at(), copy.dstPitch = row, copy.dstHeight = rows;
  copy.WidthInBytes = row, copy.Height = rows, copy.Depth = slices;
  expect_ok(CU(cuMemcpy3D_v2, &copy));
  expect_same(device.read(), host);
  std::vector<uint8_t> result(host.size());
  const auto back = turned(copy, result.data());
  expect_ok(CU(cuMemcpy3D_v2, &back));
  expect_same(result, host);
}
CASE(copy_3d, nothing) {
  const Context context;
  const DeviceMemory device(kDeviceSize);
  const auto host = pattern(kHostSize);
  auto copy = to_device(host.data(), device.at());
  copy.WidthInBytes = 0;
  expect_ok(CU(cuMemcpy3D_v2, &copy));
  copy = to_device(host.data(), device.at());
  copy.Depth = 0;
  expect_ok(CU(cuMemcpy3D_v2, &copy));
}
CASE(copy_3d, errors) {
  const Context context;
  const DeviceMemory device(kDeviceSize);
  const auto host = pattern(kHostSize);
  expect(CU(cuMemcpy3D_v2, nullptr), CUDA_ERROR_INVALID_VALUE);
  auto copy = to_device(host.data(), device.at());
  copy.srcPitch = 30;
  expect(CU(cuMemcpy3D_v2, &copy), CUDA_ERROR_INVALID_VALUE);
  copy = to_device(host.data(), device.at());
  copy.dstHeight = 4;
  expect(CU(cuMemcpy3D_v2, &copy), CUDA_ERROR_INVALID_VALUE);
  copy = to_device(host.data(), device.at());
  copy.srcMemoryType = 99;
  expect(CU(cuMemcpy3D_v2, &copy), CUDA_ERROR_INVALID_VALUE);
  copy = to_device(host.data(), 0);
  expect(CU(cuMemcpy3D_v2, &copy), CUDA_ERROR_INVALID_VALUE);
}

/// The library may be older than batches, or lack them.
template <typename Function>
void need(Function* function) {
  if (function == nullptr) skip("the library does not export batches of copies");
}

CUmemcpyAttributes in_stream_order() {
  CUmemcpyAttributes attributes = {};
  attributes.srcAccessOrder = CU_MEMCPY_SRC_ACCESS_ORDER_STREAM;
  return attributes;
}

CASE(copy_batch, several_copies) {
  need(driver().cuMemcpyBatchAsync_v2);
  const Context context;
  const Stream stream;
  const DeviceMemory first(256), second(256);
  const PinnedMemory from(256), to(256);
  const auto bytes = pattern(256);
  std::memcpy(from.get(), bytes.data(), 256);
  second.write(pattern(256, 2));
  CUdeviceptr targets[] = {first.at(), to.device()}, sources[] = {from.device(), second.at()};
  size_t sizes[] = {256, 128}, indices[] = {0};
  auto attributes = in_stream_order();
  expect_ok(CU(cuMemcpyBatchAsync_v2, targets, sources, sizes, 2, &attributes, indices, 1, stream));
  stream.synchronize();
  expect_same(first.read(), bytes);
  expect_same({to.bytes(), to.bytes() + 128}, second.read(0, 128));
}
CASE(copy_batch, errors) {
  need(driver().cuMemcpyBatchAsync_v2);
  const Context context;
  const Stream stream;
  const DeviceMemory a(64), b(64);
  CUdeviceptr targets[] = {a.at(), a.at(32)}, sources[] = {b.at(), b.at(32)};
  size_t sizes[] = {32, 32}, first[] = {0, 1}, wrong[] = {1, 1};
  CUmemcpyAttributes attributes[] = {in_stream_order(), in_stream_order()};
  const auto batch = [&](size_t* indices, size_t count, CUstream on) {
    return CU(cuMemcpyBatchAsync_v2, targets, sources, sizes, 2, attributes, indices, count, on);
  };
  expect(batch(wrong, 1, stream), CUDA_ERROR_INVALID_VALUE);
  expect(batch(first, 3, stream), CUDA_ERROR_INVALID_VALUE);
  expect(batch(first, 2, nullptr), CUDA_ERROR_INVALID_VALUE);
  attributes[1].srcAccessOrder = 0;
  expect(batch(first, 2, stream), CUDA_ERROR_INVALID_VALUE);
}
CASE(copy_batch, boxes) {
  need(driver().cuMemcpy3DBatchAsync_v2);
  const Context context;
  const Stream stream;
  const Array array(shape_of(16, 8, 0, CU_AD_FORMAT_UNSIGNED_INT32));
  const DeviceMemory from(16 * 8 * 4), to(16 * 8 * 4);
  const auto bytes = pattern(from.size());
  from.write(bytes);
  CUDA_MEMCPY3D_BATCH_OP op = {};
  op.src.type = CU_MEMCPY_OPERAND_TYPE_POINTER, op.src.op.ptr.ptr = from.at();
  op.dst.type = CU_MEMCPY_OPERAND_TYPE_ARRAY, op.dst.op.array.array = array;
  op.extent[0] = 16, op.extent[1] = 8, op.extent[2] = 1;
  op.srcAccessOrder = CU_MEMCPY_SRC_ACCESS_ORDER_STREAM;
  expect_ok(CU(cuMemcpy3DBatchAsync_v2, 1, &op, 0, stream));
  stream.synchronize();
  expect_same(array.read(), bytes);
  op.extent[1] = 0;
  expect(CU(cuMemcpy3DBatchAsync_v2, 1, &op, 0, stream), CUDA_ERROR_INVALID_VALUE);
  op.extent[1] = 8;
  expect(CU(cuMemcpy3DBatchAsync_v2, 1, &op, 1, stream), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuMemcpy3DBatchAsync_v2, 1, &op, 0, nullptr), CUDA_ERROR_INVALID_VALUE);
}

}  // namespace
}  // namespace conformance
