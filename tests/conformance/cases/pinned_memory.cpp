// SPDX-License-Identifier: Apache-2.0
// Host memory that the device may use: allocated by the driver, or registered.
#include <sys/mman.h>

#include <cstring>

#include "tests/conformance/fixtures/objects.hpp"
#include "tests/conformance/harness/registry.hpp"

namespace conformance {
namespace {

CASE(pinned, alloc_and_free) {
  const Context context;
  void* memory = nullptr;
  expect_ok(CU(cuMemHostAlloc, &memory, 10000, 0));
  require(memory != nullptr, "the memory has an address");
  std::memset(memory, 1, 10000);
  expect_ok(CU(cuMemFreeHost, memory));
}
CASE(pinned, alloc_host) {
  const Context context;
  void* memory = nullptr;
  expect_ok(CU(cuMemAllocHost_v2, &memory, 10000));
  std::memset(memory, 1, 10000);
  unsigned flags = 0;
  expect_ok(CU(cuMemHostGetFlags, &flags, memory));
  observe("flags " + std::to_string(flags));
  expect_ok(CU(cuMemFreeHost, memory));
}
CASE(pinned, alloc_errors) {
  const Context context;
  void* memory = nullptr;
  expect(CU(cuMemHostAlloc, nullptr, 64, 0), CUDA_ERROR_INVALID_VALUE);
  expect_ok(CU(cuMemHostAlloc, &memory, 0, 0));
  observe(memory == nullptr ? "null for no bytes" : "an address for no bytes");
  if (memory != nullptr) expect_ok(CU(cuMemFreeHost, memory));
  expect(CU(cuMemHostAlloc, &memory, 64, 0x100), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuMemHostAlloc, &memory, size_t{1} << 50, 0), CUDA_ERROR_OUT_OF_MEMORY);
}
CASE(pinned, flags) {
  const Context context;
  const PinnedMemory pinned(64, CU_MEMHOSTALLOC_PORTABLE | CU_MEMHOSTALLOC_DEVICEMAP);
  unsigned flags = 0;
  expect_ok(CU(cuMemHostGetFlags, &flags, pinned.get()));
  expect_equal(flags & 3, 3U, "portable and mapped");
  const PinnedMemory combined(64, CU_MEMHOSTALLOC_WRITECOMBINED);
  expect_ok(CU(cuMemHostGetFlags, &flags, combined.get()));
  expect_equal(flags & CU_MEMHOSTALLOC_WRITECOMBINED, 0U + CU_MEMHOSTALLOC_WRITECOMBINED, "write-combined");
}
CASE(pinned, flags_of_what_is_none) {
  const Context context;
  unsigned flags = 0;
  int local = 0;
  expect(CU(cuMemHostGetFlags, &flags, &local), CUDA_ERROR_INVALID_VALUE);
  const PinnedMemory pinned(64);
  expect(CU(cuMemHostGetFlags, nullptr, pinned.get()), CUDA_ERROR_INVALID_VALUE);
}
CASE(pinned, device_address_is_the_host_address) {
  const Context context;
  const PinnedMemory pinned(8192);
  expect_equal(pinned.device(), reinterpret_cast<CUdeviceptr>(pinned.get()), "the device address");
  CUdeviceptr inside = 0;
  expect_ok(CU(cuMemHostGetDevicePointer_v2, &inside, pinned.bytes() + 100, 0));
  expect_equal(inside, pinned.device() + 100, "the device address from inside");
}
CASE(pinned, device_address_errors) {
  const Context context;
  const PinnedMemory pinned(64);
  CUdeviceptr address = 0;
  int local = 0;
  expect(CU(cuMemHostGetDevicePointer_v2, &address, pinned.get(), 1), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuMemHostGetDevicePointer_v2, nullptr, pinned.get(), 0), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuMemHostGetDevicePointer_v2, &address, &local, 0), CUDA_ERROR_INVALID_VALUE);
}
CASE(pinned, free_twice) {
  const Context context;
  void* memory = nullptr;
  expect_ok(CU(cuMemHostAlloc, &memory, 4 << 20, 0));
  expect_ok(CU(cuMemFreeHost, memory));
  expect(CU(cuMemFreeHost, memory), CUDA_ERROR_INVALID_VALUE);
}
CASE(pinned, free_what_is_none) {
  const Context context;
  int local = 0;
  expect(CU(cuMemFreeHost, &local), CUDA_ERROR_INVALID_VALUE);
  expect_ok(CU(cuMemFreeHost, nullptr));
}
CASE(pinned, kernel_writes_are_seen) {
  const Context context;
  const Module module;
  const PinnedMemory pinned(4096);
  launch(module.function("fill"), {4}, {256}, nullptr, pinned.device(), uint32_t{0x1234}, uint32_t{1000});
  expect_ok(CU(cuCtxSynchronize));
  for (size_t i = 0; i < 1000; ++i) expect_equal(pinned.word(i), 0x1234U, "word " + std::to_string(i));
  expect_equal(pinned.word(1000), 0U, "the word behind");
}
CASE(pinned, kernel_reads_host_writes) {
  const Context context;
  const Module module;
  const PinnedMemory pinned(64);
  const DeviceMemory memory(4);
  for (uint32_t i = 0; i < 50; ++i) {
    pinned.set_word(i * 3);
    launch(module.function("copy_word"), {}, {}, nullptr, memory.at(), pinned.device());
    expect_equal(memory.word(), i * 3, "the word");
  }
}
CASE(pinned, host_and_running_kernel_meet) {
  const Context context;
  const Module module;
  const Stream stream;
  Spinner spinner(module);
  spinner.start(stream);
  expect(CU(cuStreamQuery, stream), CUDA_ERROR_NOT_READY);
  spinner.release();
  stream.synchronize();
  spinner.require_not_expired();
}
CASE(pinned, large) {
  const Context context;
  constexpr size_t kSize = 100 << 20;
  const PinnedMemory pinned(kSize);
  const DeviceMemory memory(kSize);
  pinned.set_word(17, kSize / 4 - 1);
  expect_ok(CU(cuMemcpyHtoDAsync_v2, memory.at(), pinned.get(), kSize, nullptr));
  expect_equal(memory.word(kSize / 4 - 1), 17U, "the last word");
}

/// Pages of the program's own.
class Pages {
 public:
  explicit Pages(size_t size)
      : size_(size), memory_(mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) {
    require(memory_ != MAP_FAILED, "there is memory for the case");
  }
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;
  ~Pages() { munmap(memory_, size_); }
  uint8_t* bytes() const { return static_cast<uint8_t*>(memory_); }

 private:
  size_t size_;
  void* memory_;
};

CASE(registered, register_and_unregister) {
  const Context context;
  const Pages pages(64 << 10);
  expect_ok(CU(cuMemHostRegister_v2, pages.bytes(), 64 << 10, 0));
  expect_ok(CU(cuMemHostUnregister, pages.bytes()));
}
CASE(registered, twice) {
  const Context context;
  const Pages pages(64 << 10);
  expect_ok(CU(cuMemHostRegister_v2, pages.bytes(), 64 << 10, 0));
  expect(CU(cuMemHostRegister_v2, pages.bytes(), 64 << 10, 0), CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED);
  expect(CU(cuMemHostRegister_v2, pages.bytes() + 4096, 4096, 0), CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED);
  expect_ok(CU(cuMemHostUnregister, pages.bytes()));
  expect_ok(CU(cuMemHostRegister_v2, pages.bytes(), 64 << 10, 0));
  expect_ok(CU(cuMemHostUnregister, pages.bytes()));
}
CASE(registered, unregister_what_is_not) {
  const Context context;
  const Pages pages(4096);
  expect(CU(cuMemHostUnregister, pages.bytes()), CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED);
  expect_ok(CU(cuMemHostRegister_v2, pages.bytes(), 4096, 0));
  expect_ok(CU(cuMemHostUnregister, pages.bytes()));
  expect(CU(cuMemHostUnregister, pages.bytes()), CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED);
}
CASE(registered, unregister_from_inside) {
  const Context context;
  const Pages pages(64 << 10);
  expect_ok(CU(cuMemHostRegister_v2, pages.bytes(), 64 << 10, 0));
  expect(CU(cuMemHostUnregister, pages.bytes() + 4096), CUDA_ERROR_INVALID_VALUE);
  expect_ok(CU(cuMemHostUnregister, pages.bytes()));
}
CASE(registered, errors) {
  const Context context;
  const Pages pages(4096);
  expect(CU(cuMemHostRegister_v2, nullptr, 4096, 0), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuMemHostRegister_v2, pages.bytes(), 0, 0), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuMemHostRegister_v2, pages.bytes(), 4096, 0x100), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuMemHostUnregister, nullptr), CUDA_ERROR_INVALID_VALUE);
}
CASE(registered, unaligned) {
  const Context context;
  const Pages pages(64 << 10);
  expect_ok(CU(cuMemHostRegister_v2, pages.bytes() + 100, 5000, 0));
  expect_ok(CU(cuMemHostUnregister, pages.bytes() + 100));
}
CASE(registered, copies) {
  const Context context;
  const Pages pages(64 << 10);
  const auto bytes = pattern(64 << 10);
  std::memcpy(pages.bytes(), bytes.data(), bytes.size());
  expect_ok(CU(cuMemHostRegister_v2, pages.bytes(), 64 << 10, CU_MEMHOSTREGISTER_PORTABLE));
  const DeviceMemory memory(64 << 10);
  const Stream stream;
  expect_ok(CU(cuMemcpyHtoDAsync_v2, memory.at(), pages.bytes(), 64 << 10, stream));
  stream.synchronize();
  expect_same(memory.read(), bytes);
  std::memset(pages.bytes(), 0, 64 << 10);
  expect_ok(CU(cuMemcpyDtoHAsync_v2, pages.bytes(), memory.at(), 64 << 10, stream));
  stream.synchronize();
  expect_same({pages.bytes(), pages.bytes() + (64 << 10)}, bytes);
  expect_ok(CU(cuMemHostUnregister, pages.bytes()));
}
CASE(registered, flags) {
  const Context context;
  const Pages pages(4096);
  expect_ok(CU(cuMemHostRegister_v2, pages.bytes(), 4096, CU_MEMHOSTREGISTER_PORTABLE));
  unsigned flags = 0;
  expect_ok(CU(cuMemHostGetFlags, &flags, pages.bytes()));
  observe("flags " + std::to_string(flags));
  expect_ok(CU(cuMemHostUnregister, pages.bytes()));
}
CASE(registered, mapped_for_kernels) {
  const Context context;
  if (device_attribute(CU_DEVICE_ATTRIBUTE_CAN_USE_HOST_POINTER_FOR_REGISTERED_MEM) == 0)
    skip("registered memory is not mapped here");
  const Module module;
  const Pages pages(64 << 10);
  expect_ok(CU(cuMemHostRegister_v2, pages.bytes(), 64 << 10, CU_MEMHOSTREGISTER_DEVICEMAP));
  CUdeviceptr address = 0;
  expect_ok(CU(cuMemHostGetDevicePointer_v2, &address, pages.bytes(), 0));
  expect_equal(address, reinterpret_cast<CUdeviceptr>(pages.bytes()), "the device address");
  launch(module.function("store"), {}, {}, nullptr, address, uint32_t{99});
  expect_ok(CU(cuCtxSynchronize));
  expect_equal(*reinterpret_cast<volatile uint32_t*>(pages.bytes()), 99U, "what the kernel wrote");
  expect_ok(CU(cuMemHostUnregister, pages.bytes()));
}
CASE(registered, copy_across_two_registrations) {
  const Context context;
  const Pages pages(64 << 10);
  expect_ok(CU(cuMemHostRegister_v2, pages.bytes(), 32 << 10, 0));
  expect_ok(CU(cuMemHostRegister_v2, pages.bytes() + (32 << 10), 32 << 10, 0));
  const DeviceMemory memory(64 << 10);
  expect(CU(cuMemcpyHtoD_v2, memory.at(), pages.bytes(), 64 << 10), CUDA_ERROR_INVALID_VALUE);
  expect_ok(CU(cuMemHostUnregister, pages.bytes()));
  expect_ok(CU(cuMemHostUnregister, pages.bytes() + (32 << 10)));
}

}  // namespace
}  // namespace conformance
