// SPDX-License-Identifier: Apache-2.0
// Questions and settings at the edge of the API: logs, core dumps, notifications, managed memory, abilities of devices.
#include <unistd.h>

#include <cstring>
#include <fstream>

#include "tests/conformance/fixtures/objects.hpp"
#include "tests/conformance/harness/registry.hpp"

namespace conformance {
namespace {

/// Ends the case where the library lacks a function (the software GPU leaves these to the shim).
#define NEEDS(function) (driver().function == nullptr ? skip("the library does not export " #function) : void())

CASE(driver_log, callback_comes_and_goes) {
  NEEDS(cuLogsRegisterCallback);
  CUlogsCallbackHandle handle = nullptr;
  const auto ignore = [](void*, CUlogLevel, char*, size_t) {};
  expect_ok(CU(cuLogsRegisterCallback, ignore, nullptr, &handle));
  expect_ok(CU(cuLogsUnregisterCallback, handle));
  expect(CU(cuLogsRegisterCallback, nullptr, nullptr, &handle), CUDA_ERROR_INVALID_VALUE);
}
CASE(driver_log, nothing_new_behind_its_end) {
  NEEDS(cuLogsCurrent);
  CUlogIterator end = 99;
  expect_ok(CU(cuLogsCurrent, &end, 0));
  char text[256] = "?";
  size_t size = sizeof text;
  expect_ok(CU(cuLogsDumpToMemory, &end, text, &size, 0));
  expect_equal(size, size_t{0}, "the size of what came since");
  expect(CU(cuLogsCurrent, nullptr, 0), CUDA_ERROR_INVALID_VALUE);
  expect_ok(CU(cuLogsCurrent, &end, 1));  // the flags, which must be 0, are not looked at
}
CASE(driver_log, into_a_file) {
  NEEDS(cuLogsDumpToFile);
  const std::string path = "/tmp/vgpu-conformance-log-" + std::to_string(getpid());
  expect_ok(CU(cuLogsDumpToFile, nullptr, path.c_str(), 0));
  const bool there = std::ifstream(path).good();
  unlink(path.c_str());
  require(there, "the file is there");
  expect(CU(cuLogsDumpToFile, nullptr, nullptr, 0), CUDA_ERROR_INVALID_VALUE);
}

CASE(core_dump, defaults) {
  NEEDS(cuCoredumpGetAttributeGlobal);
  const Context context;
  bool flag = true;
  size_t size = sizeof flag;
  expect_ok(CU(cuCoredumpGetAttributeGlobal, CU_COREDUMP_ENABLE_ON_EXCEPTION, &flag, &size));
  require(!flag, "no dump unless asked for");
  expect_ok(CU(cuCoredumpGetAttribute, CU_COREDUMP_TRIGGER_HOST, &flag, &size));
  require(flag, "the host would dump too");
  char path[1024] = {};
  size = sizeof path;
  expect_ok(CU(cuCoredumpGetAttribute, CU_COREDUMP_FILE, path, &size));
  require(path[0] == '\0', std::string("no file name is proposed: ") + path);
}
CASE(core_dump, settings_are_kept) {
  NEEDS(cuCoredumpSetAttributeGlobal);
  const Context context;
  bool flag = true;
  size_t size = sizeof flag;
  expect_ok(CU(cuCoredumpSetAttribute, CU_COREDUMP_LIGHTWEIGHT, &flag, &size));
  flag = false;
  expect_ok(CU(cuCoredumpGetAttribute, CU_COREDUMP_LIGHTWEIGHT, &flag, &size));
  require(flag, "the context has its setting");
  char path[] = "/tmp/vgpu-conformance-core";
  size = sizeof path;
  expect_ok(CU(cuCoredumpSetAttributeGlobal, CU_COREDUMP_FILE, path, &size));
  char kept[1024] = {};
  size = sizeof kept;
  expect_ok(CU(cuCoredumpGetAttributeGlobal, CU_COREDUMP_FILE, kept, &size));
  require(std::strcmp(kept, path) == 0, std::string("the path is kept: ") + kept);
}
CASE(core_dump, errors) {
  NEEDS(cuCoredumpGetAttributeGlobal);
  const Context context;
  bool flag = false;
  size_t size = sizeof flag;
  expect(CU(cuCoredumpGetAttributeGlobal, 99, &flag, &size), CUDA_ERROR_INVALID_VALUE);
  expect_ok(CU(cuCoredumpGetAttributeGlobal, CU_COREDUMP_LIGHTWEIGHT, nullptr, &size));
  expect_equal(size, sizeof(bool), "the size of a flag");
}

CASE(notification, registered_and_not) {
  NEEDS(cuDeviceRegisterAsyncNotification);
  const Context context;
  CUasyncCallbackHandle handle = nullptr;
  const auto ignore = [](CUasyncNotificationInfo*, void*, CUasyncCallbackHandle) {};
  if (expect_one_of(CU(cuDeviceRegisterAsyncNotification, 0, ignore, nullptr, &handle),
                    {CUDA_SUCCESS, CUDA_ERROR_NOT_SUPPORTED}) == CUDA_SUCCESS)
    expect_ok(CU(cuDeviceUnregisterAsyncNotification, 0, handle));
  expect(CU(cuDeviceRegisterAsyncNotification, 1000, ignore, nullptr, &handle), CUDA_ERROR_INVALID_DEVICE);
}

CASE(managed_range, device_memory_is_none) {
  NEEDS(cuMemAdvise_v2);
  const Context context;
  const Stream stream;
  const DeviceMemory memory(4096);
  const CUmemLocation here{CU_MEM_LOCATION_TYPE_DEVICE, 0};
  uint32_t value = 0;
  expect(CU(cuMemAdvise_v2, memory.at(), 4096, CU_MEM_ADVISE_SET_READ_MOSTLY, here), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuMemPrefetchAsync_v2, memory.at(), 4096, here, 0, stream), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuMemRangeGetAttribute, &value, sizeof value, CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY, memory.at(), 4096),
         CUDA_ERROR_INVALID_VALUE);
}

CASE(ability, exec_affinity) {
  NEEDS(cuDeviceGetExecAffinitySupport);
  const Context context;
  int supported = 99;
  expect_ok(CU(cuDeviceGetExecAffinitySupport, &supported, CU_EXEC_AFFINITY_TYPE_SM_COUNT, 0));
  expect_equal(supported, 0, "the support without MPS");
  expect(CU(cuDeviceGetExecAffinitySupport, nullptr, CU_EXEC_AFFINITY_TYPE_SM_COUNT, 0), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuDeviceGetExecAffinitySupport, &supported, CU_EXEC_AFFINITY_TYPE_SM_COUNT, 1000),
         CUDA_ERROR_INVALID_DEVICE);
}
CASE(ability, host_atomics) {
  NEEDS(cuDeviceGetHostAtomicCapabilities);
  const Context context;
  unsigned all[CU_ATOMIC_OPERATION_MAX], capabilities[CU_ATOMIC_OPERATION_MAX];
  for (unsigned i = 0; i < CU_ATOMIC_OPERATION_MAX; ++i) all[i] = i, capabilities[i] = 0xdeadbeef;
  if (expect_one_of(CU(cuDeviceGetHostAtomicCapabilities, capabilities, all, CU_ATOMIC_OPERATION_MAX, 0),
                    {CUDA_SUCCESS, CUDA_ERROR_NOT_SUPPORTED}) == CUDA_SUCCESS)
    for (const unsigned one : capabilities) require(one != 0xdeadbeef, "every answer was given");
  unsigned wrong = CU_ATOMIC_OPERATION_MAX;
  expect(CU(cuDeviceGetHostAtomicCapabilities, capabilities, &wrong, 1, 0), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuDeviceGetHostAtomicCapabilities, capabilities, all, 0, 0), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuDeviceGetHostAtomicCapabilities, capabilities, all, 1, 1000), CUDA_ERROR_INVALID_DEVICE);
}
CASE(ability, of_libraries) {
  NEEDS(cuLibraryGetManaged);
  const Context context;
  const Library library(kVariables);
  CUdeviceptr address = 0;
  size_t size = 0;
  void* function = nullptr;
  expect(CU(cuLibraryGetManaged, &address, &size, library.get(), "missing"), CUDA_ERROR_NOT_FOUND);
  expect(CU(cuLibraryGetUnifiedFunction, &function, library.get(), "missing"), CUDA_ERROR_INVALID_VALUE);
}

CASE(sync_memops, set_and_asked_for) {
  NEEDS(cuPointerSetAttribute);
  const Context context;
  const DeviceMemory memory(4096), other(4096);
  const unsigned on = 1;
  unsigned found = 99;
  expect_ok(CU(cuPointerGetAttribute, &found, CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, memory.at()));
  expect_equal(found & 1, 0U, "at first");
  expect_ok(CU(cuPointerSetAttribute, &on, CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, memory.at()));
  found = 0;
  expect_ok(CU(cuPointerGetAttribute, &found, CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, memory.at(64)));
  expect_equal(found & 1, 1U, "afterwards, anywhere in the allocation");
  expect_ok(CU(cuPointerGetAttribute, &found, CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, other.at()));
  expect_equal(found & 1, 0U, "of other memory");
}
CASE(sync_memops, errors) {
  NEEDS(cuPointerSetAttribute);
  const Context context;
  const DeviceMemory memory(4096);
  const unsigned on = 1;
  unsigned pageable = 0;
  expect(CU(cuPointerSetAttribute, &on, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, memory.at()), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuPointerSetAttribute, &on, CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, reinterpret_cast<CUdeviceptr>(&pageable)),
         CUDA_ERROR_INVALID_VALUE);
}
CASE(sync_memops, copies_wait) {
  NEEDS(cuPointerSetAttribute);
  const Context context;
  const Module module;
  const DeviceMemory from(16 << 20), to(16 << 20);
  const unsigned on = 1;
  expect_ok(CU(cuPointerSetAttribute, &on, CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, to.at()));
  for (int i = 0; i < 20; ++i) {
    expect_ok(CU(cuMemcpyDtoD_v2, to.at(), from.at(), to.size()));
    expect_ok(CU(cuStreamQuery, nullptr));
  }
}

}  // namespace
}  // namespace conformance
