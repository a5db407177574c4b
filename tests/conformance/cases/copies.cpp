// SPDX-License-Identifier: Apache-2.0
// Linear copies in every direction, in many sizes: one case for each.
#include <cstring>

#include "tests/conformance/fixtures/objects.hpp"
#include "tests/conformance/harness/registry.hpp"

namespace conformance {
namespace {

// Room before and behind what is copied, which must stay as it was.
constexpr size_t kMargin = 64;

struct Way {
  const char* name;
  /// Copies `size` bytes of `source` to the device address and back to the result.
  void (*copy)(const std::vector<uint8_t>& source, CUdeviceptr device, std::vector<uint8_t>& result);
};

CUdeviceptr unified(const void* pointer) { return reinterpret_cast<CUdeviceptr>(pointer); }

void copy_synchronously(const std::vector<uint8_t>& source, CUdeviceptr device, std::vector<uint8_t>& result) {
  expect_ok(CU(cuMemcpyHtoD_v2, device, source.data(), source.size()));
  expect_ok(CU(cuMemcpyDtoH_v2, result.data(), device, result.size()));
}
void copy_unified(const std::vector<uint8_t>& source, CUdeviceptr device, std::vector<uint8_t>& result) {
  expect_ok(CU(cuMemcpy, device, unified(source.data()), source.size()));
  expect_ok(CU(cuMemcpy, unified(result.data()), device, result.size()));
}
void copy_unified_on_a_stream(const std::vector<uint8_t>& source, CUdeviceptr device, std::vector<uint8_t>& result) {
  const Stream stream;
  expect_ok(CU(cuMemcpyAsync, device, unified(source.data()), source.size(), stream));
  expect_ok(CU(cuMemcpyAsync, unified(result.data()), device, result.size(), stream));
  stream.synchronize();
}
void copy_pageable_on_a_stream(const std::vector<uint8_t>& source, CUdeviceptr device, std::vector<uint8_t>& result) {
  const Stream stream;
  std::vector<uint8_t> reused = source;
  expect_ok(CU(cuMemcpyHtoDAsync_v2, device, reused.data(), reused.size(), stream));
  // Pageable memory has been read when the call returns.
  std::fill(reused.begin(), reused.end(), uint8_t{0xee});
  expect_ok(CU(cuMemcpyDtoHAsync_v2, result.data(), device, result.size(), stream));
  stream.synchronize();
}
void copy_pinned_on_a_stream(const std::vector<uint8_t>& source, CUdeviceptr device, std::vector<uint8_t>& result) {
  const Stream stream;
  const PinnedMemory from(source.size() + 1), to(result.size() + 1);
  std::memcpy(from.get(), source.data(), source.size());
  expect_ok(CU(cuMemcpyHtoDAsync_v2, device, from.get(), source.size(), stream));
  expect_ok(CU(cuMemcpyDtoHAsync_v2, to.get(), device, result.size(), stream));
  stream.synchronize();
  std::memcpy(result.data(), to.get(), result.size());
}
void copy_through_device_memory(const std::vector<uint8_t>& source, CUdeviceptr device, std::vector<uint8_t>& result) {
  const DeviceMemory first(source.size() + 1);
  expect_ok(CU(cuMemcpyHtoD_v2, first.at(), source.data(), source.size()));
  expect_ok(CU(cuMemcpyDtoD_v2, device, first.at(), source.size()));
  expect_ok(CU(cuMemcpyDtoH_v2, result.data(), device, result.size()));
}

constexpr Way kWays[] = {
    {"sync", copy_synchronously},
    {"unified", copy_unified},
    {"unified_async", copy_unified_on_a_stream},
    {"pageable_async", copy_pageable_on_a_stream},
    {"pinned_async", copy_pinned_on_a_stream},
    {"device_to_device", copy_through_device_memory},
};
constexpr size_t kSizes[] = {0, 1, 4, 13, 4096, 65537, 1 << 20, 10 << 20};

void copy_there_and_back(const Way& way, size_t size, size_t misalignment) {
  const Context context;
  const DeviceMemory memory(size + 2 * kMargin);
  expect_ok(CU(cuMemsetD8_v2, memory.at(), 0xa5, memory.size()));
  expect_ok(CU(cuCtxSynchronize));
  auto source = pattern(size);
  std::vector<uint8_t> result(size);
  source.reserve(1), result.reserve(1);  // an address even for nothing
  way.copy(source, memory.at(kMargin - misalignment), result);
  expect_same(result, source);
  const auto whole = memory.read();
  for (size_t i = 0; i < whole.size(); ++i) {
    if (i >= kMargin - misalignment && i < kMargin - misalignment + size) continue;
    expect_equal(int{whole[i]}, 0xa5, "byte " + std::to_string(i) + " outside of the copy");
  }
}

[[maybe_unused]] const bool added = [] {
  for (const Way& way : kWays) {
    for (const size_t size : kSizes) {
      add_case(std::string("copy.") + way.name + "_" + std::to_string(size), Process::shared,
               [&way, size] { copy_there_and_back(way, size, 0); });
    }
    add_case(std::string("copy.") + way.name + "_unaligned", Process::shared,
             [&way] { copy_there_and_back(way, 12345, 3); });
  }
  return true;
}();

}  // namespace
}  // namespace conformance
