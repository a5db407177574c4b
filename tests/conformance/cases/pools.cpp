// SPDX-License-Identifier: Apache-2.0
// Stream-ordered allocation and memory pools.
#include <unistd.h>

#include <cstring>

#include "tests/conformance/fixtures/objects.hpp"
#include "tests/conformance/harness/registry.hpp"

namespace conformance {
namespace {

void need_pools() {
  if (device_attribute(CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED) == 0) skip("the device has no memory pools");
}

/// A pool made by the case.
class Pool {
 public:
  Pool() {
    CUmemPoolProps properties = {};
    properties.allocType = CU_MEM_ALLOCATION_TYPE_PINNED;
    properties.location = {CU_MEM_LOCATION_TYPE_DEVICE, 0};
    expect_ok(CU(cuMemPoolCreate, &pool_, &properties));
  }
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;
  ~Pool() { driver().cuMemPoolDestroy(pool_); }
  CUmemoryPool get() const { return pool_; }
  uint64_t value(CUmemPool_attribute attribute) const {
    uint64_t result = 0;
    expect_ok(CU(cuMemPoolGetAttribute, pool_, attribute, &result));
    return result;
  }

 private:
  CUmemoryPool pool_ = nullptr;
};

CASE(stream_memory, alloc_use_and_free) {
  need_pools();
  const Context context;
  const Module module;
  const Stream stream;
  CUdeviceptr address = 0;
  expect_ok(CU(cuMemAllocAsync, &address, 4000, stream));
  require(address != 0 && address % 256 == 0, "the address is aligned");
  launch(module.function("fill"), {4}, {256}, stream, address, uint32_t{5}, uint32_t{1000});
  std::vector<uint32_t> words(1000);
  expect_ok(CU(cuMemcpyDtoHAsync_v2, words.data(), address, 4000, stream));
  expect_ok(CU(cuMemFreeAsync, address, stream));
  stream.synchronize();
  for (const uint32_t word : words) expect_equal(word, 5U, "a word");
}
CASE(stream_memory, in_the_legacy_stream) {
  need_pools();
  const Context context;
  CUdeviceptr address = 0;
  expect_ok(CU(cuMemAllocAsync, &address, 4000, nullptr));
  expect_ok(CU(cuMemsetD8Async, address, 1, 4000, nullptr));
  expect_ok(CU(cuMemFreeAsync, address, nullptr));
  expect_ok(CU(cuStreamSynchronize, nullptr));
}
CASE(stream_memory, freed_the_ordinary_way) {
  need_pools();
  const Context context;
  const Stream stream;
  CUdeviceptr address = 0;
  expect_ok(CU(cuMemAllocAsync, &address, 4000, stream));
  stream.synchronize();
  expect_ok(CU(cuMemFree_v2, address));
}
CASE(stream_memory, ordinary_memory_freed_on_a_stream) {
  need_pools();
  const Context context;
  const Stream stream;
  DeviceMemory memory(4096);
  const CUdeviceptr address = memory.release();
  expect_ok(CU(cuMemFreeAsync, address, stream));
  stream.synchronize();
}
CASE(stream_memory, alloc_errors) {
  need_pools();
  const Context context;
  const Stream stream;
  CUdeviceptr address = 0;
  expect(CU(cuMemAllocAsync, nullptr, 64, stream), CUDA_ERROR_INVALID_VALUE);
  expect_ok(CU(cuMemAllocAsync, &address, 0, stream));
  expect(CU(cuMemAllocAsync, &address, size_t{1} << 50, stream), CUDA_ERROR_OUT_OF_MEMORY);
  expect(CU(cuMemFreeAsync, 0x1234, stream), CUDA_ERROR_INVALID_VALUE);
}
CASE(stream_memory, freed_twice) {
  need_pools();
  const Context context;
  const Stream stream;
  CUdeviceptr address = 0;
  expect_ok(CU(cuMemAllocAsync, &address, 4000, stream));
  expect_ok(CU(cuMemFreeAsync, address, stream));
  expect(CU(cuMemFreeAsync, address, stream), CUDA_ERROR_INVALID_VALUE);
  stream.synchronize();
}
CASE(stream_memory, pointer_attributes) {
  need_pools();
  const Context context;
  const Stream stream;
  CUmemoryPool pool = nullptr, owner = nullptr;
  expect_ok(CU(cuDeviceGetDefaultMemPool, &pool, 0));
  CUdeviceptr address = 0;
  expect_ok(CU(cuMemAllocAsync, &address, 4000, stream));
  expect_ok(CU(cuPointerGetAttribute, &owner, CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE, address));
  require(owner == pool, "the memory comes from the default pool");
  unsigned type = 0;
  expect_ok(CU(cuPointerGetAttribute, &type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, address));
  expect_equal(type, 0U + CU_MEMORYTYPE_DEVICE, "the memory type");
  expect_ok(CU(cuMemFreeAsync, address, stream));
  stream.synchronize();
}
CASE(stream_memory, behind_a_running_kernel) {
  need_pools();
  const Context context;
  const Module module;
  const Stream stream;
  Spinner spinner(module);
  spinner.start(stream);
  CUdeviceptr address = 0;
  expect_ok(CU(cuMemAllocAsync, &address, 4000, stream));
  expect_ok(CU(cuMemsetD8Async, address, 1, 4000, stream));
  expect_ok(CU(cuMemFreeAsync, address, stream));
  expect(CU(cuStreamQuery, stream), CUDA_ERROR_NOT_READY);
  spinner.release();
  stream.synchronize();
  spinner.require_not_expired();
}

CASE(pool, default_and_current) {
  need_pools();
  const Context context;
  CUmemoryPool standard = nullptr, current = nullptr;
  expect_ok(CU(cuDeviceGetDefaultMemPool, &standard, 0));
  expect_ok(CU(cuDeviceGetMemPool, &current, 0));
  require(standard != nullptr && standard == current, "the default pool is the current one");
  expect(CU(cuDeviceGetDefaultMemPool, nullptr, 0), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuDeviceGetDefaultMemPool, &standard, 1000), CUDA_ERROR_INVALID_DEVICE);
}
CASE(pool, create_and_destroy) {
  need_pools();
  const Context context;
  const Pool pool;
  require(pool.get() != nullptr, "the pool has a handle");
}
CASE(pool, create_errors) {
  need_pools();
  const Context context;
  CUmemoryPool pool = nullptr;
  CUmemPoolProps properties = {};
  expect(CU(cuMemPoolCreate, &pool, nullptr), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuMemPoolCreate, &pool, &properties), CUDA_ERROR_INVALID_VALUE);
  properties.allocType = CU_MEM_ALLOCATION_TYPE_PINNED;
  properties.location = {CU_MEM_LOCATION_TYPE_DEVICE, 1000};
  expect(CU(cuMemPoolCreate, &pool, &properties), CUDA_ERROR_INVALID_VALUE);
  properties.location = {CU_MEM_LOCATION_TYPE_DEVICE, 0};
  expect(CU(cuMemPoolCreate, nullptr, &properties), CUDA_ERROR_INVALID_VALUE);
}
CASE(pool, alloc_from_it) {
  need_pools();
  const Context context;
  const Pool pool;
  const Stream stream;
  CUdeviceptr address = 0;
  expect_ok(CU(cuMemAllocFromPoolAsync, &address, 10000, pool.get(), stream));
  CUmemoryPool owner = nullptr;
  expect_ok(CU(cuPointerGetAttribute, &owner, CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE, address));
  require(owner == pool.get(), "the memory comes from the pool");
  expect_ok(CU(cuMemFreeAsync, address, stream));
  stream.synchronize();
}
CASE(pool, attributes) {
  need_pools();
  const Context context;
  const Pool pool;
  int flag = 99;
  expect_ok(CU(cuMemPoolGetAttribute, pool.get(), CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES, &flag));
  expect_equal(flag, 1, "reuse along events, the default");
  expect_equal(pool.value(CU_MEMPOOL_ATTR_RELEASE_THRESHOLD), uint64_t{0}, "the release threshold, the default");
  uint64_t threshold = 64 << 20;
  expect_ok(CU(cuMemPoolSetAttribute, pool.get(), CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, &threshold));
  expect_equal(pool.value(CU_MEMPOOL_ATTR_RELEASE_THRESHOLD), threshold, "the release threshold that was set");
  flag = 0;
  expect_ok(CU(cuMemPoolSetAttribute, pool.get(), CU_MEMPOOL_ATTR_REUSE_ALLOW_OPPORTUNISTIC, &flag));
  flag = 99;
  expect_ok(CU(cuMemPoolGetAttribute, pool.get(), CU_MEMPOOL_ATTR_REUSE_ALLOW_OPPORTUNISTIC, &flag));
  expect_equal(flag, 0, "opportunistic reuse");
}
CASE(pool, attribute_errors) {
  need_pools();
  const Context context;
  const Pool pool;
  uint64_t value = 0;
  expect(CU(cuMemPoolGetAttribute, pool.get(), 99, &value), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuMemPoolGetAttribute, pool.get(), CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, nullptr), CUDA_ERROR_INVALID_VALUE);
  value = 77;
  expect(CU(cuMemPoolSetAttribute, pool.get(), CU_MEMPOOL_ATTR_USED_MEM_CURRENT, &value), CUDA_ERROR_INVALID_VALUE);
}
CASE(pool, use_is_counted) {
  need_pools();
  const Context context;
  const Pool pool;
  const Stream stream;
  expect_equal(pool.value(CU_MEMPOOL_ATTR_USED_MEM_CURRENT), uint64_t{0}, "used at first");
  CUdeviceptr address = 0;
  expect_ok(CU(cuMemAllocFromPoolAsync, &address, 1 << 20, pool.get(), stream));
  stream.synchronize();
  require(pool.value(CU_MEMPOOL_ATTR_USED_MEM_CURRENT) >= 1 << 20, "the allocation is counted");
  require(pool.value(CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT) >= pool.value(CU_MEMPOOL_ATTR_USED_MEM_CURRENT),
          "no more is used than reserved");
  expect_ok(CU(cuMemFreeAsync, address, stream));
  stream.synchronize();
  expect_equal(pool.value(CU_MEMPOOL_ATTR_USED_MEM_CURRENT), uint64_t{0}, "used after the free");
  require(pool.value(CU_MEMPOOL_ATTR_USED_MEM_HIGH) >= 1 << 20, "the high mark stays");
}
CASE(pool, keeps_memory_below_the_threshold) {
  need_pools();
  const Context context;
  const Pool pool;
  const Stream stream;
  uint64_t threshold = uint64_t{1} << 30;
  expect_ok(CU(cuMemPoolSetAttribute, pool.get(), CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, &threshold));
  CUdeviceptr address = 0;
  expect_ok(CU(cuMemAllocFromPoolAsync, &address, 8 << 20, pool.get(), stream));
  expect_ok(CU(cuMemFreeAsync, address, stream));
  stream.synchronize();
  require(pool.value(CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT) >= 8 << 20, "the pool keeps what was freed");
  expect_ok(CU(cuMemPoolTrimTo, pool.get(), 0));
  expect_equal(pool.value(CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT), uint64_t{0}, "reserved after trimming");
}
OWN_PROCESS_CASE(pool, may_become_the_current_one) {
  need_pools();
  const Context context;
  const Pool pool;
  expect_ok(CU(cuDeviceSetMemPool, 0, pool.get()));
  CUmemoryPool current = nullptr;
  expect_ok(CU(cuDeviceGetMemPool, &current, 0));
  require(current == pool.get(), "the pool is the current one");
  const Stream stream;
  CUdeviceptr address = 0;
  expect_ok(CU(cuMemAllocAsync, &address, 4000, stream));
  expect_ok(CU(cuPointerGetAttribute, &current, CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE, address));
  require(current == pool.get(), "allocations come from it");
  expect_ok(CU(cuMemFreeAsync, address, stream));
  stream.synchronize();
}
CASE(pool, destroy_the_default_one) {
  need_pools();
  const Context context;
  CUmemoryPool pool = nullptr;
  expect_ok(CU(cuDeviceGetDefaultMemPool, &pool, 0));
  expect(CU(cuMemPoolDestroy, pool), CUDA_ERROR_INVALID_VALUE);
}

// Who may use a pool.

CASE(pool, access_of_its_own_device) {
  need_pools();
  const Context context;
  const Pool pool;
  CUmemLocation place = {CU_MEM_LOCATION_TYPE_DEVICE, 0};
  CUmemAccess_flags flags = 0;
  expect_ok(CU(cuMemPoolGetAccess, &flags, pool.get(), &place));
  expect_equal(flags, unsigned{CU_MEM_ACCESS_FLAGS_PROT_READWRITE}, "the access");
  const CUmemAccessDesc access = {place, CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
  expect_ok(CU(cuMemPoolSetAccess, pool.get(), &access, 1));
}
CASE(pool, access_errors) {
  need_pools();
  const Context context;
  const Pool pool;
  CUmemLocation place = {CU_MEM_LOCATION_TYPE_DEVICE, 0};
  CUmemAccess_flags flags = 0;
  expect(CU(cuMemPoolGetAccess, nullptr, pool.get(), &place), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuMemPoolGetAccess, &flags, pool.get(), nullptr), CUDA_ERROR_INVALID_VALUE);
  const CUmemAccessDesc nowhere = {{CU_MEM_LOCATION_TYPE_INVALID, 0}, CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
  expect_one_of(CU(cuMemPoolSetAccess, pool.get(), &nowhere, 1), {CUDA_ERROR_INVALID_VALUE, CUDA_ERROR_NOT_SUPPORTED});
}
OWN_PROCESS_CASE(pool, by_place) {
  need_pools();
  if (driver().cuMemGetMemPool == nullptr) skip("the driver has no pools by place");
  const Context context;
  CUmemLocation place = {CU_MEM_LOCATION_TYPE_DEVICE, 0};
  CUmemoryPool own = nullptr, found = nullptr;
  expect_ok(CU(cuDeviceGetDefaultMemPool, &own, 0));
  expect_ok(CU(cuMemGetDefaultMemPool, &found, &place, CU_MEM_ALLOCATION_TYPE_PINNED));
  require(found == own, "the default pool of the place is the device's");
  {
    const Pool pool;
    expect_ok(CU(cuMemSetMemPool, &place, CU_MEM_ALLOCATION_TYPE_PINNED, pool.get()));
    expect_ok(CU(cuMemGetMemPool, &found, &place, CU_MEM_ALLOCATION_TYPE_PINNED));
    require(found == pool.get(), "the pool of the place is the one that was set");
    expect_ok(CU(cuDeviceGetMemPool, &found, 0));
    require(found == pool.get(), "and it is the device's");
  }
  expect(CU(cuMemGetMemPool, &found, nullptr, CU_MEM_ALLOCATION_TYPE_PINNED), CUDA_ERROR_INVALID_VALUE);
}

// What is given to other processes.

bool pools_are_shareable() {
  return (device_attribute(CU_DEVICE_ATTRIBUTE_MEMPOOL_SUPPORTED_HANDLE_TYPES) &
          CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR) != 0;
}
CUmemoryPool make_shareable() {
  if (!pools_are_shareable()) skip("pools are not shared by descriptors");
  CUmemPoolProps properties = {};
  properties.allocType = CU_MEM_ALLOCATION_TYPE_PINNED;
  properties.handleTypes = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR;
  properties.location = {CU_MEM_LOCATION_TYPE_DEVICE, 0};
  CUmemoryPool pool = nullptr;
  expect_ok(CU(cuMemPoolCreate, &pool, &properties));
  return pool;
}

CASE(pool, exported) {
  need_pools();
  const Context context;
  const Stream stream;
  const CUmemoryPool pool = make_shareable();
  int descriptor = -1;
  expect_ok(CU(cuMemPoolExportToShareableHandle, &descriptor, pool, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0));
  require(descriptor >= 0, "a descriptor is told");
  ::close(descriptor);
  CUdeviceptr address = 0;
  expect_ok(CU(cuMemAllocFromPoolAsync, &address, 4096, pool, stream));
  CUmemPoolPtrExportData data = {}, none = {};
  expect_ok(CU(cuMemPoolExportPointer, &data, address));
  require(std::memcmp(&data, &none, sizeof data) != 0, "the data of the pointer say something");
  expect_ok(CU(cuMemFreeAsync, address, stream));
  stream.synchronize();
  expect_ok(CU(cuMemPoolDestroy, pool));
}
CASE(pool, export_of_one_that_is_not_shared) {
  need_pools();
  const Context context;
  const Pool pool;
  int descriptor = -1;
  expect_one_of(
      CU(cuMemPoolExportToShareableHandle, &descriptor, pool.get(), CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0),
      {CUDA_ERROR_INVALID_VALUE, CUDA_ERROR_NOT_SUPPORTED});
  expect(CU(cuMemPoolExportToShareableHandle, nullptr, pool.get(), CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0),
         CUDA_ERROR_INVALID_VALUE);
}
CASE(pool, export_of_other_memory) {
  need_pools();
  const Context context;
  const DeviceMemory memory(4096);
  CUmemPoolPtrExportData data = {};
  expect(CU(cuMemPoolExportPointer, &data, memory.at()), CUDA_ERROR_INVALID_VALUE);
}

}  // namespace
}  // namespace conformance
