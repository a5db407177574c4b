// SPDX-License-Identifier: Apache-2.0
// Devices and what is known of them without a context.
#include <cstring>

#include "tests/conformance/fixtures/objects.hpp"
#include "tests/conformance/harness/registry.hpp"

namespace conformance {
namespace {

int device_count() {
  int count = 0;
  expect_ok(CU(cuDeviceGetCount, &count));
  return count;
}

CASE(device, count) {
  require(device_count() >= 1, "there is a device");
  observe("count " + std::to_string(device_count()));
}
CASE(device, count_needs_a_place) { expect(CU(cuDeviceGetCount, nullptr), CUDA_ERROR_INVALID_VALUE); }

CASE(device, get_gives_the_ordinal) {
  for (int i = 0; i < device_count(); ++i) {
    CUdevice device = -1;
    expect_ok(CU(cuDeviceGet, &device, i));
    expect_equal(device, i, "the handle");
  }
}
CASE(device, get_unknown_ordinal) {
  CUdevice device = 77;
  expect(CU(cuDeviceGet, &device, -1), CUDA_ERROR_INVALID_DEVICE);
  expect(CU(cuDeviceGet, &device, device_count()), CUDA_ERROR_INVALID_DEVICE);
  expect(CU(cuDeviceGet, &device, 1 << 30), CUDA_ERROR_INVALID_DEVICE);
  expect_equal(device, 77, "what a refused call left in the result");
}
CASE(device, get_needs_a_place) { expect(CU(cuDeviceGet, nullptr, 0), CUDA_ERROR_INVALID_VALUE); }

CASE(device, name) {
  char name[256] = {};
  expect_ok(CU(cuDeviceGetName, name, sizeof name, 0));
  require(std::strlen(name) > 0 && std::strlen(name) < sizeof name, "the name is not empty");
  observe(name);
}
CASE(device, name_in_a_short_buffer) {
  char whole[256] = {}, part[8];
  std::memset(part, '?', sizeof part);
  expect_ok(CU(cuDeviceGetName, whole, sizeof whole, 0));
  expect_ok(CU(cuDeviceGetName, part, 5, 0));
  expect_equal(int{part[4]}, 0, "the last byte of the buffer");
  require(std::strncmp(whole, part, 4) == 0, "a short buffer gets the beginning of the name");
  expect_equal(int{part[5]}, int{'?'}, "the byte behind the buffer");
}
CASE(device, name_errors) {
  char name[16];
  // The driver checks neither the place for the name nor that its length is not 0: it crashes.
  expect(CU(cuDeviceGetName, name, 16, device_count()), CUDA_ERROR_INVALID_DEVICE);
}

CASE(device, uuid) {
  CUuuid uuid = {}, old = {};
  expect_ok(CU(cuDeviceGetUuid_v2, &uuid, 0));
  expect_ok(CU(cuDeviceGetUuid, &old, 0));
  const CUuuid none = {};
  require(std::memcmp(&uuid, &none, sizeof uuid) != 0, "the identifier is not all zero");
  require(std::memcmp(&uuid, &old, sizeof uuid) == 0, "both versions give the same (no partitioned device)");
}
CASE(device, uuid_errors) {
  CUuuid uuid;
  expect(CU(cuDeviceGetUuid_v2, nullptr, 0), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuDeviceGetUuid_v2, &uuid, -1), CUDA_ERROR_INVALID_DEVICE);
}

CASE(device, total_memory) {
  size_t bytes = 0;
  expect_ok(CU(cuDeviceTotalMem_v2, &bytes, 0));
  require(bytes >= (size_t{64} << 20), "the device has 64 MiB at least");
  observe(std::to_string(bytes) + " bytes");
}
CASE(device, total_memory_errors) {
  size_t bytes = 0;
  expect(CU(cuDeviceTotalMem_v2, nullptr, 0), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuDeviceTotalMem_v2, &bytes, device_count()), CUDA_ERROR_INVALID_DEVICE);
}

CASE(device, attributes_known_to_13_0) {
  for (unsigned attribute = 1; attribute <= 147; ++attribute) {
    int value = 0;
    const Outcome outcome = CU(cuDeviceGetAttribute, &value, attribute, 0);
    if (outcome.code != CUDA_SUCCESS)
      fail("attribute " + std::to_string(attribute) + " gave " + describe(outcome.code));
  }
}
CASE(device, attributes_make_sense) {
  expect_equal(device_attribute(CU_DEVICE_ATTRIBUTE_WARP_SIZE), 32, "the warp size");
  expect_equal(device_attribute(CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK), 1024, "threads per block");
  expect_equal(device_attribute(CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z), 64, "block size in z");
  expect_equal(device_attribute(CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X), 2147483647, "grid size in x");
  expect_equal(device_attribute(CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y), 65535, "grid size in y");
  expect_equal(device_attribute(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK), 49152, "shared memory per block");
  expect_equal(device_attribute(CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING), 1, "unified addressing");
  require(device_attribute(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT) >= 1, "there is a multiprocessor");
  require(device_attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR) >= 7, "the device runs code for sm_70");
}
CASE(device, unknown_attribute) {
  int value = 77;
  for (const unsigned attribute : {0U, 200U, 0x7fffffffU, 0xffffffffU}) {
    expect(CU(cuDeviceGetAttribute, &value, attribute, 0), CUDA_ERROR_INVALID_VALUE);
  }
  expect_equal(value, 77, "what a refused call left in the result");
}
CASE(device, attribute_errors) {
  int value = 0;
  expect(CU(cuDeviceGetAttribute, nullptr, CU_DEVICE_ATTRIBUTE_WARP_SIZE, 0), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuDeviceGetAttribute, &value, CU_DEVICE_ATTRIBUTE_WARP_SIZE, device_count()), CUDA_ERROR_INVALID_DEVICE);
  expect(CU(cuDeviceGetAttribute, &value, CU_DEVICE_ATTRIBUTE_WARP_SIZE, -1), CUDA_ERROR_INVALID_DEVICE);
}
CASE(device, properties_agree_with_attributes) {
  CUdevprop properties = {};
  expect_ok(CU(cuDeviceGetProperties, &properties, 0));
  expect_equal(properties.maxThreadsPerBlock, device_attribute(CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK),
               "threads per block");
  expect_equal(properties.maxGridSize[1], device_attribute(CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y), "grid size in y");
  expect_equal(properties.SIMDWidth, device_attribute(CU_DEVICE_ATTRIBUTE_WARP_SIZE), "warp size");
  expect_equal(properties.clockRate, device_attribute(CU_DEVICE_ATTRIBUTE_CLOCK_RATE), "clock rate");
  int major = 0, minor = -1;
  expect_ok(CU(cuDeviceComputeCapability, &major, &minor, 0));
  expect_equal(major, device_attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR), "major capability");
  expect_equal(minor, device_attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR), "minor capability");
}

std::string pci_bus_id() {
  char id[32] = {};
  expect_ok(CU(cuDeviceGetPCIBusId, id, sizeof id, 0));
  return id;
}
CASE(device, pci_bus_id_round_trip) {
  const std::string id = pci_bus_id();
  observe(id);
  CUdevice device = -1;
  expect_ok(CU(cuDeviceGetByPCIBusId, &device, id.c_str()));
  expect_equal(device, 0, "the device of its own id");
}
CASE(device, pci_bus_id_agrees_with_attributes) {
  unsigned domain = 0, bus = 0, slot = 0, function = 9;
  expect_equal(std::sscanf(pci_bus_id().c_str(), "%x:%x:%x.%x", &domain, &bus, &slot, &function), 4, "parts of the id");
  expect_equal(static_cast<int>(domain), device_attribute(CU_DEVICE_ATTRIBUTE_PCI_DOMAIN_ID), "the domain");
  expect_equal(static_cast<int>(bus), device_attribute(CU_DEVICE_ATTRIBUTE_PCI_BUS_ID), "the bus");
  expect_equal(static_cast<int>(slot), device_attribute(CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID), "the device");
}
CASE(device, pci_bus_id_errors) {
  char id[32];
  CUdevice device = 0;
  expect(CU(cuDeviceGetPCIBusId, nullptr, 32, 0), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuDeviceGetPCIBusId, id, 32, device_count()), CUDA_ERROR_INVALID_DEVICE);
  expect(CU(cuDeviceGetPCIBusId, id, 4, 0), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuDeviceGetByPCIBusId, nullptr, "0000:00:00.0"), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuDeviceGetByPCIBusId, &device, nullptr), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuDeviceGetByPCIBusId, &device, "no id"), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuDeviceGetByPCIBusId, &device, "fedc:ba:1f.0"), CUDA_ERROR_INVALID_DEVICE);
}
CASE(device, peer_access_to_itself) {
  int can = 77;
  expect_ok(CU(cuDeviceCanAccessPeer, &can, 0, 0));
  expect_equal(can, 0, "whether a device is its own peer");
  expect(CU(cuDeviceCanAccessPeer, &can, 0, device_count()), CUDA_ERROR_INVALID_DEVICE);
}

}  // namespace
}  // namespace conformance
