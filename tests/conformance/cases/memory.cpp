// SPDX-License-Identifier: Apache-2.0
// Device memory: allocation, information, ranges.
#include <memory>

#include "tests/conformance/fixtures/objects.hpp"
#include "tests/conformance/harness/registry.hpp"

namespace conformance {
namespace {

size_t free_memory() {
  size_t free = 0, total = 0;
  expect_ok(CU(cuMemGetInfo_v2, &free, &total));
  require(free <= total && total > 0, "free memory is part of the total");
  return free;
}

CASE(memory, alloc_and_free) {
  const Context context;
  CUdeviceptr address = 0;
  expect_ok(CU(cuMemAlloc_v2, &address, 4096));
  require(address != 0 && address % 256 == 0, "the address is aligned to 256");
  expect_ok(CU(cuMemFree_v2, address));
}
CASE(memory, alloc_nothing) {
  const Context context;
  CUdeviceptr address = 77;
  expect(CU(cuMemAlloc_v2, &address, 0), CUDA_ERROR_INVALID_VALUE);
}
CASE(memory, alloc_needs_a_place) {
  const Context context;
  expect(CU(cuMemAlloc_v2, nullptr, 64), CUDA_ERROR_INVALID_VALUE);
}
CASE(memory, alloc_too_much) {
  const Context context;
  CUdeviceptr address = 0;
  expect(CU(cuMemAlloc_v2, &address, size_t{1} << 50), CUDA_ERROR_OUT_OF_MEMORY);
  expect(CU(cuMemAlloc_v2, &address, ~size_t{0}), CUDA_ERROR_OUT_OF_MEMORY);
  const DeviceMemory memory(64);
}
CASE(memory, one_byte) {
  const Context context;
  const DeviceMemory memory(1);
  memory.write({0x5a});
  expect_same(memory.read(), {0x5a});
}
CASE(memory, allocations_do_not_overlap) {
  const Context context;
  const DeviceMemory a(1000), b(1000), c(1000);
  const auto pa = pattern(1000, 1), pb = pattern(1000, 2), pc = pattern(1000, 3);
  a.write(pa), b.write(pb), c.write(pc);
  expect_same(a.read(), pa);
  expect_same(b.read(), pb);
  expect_same(c.read(), pc);
}
CASE(memory, free_null) {
  const Context context;
  expect_ok(CU(cuMemFree_v2, 0));
}
CASE(memory, free_twice) {
  const Context context;
  DeviceMemory memory(64 << 20);
  const CUdeviceptr address = memory.release();
  expect_ok(CU(cuMemFree_v2, address));
  expect(CU(cuMemFree_v2, address), CUDA_ERROR_INVALID_VALUE);
}
CASE(memory, free_from_inside) {
  const Context context;
  const DeviceMemory memory(4096);
  expect(CU(cuMemFree_v2, memory.at(256)), CUDA_ERROR_INVALID_VALUE);
  memory.write_word(1);
}
CASE(memory, free_what_is_none) {
  const Context context;
  expect(CU(cuMemFree_v2, 0x1234), CUDA_ERROR_INVALID_VALUE);
  int local = 0;
  expect(CU(cuMemFree_v2, reinterpret_cast<CUdeviceptr>(&local)), CUDA_ERROR_INVALID_VALUE);
}
CASE(memory, free_on_another_thread) {
  const Context context;
  DeviceMemory memory(64);
  const CUdeviceptr address = memory.release();
  on_other_thread([&] {
    expect_ok(CU(cuCtxSetCurrent, context.get()));
    expect_ok(CU(cuMemFree_v2, address));
  });
}
CASE(memory, info_follows_allocations) {
  const Context context;
  constexpr size_t kSize = size_t{256} << 20;
  const DeviceMemory warm_up(1 << 20);
  // Others may use the device at the same time, so that one of a few tries must show it.
  for (int attempt = 0; attempt < 5; ++attempt) {
    const size_t before = free_memory();
    const DeviceMemory memory(kSize);
    const size_t after = free_memory();
    if (before >= after + kSize / 2 && before < after + 2 * kSize) return;
    observe("free " + std::to_string(before) + " then " + std::to_string(after));
  }
  fail("free memory did not fall by what was allocated");
}
CASE(memory, info_returns_after_free) {
  const Context context;
  constexpr size_t kSize = size_t{256} << 20;
  for (int attempt = 0; attempt < 5; ++attempt) {
    const size_t before = free_memory();
    { const DeviceMemory memory(kSize); }
    const size_t after = free_memory();
    if (after + kSize / 2 >= before) return;
  }
  fail("free memory did not come back");
}
CASE(memory, info_places) {
  const Context context;
  size_t free = 0, total = 0;
  expect_ok(CU(cuMemGetInfo_v2, nullptr, &total));
  expect_ok(CU(cuMemGetInfo_v2, &free, nullptr));
}
CASE(memory, info_total_is_the_devices) {
  const Context context;
  size_t free = 0, total = 0, device = 0;
  expect_ok(CU(cuMemGetInfo_v2, &free, &total));
  expect_ok(CU(cuDeviceTotalMem_v2, &device, 0));
  observe("total " + std::to_string(total) + ", device " + std::to_string(device));
  require(total <= device, "a context sees no more than the device has");
}
CASE(memory, range_from_the_start) {
  const Context context;
  const DeviceMemory memory(1000);
  CUdeviceptr base = 0;
  size_t size = 0;
  expect_ok(CU(cuMemGetAddressRange_v2, &base, &size, memory.at()));
  expect_equal(base, memory.at(), "the base");
  observe("size " + std::to_string(size));
  require(size >= 1000 && size < (size_t{2} << 20), "the size is the one asked for, or rounded up");
}
CASE(memory, range_from_inside) {
  const Context context;
  const DeviceMemory memory(1 << 20);
  for (const size_t offset : {size_t{1}, size_t{4096}, size_t{(1 << 20) - 1}}) {
    CUdeviceptr base = 0;
    size_t size = 0;
    expect_ok(CU(cuMemGetAddressRange_v2, &base, &size, memory.at(offset)));
    expect_equal(base, memory.at(), "the base");
    expect_equal(size, size_t{1 << 20}, "the size");
  }
}
CASE(memory, range_places_are_optional) {
  const Context context;
  const DeviceMemory memory(1000);
  CUdeviceptr base = 0;
  size_t size = 0;
  expect_ok(CU(cuMemGetAddressRange_v2, &base, nullptr, memory.at(10)));
  expect_ok(CU(cuMemGetAddressRange_v2, nullptr, &size, memory.at(10)));
}
CASE(memory, range_of_nothing) {
  const Context context;
  CUdeviceptr base = 0;
  size_t size = 0;
  expect(CU(cuMemGetAddressRange_v2, &base, &size, 0x1234), CUDA_ERROR_NOT_FOUND);
}
CASE(memory, range_after_free) {
  const Context context;
  DeviceMemory memory(64 << 20);
  const CUdeviceptr address = memory.release();
  expect_ok(CU(cuMemFree_v2, address));
  CUdeviceptr base = 0;
  size_t size = 0;
  expect(CU(cuMemGetAddressRange_v2, &base, &size, address), CUDA_ERROR_NOT_FOUND);
}
CASE(memory, pitched) {
  const Context context;
  CUdeviceptr address = 0;
  size_t pitch = 0;
  expect_ok(CU(cuMemAllocPitch_v2, &address, &pitch, 100, 7, 4));
  observe("pitch " + std::to_string(pitch));
  require(pitch >= 100 && pitch % 16 == 0, "the pitch holds a row and is aligned");
  CUdeviceptr base = 0;
  size_t size = 0;
  expect_ok(CU(cuMemGetAddressRange_v2, &base, &size, address));
  require(size >= pitch * 6 + 100, "all rows lie in the allocation");
  expect_ok(CU(cuMemFree_v2, address));
}
CASE(memory, pitched_errors) {
  const Context context;
  CUdeviceptr address = 0;
  size_t pitch = 0;
  expect(CU(cuMemAllocPitch_v2, &address, &pitch, 100, 4, 3), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuMemAllocPitch_v2, nullptr, &pitch, 100, 4, 4), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuMemAllocPitch_v2, &address, nullptr, 100, 4, 4), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuMemAllocPitch_v2, &address, &pitch, 0, 4, 4), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuMemAllocPitch_v2, &address, &pitch, 100, 0, 4), CUDA_ERROR_INVALID_VALUE);
}
CASE(memory, many_allocations) {
  const Context context;
  std::vector<std::unique_ptr<DeviceMemory>> all;
  for (uint32_t i = 0; i < 300; ++i) {
    all.push_back(std::make_unique<DeviceMemory>(64 + i * 100));
    all.back()->write_word(i);
  }
  for (uint32_t i = 0; i < 300; ++i) expect_equal(all[i]->word(), i, "the word of allocation " + std::to_string(i));
}

}  // namespace
}  // namespace conformance
