// SPDX-License-Identifier: Apache-2.0
// Two devices of one process: streams, events, mapped memory and pools of one where the other's context is current.
#include "tests/conformance/fixtures/devices.hpp"
#include "tests/conformance/harness/registry.hpp"

namespace conformance {
namespace {

OWN_PROCESS_CASE(two_devices, launch_on_a_foreign_stream) {
  const TwoDevices devices;
  devices.use(1);
  const Stream foreign;
  devices.use(0);
  const Module module;
  expect(launch_outcome(module.function("noop"), {}, {}, 0, foreign), CUDA_ERROR_INVALID_HANDLE);
}

OWN_PROCESS_CASE(two_devices, record_in_a_foreign_stream) {
  const TwoDevices devices;
  const Event event;
  devices.use(1);
  const Stream foreign;
  expect(CU(cuEventRecord, event, foreign), CUDA_ERROR_INVALID_HANDLE);
  expect(CU(cuEventRecord, event, nullptr), CUDA_ERROR_INVALID_HANDLE);
}

OWN_PROCESS_CASE(two_devices, elapsed_between_devices) {
  const TwoDevices devices;
  const Event first;
  expect_ok(CU(cuEventRecord, first, nullptr));
  expect_ok(CU(cuCtxSynchronize));
  devices.use(1);
  const Event second;
  expect_ok(CU(cuEventRecord, second, nullptr));
  expect_ok(CU(cuCtxSynchronize));
  float milliseconds = 0;
  expect(CU(cuEventElapsedTime, &milliseconds, first, second), CUDA_ERROR_INVALID_HANDLE);
}

OWN_PROCESS_CASE(two_devices, wait_for_an_event_of_the_other) {
  const TwoDevices devices;
  devices.use(1);
  const Module second_module;
  const Stream second;
  const Event done;
  const DeviceMemory there(4);
  there.write_word(0);
  Spinner spinner(second_module);
  spinner.start(second);
  launch(second_module.function("store"), {}, {}, second, there.at(), 5U);
  expect_ok(CU(cuEventRecord, done, second));
  devices.use(0);
  const Stream first;
  const PinnedMemory word(4);
  expect_ok(CU(cuStreamWaitEvent, first, done, 0));
  expect_ok(CU(cuMemcpyDtoHAsync_v2, word.get(), there.at(), 4, first));
  expect(CU(cuStreamQuery, first), CUDA_ERROR_NOT_READY);
  spinner.release();
  first.synchronize();
  spinner.require_not_expired();
  expect_equal(word.word(), 5U, "the word that the other device wrote before its event");
}

/// Waiting and asking are allowed from anywhere, and mean the stream's own context.
OWN_PROCESS_CASE(two_devices, synchronize_a_foreign_stream) {
  const TwoDevices devices;
  devices.use(1);
  const Module module;
  const Stream foreign;
  const Event event;
  const PinnedMemory word(4);
  Spinner spinner(module);
  spinner.start(foreign);
  launch(module.function("store"), {}, {}, foreign, word.device(), 9U);
  expect_ok(CU(cuEventRecord, event, foreign));
  devices.use(0);
  expect(CU(cuStreamQuery, foreign), CUDA_ERROR_NOT_READY);
  expect(CU(cuEventQuery, event), CUDA_ERROR_NOT_READY);
  std::thread releaser([&] { spinner.release(); });
  const CUresult result = driver().cuStreamSynchronize(foreign);
  releaser.join();
  require(result == CUDA_SUCCESS, "a stream of the other device can be waited for");
  spinner.require_not_expired();
  expect_equal(word.word(), 9U, "the word that was stored before the wait ended");
  expect_ok(CU(cuEventSynchronize, event));
}

OWN_PROCESS_CASE(two_devices, modules_of_each) {
  const TwoDevices devices;
  const Module first(kVariables);
  devices.use(1);
  const Module second(kVariables);
  CUdeviceptr here = 0, there = 0;
  expect_ok(CU(cuModuleGetGlobal_v2, &there, nullptr, second.get(), "counter"));
  devices.use(0);
  expect_ok(CU(cuModuleGetGlobal_v2, &here, nullptr, first.get(), "counter"));
  require(here != there, "each device has its own variables");
  int ordinal = -1;
  expect_ok(CU(cuPointerGetAttribute, &ordinal, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, there));
  expect_equal(ordinal, 1, "the device of the second one's variable");
}

OWN_PROCESS_CASE(two_devices, pool_of_each) {
  const TwoDevices devices;
  for (int device = 0; device < 2; ++device) {
    devices.use(device);
    const Stream stream;
    CUdeviceptr address = 0;
    expect_ok(CU(cuMemAllocAsync, &address, 4096, stream));
    expect_ok(CU(cuMemsetD8Async, address, 3, 4096, stream));
    stream.synchronize();
    int ordinal = -1;
    expect_ok(CU(cuPointerGetAttribute, &ordinal, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, address));
    expect_equal(ordinal, device, "the device of memory from the pool");
    expect_ok(CU(cuMemFreeAsync, address, stream));
    stream.synchronize();
  }
  CUmemoryPool first = nullptr, second = nullptr;
  expect_ok(CU(cuDeviceGetDefaultMemPool, &first, 0));
  expect_ok(CU(cuDeviceGetDefaultMemPool, &second, 1));
  require(first != second, "each device has a pool");
}

/// Physical memory of one device, mapped at an address that both may use, or only one.
class Mapped {
 public:
  explicit Mapped(int device) {
    CUmemAllocationProp properties = {};
    properties.type = CU_MEM_ALLOCATION_TYPE_PINNED;
    properties.location = {CU_MEM_LOCATION_TYPE_DEVICE, device};
    expect_ok(CU(cuMemGetAllocationGranularity, &size_, &properties, CU_MEM_ALLOC_GRANULARITY_MINIMUM));
    expect_ok(CU(cuMemCreate, &handle_, size_, &properties, 0));
    expect_ok(CU(cuMemAddressReserve, &address_, size_, 0, 0, 0));
    expect_ok(CU(cuMemMap, address_, size_, 0, handle_, 0));
  }
  Mapped(const Mapped&) = delete;
  Mapped& operator=(const Mapped&) = delete;
  ~Mapped() {
    driver().cuMemUnmap(address_, size_);
    driver().cuMemAddressFree(address_, size_);
    driver().cuMemRelease(handle_);
  }
  CUdeviceptr at() const { return address_; }
  Outcome allow(int device, unsigned flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE) const {
    const CUmemAccessDesc access = {{CU_MEM_LOCATION_TYPE_DEVICE, device}, flags};
    return CU(cuMemSetAccess, address_, size_, &access, 1);
  }
  unsigned long long access(int device) const {
    const CUmemLocation location = {CU_MEM_LOCATION_TYPE_DEVICE, device};
    unsigned long long flags = 77;
    expect_ok(CU(cuMemGetAccess, &flags, &location, address_));
    return flags;
  }

 private:
  CUdeviceptr address_ = 0;
  size_t size_ = 0;
  CUmemGenericAllocationHandle handle_ = 0;
};

OWN_PROCESS_CASE(two_devices, mapped_memory_of_the_second) {
  const TwoDevices devices;
  devices.use(1);
  const Mapped memory(1);
  expect_ok(memory.allow(1));
  const Module module;
  launch(module.function("store"), {}, {}, nullptr, memory.at(), 8U);
  expect_ok(CU(cuCtxSynchronize));
  uint32_t word = 0;
  expect_ok(CU(cuMemcpyDtoH_v2, &word, memory.at(), 4));
  expect_equal(word, 8U, "the word");
  int ordinal = -1;
  expect_ok(CU(cuPointerGetAttribute, &ordinal, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, memory.at()));
  expect_equal(ordinal, 1, "the device of the memory");
}

OWN_PROCESS_CASE(two_devices, mapped_memory_for_both) {
  const TwoDevices devices;
  if (!can_access_peer(0, 1)) skip("the devices cannot reach each other");
  const Mapped memory(1);
  expect_equal(memory.access(0), 0ULL + CU_MEM_ACCESS_FLAGS_PROT_NONE, "access before it was given");
  expect_ok(memory.allow(1));
  expect_ok(memory.allow(0));
  expect_equal(memory.access(0), 0ULL + CU_MEM_ACCESS_FLAGS_PROT_READWRITE, "access of the first");
  expect_equal(memory.access(1), 0ULL + CU_MEM_ACCESS_FLAGS_PROT_READWRITE, "access of the second");
  for (int device = 0; device < 2; ++device) {
    devices.use(device);
    const Module module;
    launch(module.function("increment"), {}, {}, nullptr, memory.at());
    expect_ok(CU(cuCtxSynchronize));
  }
}

OWN_PROCESS_CASE(two_devices, mapped_memory_for_one) {
  const TwoDevices devices;
  const Mapped memory(1);
  expect_ok(memory.allow(1));
  devices.use(0);
  const Module module;
  launch(module.function("store"), {}, {}, nullptr, memory.at(), 1U);
  expect(CU(cuCtxSynchronize), CUDA_ERROR_ILLEGAL_ADDRESS);
}

OWN_PROCESS_CASE(two_devices, own_contexts) {
  const TwoDevices devices;
  CUcontext made = nullptr;
  expect_ok(CU(cuCtxCreate_v2, &made, 0, 1));
  CUdevice device = -1;
  expect_ok(CU(cuCtxGetDevice, &device));
  expect_equal(device, 1, "the device of a new context");
  const DeviceMemory memory(4);
  memory.write_word(3);
  expect_equal(memory.word(), 3U, "a word of its memory");
  expect_ok(CU(cuCtxDestroy_v2, made));
}

}  // namespace
}  // namespace conformance
