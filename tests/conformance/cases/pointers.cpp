// SPDX-License-Identifier: Apache-2.0
// What the driver says of an address.
#include "tests/conformance/fixtures/objects.hpp"
#include "tests/conformance/harness/registry.hpp"

namespace conformance {
namespace {

template <typename T>
T attribute(CUpointer_attribute which, CUdeviceptr address) {
  T value = {};
  expect_ok(CU(cuPointerGetAttribute, &value, which, address));
  return value;
}

CASE(pointer, of_device_memory) {
  const Context context;
  const DeviceMemory memory(10000);
  const CUdeviceptr inside = memory.at(5000);
  expect_equal(attribute<unsigned>(CU_POINTER_ATTRIBUTE_MEMORY_TYPE, inside), 0U + CU_MEMORYTYPE_DEVICE,
               "the memory type");
  require(attribute<CUcontext>(CU_POINTER_ATTRIBUTE_CONTEXT, inside) == context.get(),
          "the memory belongs to the context");
  expect_equal(attribute<CUdeviceptr>(CU_POINTER_ATTRIBUTE_DEVICE_POINTER, inside), inside, "the device address");
  expect_equal(attribute<int>(CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, inside), 0, "the device");
  expect_equal(attribute<CUdeviceptr>(CU_POINTER_ATTRIBUTE_RANGE_START_ADDR, inside), memory.at(),
               "the start of the range");
  const auto size = attribute<size_t>(CU_POINTER_ATTRIBUTE_RANGE_SIZE, inside);
  observe("size " + std::to_string(size));
  require(size >= 10000 && size < (size_t{2} << 20), "the size of the range is the one asked for, or rounded up");
  expect_equal(attribute<unsigned>(CU_POINTER_ATTRIBUTE_IS_MANAGED, inside) & 0xff, 0U, "managed");
  expect_equal(attribute<unsigned>(CU_POINTER_ATTRIBUTE_MAPPED, inside) & 0xff, 1U, "mapped");
}
CASE(pointer, device_memory_has_no_host_address) {
  const Context context;
  const DeviceMemory memory(64);
  void* host = nullptr;
  expect(CU(cuPointerGetAttribute, &host, CU_POINTER_ATTRIBUTE_HOST_POINTER, memory.at()), CUDA_ERROR_INVALID_VALUE);
}
CASE(pointer, of_pinned_memory) {
  const Context context;
  const PinnedMemory pinned(8192);
  const auto inside = reinterpret_cast<CUdeviceptr>(pinned.bytes() + 100);
  expect_equal(attribute<unsigned>(CU_POINTER_ATTRIBUTE_MEMORY_TYPE, inside), 0U + CU_MEMORYTYPE_HOST,
               "the memory type");
  require(attribute<void*>(CU_POINTER_ATTRIBUTE_HOST_POINTER, inside) == pinned.bytes() + 100, "the host address");
  expect_equal(attribute<CUdeviceptr>(CU_POINTER_ATTRIBUTE_DEVICE_POINTER, inside), inside, "the device address");
  require(attribute<CUcontext>(CU_POINTER_ATTRIBUTE_CONTEXT, inside) == context.get(),
          "the memory belongs to the context");
}
CASE(pointer, of_the_programs_own_memory) {
  const Context context;
  static int own;
  unsigned type = 77;
  expect(CU(cuPointerGetAttribute, &type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, reinterpret_cast<CUdeviceptr>(&own)),
         CUDA_ERROR_INVALID_VALUE);
  CUcontext owner = nullptr;
  expect(CU(cuPointerGetAttribute, &owner, CU_POINTER_ATTRIBUTE_CONTEXT, reinterpret_cast<CUdeviceptr>(&own)),
         CUDA_ERROR_INVALID_VALUE);
}
CASE(pointer, of_freed_memory) {
  const Context context;
  DeviceMemory memory(64 << 20);
  const CUdeviceptr address = memory.release();
  expect_ok(CU(cuMemFree_v2, address));
  unsigned type = 77;
  expect(CU(cuPointerGetAttribute, &type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, address), CUDA_ERROR_INVALID_VALUE);
}
CASE(pointer, of_a_variable) {
  const Context context;
  const Module module(kVariables);
  CUdeviceptr address = 0;
  expect_ok(CU(cuModuleGetGlobal_v2, &address, nullptr, module.get(), "table"));
  expect_equal(attribute<unsigned>(CU_POINTER_ATTRIBUTE_MEMORY_TYPE, address), 0U + CU_MEMORYTYPE_DEVICE,
               "the memory type");
}
CASE(pointer, buffer_identifiers_differ) {
  const Context context;
  const DeviceMemory a(64), b(64);
  const auto first = attribute<unsigned long long>(CU_POINTER_ATTRIBUTE_BUFFER_ID, a.at());
  require(first != attribute<unsigned long long>(CU_POINTER_ATTRIBUTE_BUFFER_ID, b.at()),
          "two allocations have two identifiers");
  expect_equal(attribute<unsigned long long>(CU_POINTER_ATTRIBUTE_BUFFER_ID, a.at(32)), first,
               "the identifier from inside");
}
CASE(pointer, errors) {
  const Context context;
  const DeviceMemory memory(64);
  unsigned value = 0;
  expect(CU(cuPointerGetAttribute, nullptr, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, memory.at()), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuPointerGetAttribute, &value, 999, memory.at()), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuPointerGetAttribute, &value, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, 0), CUDA_ERROR_INVALID_VALUE);
}
CASE(pointer, several_at_once) {
  const Context context;
  const DeviceMemory memory(64);
  unsigned type = 77;
  CUcontext owner = nullptr;
  CUdeviceptr address = 0;
  CUpointer_attribute which[] = {CU_POINTER_ATTRIBUTE_MEMORY_TYPE, CU_POINTER_ATTRIBUTE_CONTEXT,
                                 CU_POINTER_ATTRIBUTE_DEVICE_POINTER};
  void* places[] = {&type, &owner, &address};
  expect_ok(CU(cuPointerGetAttributes, 3, which, places, memory.at()));
  expect_equal(type, 0U + CU_MEMORYTYPE_DEVICE, "the memory type");
  require(owner == context.get(), "the context");
  expect_equal(address, memory.at(), "the device address");
}
CASE(pointer, several_of_an_unknown_address) {
  const Context context;
  static int own;
  unsigned type = 77;
  CUcontext owner = context.get();
  CUdeviceptr address = 77;
  CUpointer_attribute which[] = {CU_POINTER_ATTRIBUTE_MEMORY_TYPE, CU_POINTER_ATTRIBUTE_CONTEXT,
                                 CU_POINTER_ATTRIBUTE_DEVICE_POINTER};
  void* places[] = {&type, &owner, &address};
  expect_ok(CU(cuPointerGetAttributes, 3, which, places, reinterpret_cast<CUdeviceptr>(&own)));
  expect_equal(type, 0U, "the memory type of what is unknown");
  require(owner == nullptr, "no context");
  expect_equal(address, CUdeviceptr{0}, "no device address");
}
CASE(pointer, several_errors) {
  const Context context;
  const DeviceMemory memory(64);
  unsigned type = 0;
  CUpointer_attribute which[] = {CU_POINTER_ATTRIBUTE_MEMORY_TYPE};
  void* places[] = {&type};
  expect(CU(cuPointerGetAttributes, 1, nullptr, places, memory.at()), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuPointerGetAttributes, 1, which, nullptr, memory.at()), CUDA_ERROR_INVALID_VALUE);
}

}  // namespace
}  // namespace conformance
