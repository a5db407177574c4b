// SPDX-License-Identifier: Apache-2.0
// Tensor maps: what the driver encodes, and what it refuses.
#include <algorithm>

#include "tests/conformance/fixtures/objects.hpp"
#include "tests/conformance/harness/registry.hpp"

namespace conformance {
namespace {

constexpr unsigned kFloat32 = 7;

void need_tensor_maps() {
  if (device_attribute(CU_DEVICE_ATTRIBUTE_TENSOR_MAP_ACCESS_SUPPORTED) == 0) skip("the device has no tensor maps");
}

/// A plane of 256 x 128 floats, in boxes of 32 x 16.
struct Plane {
  cuuint64_t dimensions[2] = {256, 128};
  cuuint64_t strides[1] = {256 * 4};
  cuuint32_t box[2] = {32, 16};
  cuuint32_t steps[2] = {1, 1};
  Outcome encode(CUtensorMap* map, CUdeviceptr memory, unsigned type = kFloat32, cuuint32_t rank = 2) const {
    return CU(cuTensorMapEncodeTiled, map, type, rank, reinterpret_cast<void*>(memory), dimensions, strides, box, steps,
              0, 0, 0, 0);
  }
};

bool are_equal(const CUtensorMap& one, const CUtensorMap& other) {
  return std::equal(std::begin(one.opaque), std::end(one.opaque), std::begin(other.opaque));
}

CASE(tensor_map, the_same_description_the_same_map) {
  need_tensor_maps();
  const Context context;
  const DeviceMemory memory(256 * 128 * 4);
  const Plane plane;
  CUtensorMap one{}, other{};
  expect_ok(plane.encode(&one, memory.at()));
  expect_ok(plane.encode(&other, memory.at()));
  require(are_equal(one, other), "two encodings of one description are the same");
  require(!are_equal(one, CUtensorMap{}), "something is encoded");
}
CASE(tensor_map, another_address) {
  need_tensor_maps();
  const Context context;
  const DeviceMemory first(256 * 128 * 4), second(256 * 128 * 4);
  const Plane plane;
  CUtensorMap one{}, other{};
  expect_ok(plane.encode(&one, first.at()));
  expect_ok(plane.encode(&other, second.at()));
  require(!are_equal(one, other), "the address is part of a map");
  expect_ok(CU(cuTensorMapReplaceAddress, &one, reinterpret_cast<void*>(second.at())));
  require(are_equal(one, other), "with another address it is the other's map");
}
CASE(tensor_map, errors) {
  need_tensor_maps();
  const Context context;
  const DeviceMemory memory(256 * 128 * 4);
  const Plane plane;
  CUtensorMap map{};
  expect(plane.encode(nullptr, memory.at()), CUDA_ERROR_INVALID_VALUE);
  expect(plane.encode(&map, memory.at(), 99), CUDA_ERROR_INVALID_VALUE);
  expect(plane.encode(&map, memory.at(), kFloat32, 6), CUDA_ERROR_INVALID_VALUE);
  expect(plane.encode(&map, memory.at(), kFloat32, 0), CUDA_ERROR_INVALID_VALUE);
  expect(plane.encode(&map, memory.at(3)), CUDA_ERROR_INVALID_VALUE);
  Plane odd;
  odd.strides[0] = 1020;
  expect(odd.encode(&map, memory.at()), CUDA_ERROR_INVALID_VALUE);
  odd = {};
  odd.box[0] = 1000;
  expect(odd.encode(&map, memory.at()), CUDA_ERROR_INVALID_VALUE);
}
CASE(tensor_map, images) {
  need_tensor_maps();
  const Context context;
  const DeviceMemory memory(64 * 32 * 32 * 4);
  const cuuint64_t dimensions[4] = {64, 32, 32, 1}, strides[3] = {256, 256 * 32, 256 * 32 * 32};
  const int lower[2] = {-1, -1}, upper[2] = {-1, -1};
  const cuuint32_t steps[4] = {1, 1, 1, 1};
  CUtensorMap map{};
  expect_ok(CU(cuTensorMapEncodeIm2col, &map, kFloat32, 4, reinterpret_cast<void*>(memory.at()), dimensions, strides,
               lower, upper, 32, 64, steps, 0, 0, 0, 0));
  require(!are_equal(map, CUtensorMap{}), "something is encoded");
}
/// Devices of earlier kinds than 10.0 refuse it.
CASE(tensor_map, wide_images) {
  need_tensor_maps();
  if (driver().cuTensorMapEncodeIm2colWide == nullptr) skip("the library does not export cuTensorMapEncodeIm2colWide");
  const Context context;
  const DeviceMemory memory(64 * 32 * 32 * 4);
  const cuuint64_t dimensions[4] = {64, 32, 32, 1}, strides[3] = {256, 256 * 32, 256 * 32 * 32};
  const cuuint32_t steps[4] = {1, 1, 1, 1};
  CUtensorMap map{};
  constexpr CUtensorMapSwizzle k128Bytes = 3;
  expect_one_of(CU(cuTensorMapEncodeIm2colWide, &map, kFloat32, 4, reinterpret_cast<void*>(memory.at()), dimensions,
                   strides, -1, -1, 32, 64, steps, 0, 0, k128Bytes, 0, 0),
                {CUDA_SUCCESS, CUDA_ERROR_NOT_SUPPORTED, CUDA_ERROR_INVALID_VALUE});
  expect(CU(cuTensorMapEncodeIm2colWide, nullptr, kFloat32, 4, reinterpret_cast<void*>(memory.at()), dimensions,
            strides, -1, -1, 32, 64, steps, 0, 0, k128Bytes, 0, 0),
         CUDA_ERROR_INVALID_VALUE);
}

}  // namespace
}  // namespace conformance
