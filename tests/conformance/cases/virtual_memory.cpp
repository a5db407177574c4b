// SPDX-License-Identifier: Apache-2.0
// Memory that the program maps itself: reserved addresses, physical memory, mappings and access.
#include "tests/conformance/fixtures/objects.hpp"
#include "tests/conformance/harness/registry.hpp"

namespace conformance {
namespace {

void need_virtual_memory() {
  if (device_attribute(CU_DEVICE_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED) == 0)
    skip("the device has no virtual memory management");
}

CUmemAllocationProp on_device(int device = 0) {
  CUmemAllocationProp properties = {};
  properties.type = CU_MEM_ALLOCATION_TYPE_PINNED;
  properties.location = {CU_MEM_LOCATION_TYPE_DEVICE, device};
  return properties;
}

size_t granularity() {
  const CUmemAllocationProp properties = on_device();
  size_t size = 0;
  expect_ok(CU(cuMemGetAllocationGranularity, &size, &properties, CU_MEM_ALLOC_GRANULARITY_MINIMUM));
  return size;
}

CUmemAccessDesc access(unsigned flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE) {
  return {{CU_MEM_LOCATION_TYPE_DEVICE, 0}, flags};
}

class Addresses {
 public:
  explicit Addresses(size_t size) : size_(size) { expect_ok(CU(cuMemAddressReserve, &base_, size, 0, 0, 0)); }
  Addresses(const Addresses&) = delete;
  Addresses& operator=(const Addresses&) = delete;
  ~Addresses() { driver().cuMemAddressFree(base_, size_); }
  CUdeviceptr at(size_t offset = 0) const { return base_ + offset; }

 private:
  CUdeviceptr base_ = 0;
  size_t size_;
};

class Physical {
 public:
  explicit Physical(size_t size) {
    const CUmemAllocationProp properties = on_device();
    expect_ok(CU(cuMemCreate, &handle_, size, &properties, 0));
  }
  Physical(const Physical&) = delete;
  Physical& operator=(const Physical&) = delete;
  ~Physical() { driver().cuMemRelease(handle_); }
  CUmemGenericAllocationHandle get() const { return handle_; }

 private:
  CUmemGenericAllocationHandle handle_ = 0;
};

class Mapping {
 public:
  Mapping(CUdeviceptr address, size_t size, const Physical& physical, bool open = true)
      : address_(address), size_(size) {
    expect_ok(CU(cuMemMap, address, size, 0, physical.get(), 0));
    const CUmemAccessDesc everything = access();
    if (open) expect_ok(CU(cuMemSetAccess, address, size, &everything, 1));
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping() {
    driver().cuCtxSynchronize();  // taking memory away does not wait for what works on it
    driver().cuMemUnmap(address_, size_);
  }

 private:
  CUdeviceptr address_;
  size_t size_;
};

CASE(virtual_memory, granularity) {
  need_virtual_memory();
  const Context context;
  expect_equal(granularity(), size_t{2} << 20, "the least granularity");
  CUmemAllocationProp properties = on_device();
  size_t size = 0;
  expect_ok(CU(cuMemGetAllocationGranularity, &size, &properties, CU_MEM_ALLOC_GRANULARITY_RECOMMENDED));
  expect_equal(size, size_t{2} << 20, "the recommended granularity");
  expect(CU(cuMemGetAllocationGranularity, nullptr, &properties, CU_MEM_ALLOC_GRANULARITY_MINIMUM),
         CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuMemGetAllocationGranularity, &size, nullptr, CU_MEM_ALLOC_GRANULARITY_MINIMUM), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuMemGetAllocationGranularity, &size, &properties, 7), CUDA_ERROR_INVALID_VALUE);
}
CASE(virtual_memory, without_a_context) {
  need_virtual_memory();
  const size_t size = granularity();
  const Addresses addresses(size);
  const Physical physical(size);
  expect_ok(CU(cuMemMap, addresses.at(), size, 0, physical.get(), 0));
  expect_ok(CU(cuMemUnmap, addresses.at(), size));
}
CASE(virtual_memory, kernels_and_copies) {
  need_virtual_memory();
  const Context context;
  const Module module;
  const Stream stream;
  const size_t size = granularity();
  const Addresses addresses(4 * size);
  const Physical physical(size);
  const Mapping mapping(addresses.at(size), size, physical);
  launch(module.function("fill"), {4}, {256}, stream, addresses.at(size), uint32_t{7}, uint32_t{1000});
  std::vector<uint32_t> words(1000);
  expect_ok(CU(cuMemcpyDtoHAsync_v2, words.data(), addresses.at(size), 4000, stream));
  stream.synchronize();
  for (const uint32_t word : words) expect_equal(word, 7U, "a word");
}
CASE(virtual_memory, one_range_of_several_pieces) {
  need_virtual_memory();
  const Context context;
  const size_t size = granularity();
  const Addresses addresses(4 * size);
  const Physical first(size), second(size);
  const Mapping one(addresses.at(), size, first);
  const Mapping other(addresses.at(size), size, second);
  const auto bytes = pattern(8192);
  expect_ok(CU(cuMemcpyHtoD_v2, addresses.at(size - 4096), bytes.data(), bytes.size()));
  std::vector<uint8_t> back(bytes.size());
  expect_ok(CU(cuMemcpyDtoH_v2, back.data(), addresses.at(size - 4096), back.size()));
  expect_same(back, bytes);
  expect_ok(CU(cuMemsetD8_v2, addresses.at(size - 100), 3, 200));
  expect(CU(cuMemcpyHtoD_v2, addresses.at(2 * size - 4096), bytes.data(), bytes.size()), CUDA_ERROR_INVALID_VALUE);
}
CASE(virtual_memory, the_same_memory_twice) {
  need_virtual_memory();
  const Context context;
  const size_t size = granularity();
  const Addresses addresses(2 * size);
  const Physical physical(size);
  const Mapping one(addresses.at(), size, physical);
  const Mapping other(addresses.at(size), size, physical);
  const auto bytes = pattern(4096);
  expect_ok(CU(cuMemcpyHtoD_v2, addresses.at(64), bytes.data(), bytes.size()));
  std::vector<uint8_t> back(bytes.size());
  expect_ok(CU(cuMemcpyDtoH_v2, back.data(), addresses.at(size + 64), back.size()));
  expect_same(back, bytes);
}
CASE(virtual_memory, mapped_anew_it_keeps_its_bytes) {
  need_virtual_memory();
  const Context context;
  const size_t size = granularity();
  const Addresses addresses(2 * size);
  const Physical physical(size);
  const auto bytes = pattern(4096);
  {
    const Mapping mapping(addresses.at(), size, physical);
    expect_ok(CU(cuMemcpyHtoD_v2, addresses.at(), bytes.data(), bytes.size()));
  }
  const Mapping mapping(addresses.at(size), size, physical);
  std::vector<uint8_t> back(bytes.size());
  expect_ok(CU(cuMemcpyDtoH_v2, back.data(), addresses.at(size), back.size()));
  expect_same(back, bytes);
}
CASE(virtual_memory, released_while_mapped) {
  need_virtual_memory();
  const Context context;
  const size_t size = granularity();
  const Addresses addresses(size);
  const CUmemAllocationProp properties = on_device();
  CUmemGenericAllocationHandle handle = 0, again = 0;
  expect_ok(CU(cuMemCreate, &handle, size, &properties, 0));
  expect_ok(CU(cuMemMap, addresses.at(), size, 0, handle, 0));
  const CUmemAccessDesc everything = access();
  expect_ok(CU(cuMemSetAccess, addresses.at(), size, &everything, 1));
  expect_ok(CU(cuMemRelease, handle));
  expect_ok(CU(cuMemsetD8_v2, addresses.at(), 1, size));
  expect_ok(CU(cuMemRetainAllocationHandle, &again, reinterpret_cast<void*>(addresses.at(100))));
  expect_ok(CU(cuMemRelease, again));
  expect_ok(CU(cuCtxSynchronize));
  expect_ok(CU(cuMemUnmap, addresses.at(), size));
}
CASE(virtual_memory, retained) {
  need_virtual_memory();
  const Context context;
  const size_t size = granularity();
  const Addresses addresses(size);
  const Physical physical(size);
  CUmemGenericAllocationHandle again = 0;
  expect(CU(cuMemRetainAllocationHandle, &again, reinterpret_cast<void*>(addresses.at())), CUDA_ERROR_INVALID_VALUE);
  const Mapping mapping(addresses.at(), size, physical);
  expect_ok(CU(cuMemRetainAllocationHandle, &again, reinterpret_cast<void*>(addresses.at(4096))));
  require(again == physical.get(), "the handle is the one that was mapped");
  expect_ok(CU(cuMemRelease, again));
  expect(CU(cuMemRetainAllocationHandle, nullptr, reinterpret_cast<void*>(addresses.at())), CUDA_ERROR_INVALID_VALUE);
  const DeviceMemory ordinary(4096);
  expect(CU(cuMemRetainAllocationHandle, &again, reinterpret_cast<void*>(ordinary.at())), CUDA_ERROR_INVALID_VALUE);
}
CASE(virtual_memory, properties_of_a_handle) {
  need_virtual_memory();
  const Context context;
  const Physical physical(granularity());
  CUmemAllocationProp properties = {};
  expect_ok(CU(cuMemGetAllocationPropertiesFromHandle, &properties, physical.get()));
  expect_equal(properties.type, 0U + CU_MEM_ALLOCATION_TYPE_PINNED, "the type");
  expect_equal(properties.location.type, 0U + CU_MEM_LOCATION_TYPE_DEVICE, "the kind of place");
  expect_equal(properties.location.id, 0, "the device");
  expect_equal(properties.requestedHandleTypes, 0U, "the handle types");
}
CASE(virtual_memory, access) {
  need_virtual_memory();
  const Context context;
  const size_t size = granularity();
  const Addresses addresses(size);
  const Physical physical(size);
  const Mapping mapping(addresses.at(), size, physical, false);
  const CUmemLocation here = {CU_MEM_LOCATION_TYPE_DEVICE, 0};
  unsigned long long flags = 77;
  expect_ok(CU(cuMemGetAccess, &flags, &here, addresses.at()));
  expect_equal(flags, 0ULL, "access of a fresh mapping");
  const CUmemAccessDesc everything = access();
  expect_ok(CU(cuMemSetAccess, addresses.at(), size, &everything, 1));
  expect_ok(CU(cuMemGetAccess, &flags, &here, addresses.at(4096)));
  expect_equal(flags, 0ULL + CU_MEM_ACCESS_FLAGS_PROT_READWRITE, "access of an open mapping");
  const CUmemAccessDesc nothing = access(CU_MEM_ACCESS_FLAGS_PROT_NONE);
  expect_ok(CU(cuMemSetAccess, addresses.at(), size, &nothing, 1));
  expect_ok(CU(cuMemGetAccess, &flags, &here, addresses.at()));
  expect_equal(flags, 0ULL, "access of a closed mapping");
  expect(CU(cuMemGetAccess, nullptr, &here, addresses.at()), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuMemGetAccess, &flags, nullptr, addresses.at()), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuMemGetAccess, &flags, &here, 4096), CUDA_ERROR_INVALID_VALUE);
}
CASE(virtual_memory, access_errors) {
  need_virtual_memory();
  const Context context;
  const size_t size = granularity();
  const Addresses addresses(2 * size);
  const Physical physical(size);
  CUmemAccessDesc everything = access();
  expect(CU(cuMemSetAccess, addresses.at(), size, &everything, 1), CUDA_ERROR_INVALID_VALUE);
  const Mapping mapping(addresses.at(), size, physical, false);
  expect(CU(cuMemSetAccess, addresses.at(), 2 * size, &everything, 1), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuMemSetAccess, addresses.at(), size, nullptr, 1), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuMemSetAccess, addresses.at(), size, &everything, 0), CUDA_ERROR_INVALID_VALUE);
  everything.flags = 9;
  expect(CU(cuMemSetAccess, addresses.at(), size, &everything, 1), CUDA_ERROR_INVALID_VALUE);
  everything = access();
  everything.location.id = 1000;
  expect(CU(cuMemSetAccess, addresses.at(), size, &everything, 1), CUDA_ERROR_INVALID_VALUE);
}
CASE(virtual_memory, reserve_errors) {
  need_virtual_memory();
  const Context context;
  const size_t size = granularity();
  CUdeviceptr base = 0;
  expect(CU(cuMemAddressReserve, nullptr, size, 0, 0, 0), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuMemAddressReserve, &base, 0, 0, 0, 0), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuMemAddressReserve, &base, 4096, 0, 0, 0), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuMemAddressReserve, &base, size, 3 << 20, 0, 0), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuMemAddressReserve, &base, size, 0, 0, 1), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuMemAddressReserve, &base, size_t{1} << 60, 0, 0, 0), CUDA_ERROR_OUT_OF_MEMORY);
  expect(CU(cuMemAddressFree, 0x1000, size), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuMemAddressFree, 0, 0), CUDA_ERROR_INVALID_VALUE);
}
CASE(virtual_memory, aligned_as_asked) {
  need_virtual_memory();
  const Context context;
  const size_t size = granularity(), alignment = 64 << 20;
  CUdeviceptr base = 0;
  expect_ok(CU(cuMemAddressReserve, &base, size, alignment, 0, 0));
  expect_equal(base % alignment, CUdeviceptr{0}, "the address's remainder");
  expect_ok(CU(cuMemAddressFree, base, size));
}
CASE(virtual_memory, a_hint_that_is_free) {
  need_virtual_memory();
  const Context context;
  const size_t size = granularity();
  CUdeviceptr base = 0, again = 0;
  expect_ok(CU(cuMemAddressReserve, &base, size, 0, 0, 0));
  expect_ok(CU(cuMemAddressFree, base, size));
  expect_ok(CU(cuMemAddressReserve, &again, size, 0, base, 0));
  expect_equal(again, base, "the address");
  expect_ok(CU(cuMemAddressFree, again, size));
}
CASE(virtual_memory, free_errors) {
  need_virtual_memory();
  const Context context;
  const size_t size = granularity();
  const Addresses addresses(2 * size);
  expect(CU(cuMemAddressFree, addresses.at(), size), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuMemAddressFree, addresses.at(size), size), CUDA_ERROR_INVALID_VALUE);
}
CASE(virtual_memory, create_errors) {
  need_virtual_memory();
  const Context context;
  const size_t size = granularity();
  CUmemAllocationProp properties = on_device();
  CUmemGenericAllocationHandle handle = 0;
  expect(CU(cuMemCreate, nullptr, size, &properties, 0), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuMemCreate, &handle, size, nullptr, 0), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuMemCreate, &handle, 0, &properties, 0), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuMemCreate, &handle, 4096, &properties, 0), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuMemCreate, &handle, size, &properties, 1), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuMemCreate, &handle, size_t{1} << 50, &properties, 0), CUDA_ERROR_OUT_OF_MEMORY);
  properties.location.id = 1000;
  expect(CU(cuMemCreate, &handle, size, &properties, 0), CUDA_ERROR_INVALID_DEVICE);
  properties = on_device();
  properties.type = 77;
  expect(CU(cuMemCreate, &handle, size, &properties, 0), CUDA_ERROR_INVALID_VALUE);
}
CASE(virtual_memory, map_with_an_offset) {
  need_virtual_memory();
  const Context context;
  const size_t size = granularity();
  const Addresses addresses(4 * size);
  const Physical physical(2 * size);
  expect(CU(cuMemMap, addresses.at(), size, size, physical.get(), 0), CUDA_ERROR_NOT_SUPPORTED);
}
CASE(virtual_memory, map_with_flags) {
  need_virtual_memory();
  const Context context;
  const size_t size = granularity();
  const Addresses addresses(size);
  const Physical physical(size);
  expect(CU(cuMemMap, addresses.at(), size, 0, physical.get(), 1), CUDA_ERROR_INVALID_VALUE);
}
CASE(virtual_memory, map_between_granules) {
  need_virtual_memory();
  const Context context;
  const size_t size = granularity();
  const Addresses addresses(2 * size);
  const Physical physical(size);
  expect(CU(cuMemMap, addresses.at(4096), size, 0, physical.get(), 0), CUDA_ERROR_INVALID_VALUE);
}
CASE(virtual_memory, map_more_than_there_is) {
  need_virtual_memory();
  const Context context;
  const size_t size = granularity();
  const Addresses addresses(2 * size);
  const Physical physical(size);
  expect(CU(cuMemMap, addresses.at(), 2 * size, 0, physical.get(), 0), CUDA_ERROR_NOT_SUPPORTED);
}
CASE(virtual_memory, map_where_something_is) {
  need_virtual_memory();
  const Context context;
  const size_t size = granularity();
  const Addresses addresses(2 * size);
  const Physical physical(size);
  const Mapping mapping(addresses.at(), size, physical);
  expect(CU(cuMemMap, addresses.at(), size, 0, physical.get(), 0), CUDA_ERROR_INVALID_VALUE);
}
CASE(virtual_memory, unmap_nothing) {
  need_virtual_memory();
  const Context context;
  const size_t size = granularity();
  const Addresses addresses(2 * size);
  expect_ok(CU(cuMemUnmap, addresses.at(), size));
}
CASE(virtual_memory, unmap_with_a_gap) {
  need_virtual_memory();
  const Context context;
  const size_t size = granularity();
  const Addresses addresses(3 * size);
  const Physical physical(size);
  const Mapping first(addresses.at(), size, physical);
  const Mapping last(addresses.at(2 * size), size, physical);
  expect_ok(CU(cuMemUnmap, addresses.at(), 3 * size));
  unsigned long long flags = 0;
  const CUmemLocation here = {CU_MEM_LOCATION_TYPE_DEVICE, 0};
  expect(CU(cuMemGetAccess, &flags, &here, addresses.at()), CUDA_ERROR_INVALID_VALUE);
}
CASE(virtual_memory, unmap_a_part) {
  need_virtual_memory();
  const Context context;
  const size_t size = granularity();
  const Addresses addresses(2 * size);
  const Physical physical(2 * size);
  const Mapping mapping(addresses.at(), 2 * size, physical);
  expect(CU(cuMemUnmap, addresses.at(), size), CUDA_ERROR_INVALID_VALUE);
}
CASE(virtual_memory, freed_as_ordinary_memory) {
  need_virtual_memory();
  const Context context;
  const size_t size = granularity();
  const Addresses addresses(size);
  const Physical physical(size);
  const Mapping mapping(addresses.at(), size, physical);
  expect(CU(cuMemFree_v2, addresses.at()), CUDA_ERROR_INVALID_VALUE);
}
CASE(virtual_memory, freed_while_mapped) {
  need_virtual_memory();
  const Context context;
  const size_t size = granularity();
  const Addresses addresses(size);
  const Physical physical(size);
  const Mapping mapping(addresses.at(), size, physical);
  expect(CU(cuMemAddressFree, addresses.at(), size), CUDA_ERROR_INVALID_VALUE);
}
CASE(virtual_memory, pointer_attributes) {
  need_virtual_memory();
  const Context context;
  const size_t size = granularity();
  const Addresses addresses(4 * size);
  const Physical first(size), second(size);
  const Mapping mapping(addresses.at(), size, first);
  const Mapping other(addresses.at(size), size, second);
  unsigned type = 0;
  int device = -5;
  expect_ok(CU(cuPointerGetAttribute, &type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, addresses.at(8)));
  expect_equal(type, 0U + CU_MEMORYTYPE_DEVICE, "the memory type");
  expect_ok(CU(cuPointerGetAttribute, &device, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, addresses.at(8)));
  expect_equal(device, 0, "the device");
  CUdeviceptr start = 0;
  size_t length = 0;
  expect_ok(CU(cuPointerGetAttribute, &start, CU_POINTER_ATTRIBUTE_RANGE_START_ADDR, addresses.at(8)));
  expect_equal(start, addresses.at(), "the start of the range");
  expect_ok(CU(cuPointerGetAttribute, &length, CU_POINTER_ATTRIBUTE_RANGE_SIZE, addresses.at(8)));
  expect_equal(length, 4 * size, "the size of the range: what was reserved");
}
CASE(virtual_memory, context_of_a_mapping) {
  need_virtual_memory();
  const Context context;
  const size_t size = granularity();
  const Addresses addresses(size);
  const Physical physical(size);
  const Mapping mapping(addresses.at(), size, physical);
  CUcontext owner = context.get();
  expect_ok(CU(cuPointerGetAttribute, &owner, CU_POINTER_ATTRIBUTE_CONTEXT, addresses.at()));
  require(owner == nullptr, "mapped memory belongs to no context");
}
CASE(virtual_memory, address_range_of_a_mapping) {
  need_virtual_memory();
  const Context context;
  const size_t size = granularity();
  const Addresses addresses(2 * size);
  const Physical physical(size);
  const Mapping mapping(addresses.at(), size, physical);
  CUdeviceptr base = 0;
  size_t length = 0;
  expect_ok(CU(cuMemGetAddressRange_v2, &base, &length, addresses.at(100)));
  expect_equal(base, addresses.at(), "the base");
  expect_equal(length, size, "the size");
}
CASE(virtual_memory, outlives_a_context) {
  need_virtual_memory();
  std::vector<uint8_t> back(4096);
  const auto bytes = pattern(4096);
  CUcontext first = nullptr;
  expect_ok(CU(cuInit, 0));
  expect_ok(CU(cuCtxCreate_v2, &first, 0, 0));
  const size_t size = granularity();
  const Addresses addresses(size);
  const Physical physical(size);
  const Mapping mapping(addresses.at(), size, physical);
  expect_ok(CU(cuMemcpyHtoD_v2, addresses.at(), bytes.data(), bytes.size()));
  expect_ok(CU(cuCtxDestroy_v2, first));
  const Context second;
  expect_ok(CU(cuMemcpyDtoH_v2, back.data(), addresses.at(), back.size()));
  expect_same(back, bytes);
}

}  // namespace
}  // namespace conformance
