// SPDX-License-Identifier: Apache-2.0
// Two devices of one process: access of one to the other's memory. Each case has a process of its own, for access lasts
// as long as the contexts.
#include <cstring>

#include "tests/conformance/fixtures/devices.hpp"
#include "tests/conformance/harness/registry.hpp"

namespace conformance {
namespace {

OWN_PROCESS_CASE(peer, identities_differ) {
  const TwoDevices devices;
  CUuuid first = {}, second = {};
  expect_ok(CU(cuDeviceGetUuid_v2, &first, 0));
  expect_ok(CU(cuDeviceGetUuid_v2, &second, 1));
  require(std::memcmp(first.bytes, second.bytes, sizeof first.bytes) != 0, "two devices have two UUIDs");
  char ids[2][32] = {};
  for (int device = 0; device < 2; ++device) {
    expect_ok(CU(cuDeviceGetPCIBusId, ids[device], 32, device));
    CUdevice found = -1;
    expect_ok(CU(cuDeviceGetByPCIBusId, &found, ids[device]));
    expect_equal(found, device, "the device at its own address");
  }
  require(std::string(ids[0]) != ids[1], "two devices have two addresses");
}

OWN_PROCESS_CASE(peer, contexts_know_their_device) {
  const TwoDevices devices;
  for (int device = 0; device < 2; ++device) {
    devices.use(device);
    CUdevice found = -1;
    expect_ok(CU(cuCtxGetDevice, &found));
    expect_equal(found, device, "the device of the current context");
    const Stream stream;
    expect_ok(CU(cuStreamGetDevice, stream, &found));
    expect_equal(found, device, "the device of a stream");
    CUcontext owner = nullptr;
    expect_ok(CU(cuStreamGetCtx, stream, &owner));
    require(owner == devices.context(device), "a stream is the current context's");
  }
}

OWN_PROCESS_CASE(peer, can_access) {
  const TwoDevices devices;
  expect_equal(can_access_peer(0, 1), can_access_peer(1, 0), "access the other way");
  expect_equal(can_access_peer(1, 1), false, "access to itself");
  int value = -1;
  expect_ok(CU(cuDeviceGetP2PAttribute, &value, 2, 0, 1));
  expect_equal(value != 0, can_access_peer(0, 1), "the attribute that says the same");
  expect(CU(cuDeviceGetP2PAttribute, &value, 2, 0, 0), CUDA_ERROR_INVALID_DEVICE);
}

OWN_PROCESS_CASE(peer, enabled_once) {
  const TwoDevices devices;
  devices.enable_access(0, 1);
  expect(CU(cuCtxEnablePeerAccess, devices.context(1), 0), CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED);
  expect_ok(CU(cuCtxDisablePeerAccess, devices.context(1)));
  expect(CU(cuCtxDisablePeerAccess, devices.context(1)), CUDA_ERROR_PEER_ACCESS_NOT_ENABLED);
  expect_ok(CU(cuCtxEnablePeerAccess, devices.context(1), 0));
}

OWN_PROCESS_CASE(peer, errors) {
  const TwoDevices devices;
  expect(CU(cuCtxEnablePeerAccess, devices.context(0), 0), CUDA_ERROR_PEER_ACCESS_UNSUPPORTED);
  // Where a context is to be named, none may stand for the current one.
  expect_one_of(CU(cuCtxEnablePeerAccess, nullptr, 0),
                {CUDA_ERROR_INVALID_CONTEXT, CUDA_ERROR_PEER_ACCESS_UNSUPPORTED, CUDA_ERROR_INVALID_VALUE});
  expect(CU(cuCtxEnablePeerAccess, devices.context(1), 1), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuCtxDisablePeerAccess, devices.context(1)), CUDA_ERROR_PEER_ACCESS_NOT_ENABLED);
  expect_one_of(CU(cuCtxDisablePeerAccess, nullptr),
                {CUDA_ERROR_INVALID_CONTEXT, CUDA_ERROR_PEER_ACCESS_NOT_ENABLED, CUDA_ERROR_INVALID_VALUE});
  expect_ok(CU(cuCtxSetCurrent, nullptr));
  expect(CU(cuCtxEnablePeerAccess, devices.context(1), 0), CUDA_ERROR_INVALID_CONTEXT);
  expect(CU(cuCtxDisablePeerAccess, devices.context(1)), CUDA_ERROR_INVALID_CONTEXT);
}

OWN_PROCESS_CASE(peer, kernel_reads_and_writes) {
  const TwoDevices devices;
  devices.use(1);
  const DeviceMemory there(8);
  there.write_word(41);
  devices.enable_access(0, 1);
  const Module module;
  const DeviceMemory here(4);
  launch(module.function("copy_word"), {}, {}, nullptr, here.at(), there.at());
  launch(module.function("store"), {}, {}, nullptr, there.at(4), 42U);
  expect_ok(CU(cuCtxSynchronize));
  expect_equal(here.word(), 41U, "the word that was read");
  expect_equal(there.word(1), 42U, "the word that was written");
}

OWN_PROCESS_CASE(peer, access_covers_later_memory) {
  const TwoDevices devices;
  devices.enable_access(0, 1);
  devices.use(1);
  const DeviceMemory there(4);
  there.write_word(7);
  devices.use(0);
  const Module module;
  const DeviceMemory here(4);
  launch(module.function("copy_word"), {}, {}, nullptr, here.at(), there.at());
  expect_ok(CU(cuCtxSynchronize));
  expect_equal(here.word(), 7U, "the word that was read");
}

OWN_PROCESS_CASE(peer, access_is_one_way) {
  const TwoDevices devices;
  const DeviceMemory first(4);
  devices.enable_access(0, 1);
  devices.use(1);
  const Module module;
  launch(module.function("store"), {}, {}, nullptr, first.at(), 1U);
  expect(CU(cuCtxSynchronize), CUDA_ERROR_ILLEGAL_ADDRESS);
}

OWN_PROCESS_CASE(peer, no_access_no_kernel) {
  const TwoDevices devices;
  devices.use(1);
  const DeviceMemory there(4);
  devices.use(0);
  const Module module;
  launch(module.function("store"), {}, {}, nullptr, there.at(), 1U);
  expect(CU(cuCtxSynchronize), CUDA_ERROR_ILLEGAL_ADDRESS);
}

OWN_PROCESS_CASE(peer, freed_from_the_other_context) {
  const TwoDevices devices;
  devices.use(1);
  DeviceMemory there(4096);
  devices.use(0);
  expect_ok(CU(cuMemFree_v2, there.release()));
}

OWN_PROCESS_CASE(peer, free_waits_for_the_other_device) {
  const TwoDevices devices;
  devices.use(1);
  const Module module;
  DeviceMemory there(4);
  const Stream stream;
  Spinner spinner(module);
  spinner.start(stream);
  devices.use(0);
  const CUdeviceptr address = there.release();
  std::thread releaser([&] { spinner.release(); });
  const CUresult result = driver().cuMemFree_v2(address);
  releaser.join();
  spinner.require_not_expired();
  require(result == CUDA_SUCCESS, "memory of a busy device can be freed");
}

OWN_PROCESS_CASE(peer, memory_of_each_device) {
  const TwoDevices devices;
  for (int device = 0; device < 2; ++device) {
    devices.use(device);
    const DeviceMemory memory(64 << 20);
    int ordinal = -1;
    expect_ok(CU(cuPointerGetAttribute, &ordinal, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, memory.at()));
    expect_equal(ordinal, device, "the device of memory");
    CUcontext owner = nullptr;
    expect_ok(CU(cuPointerGetAttribute, &owner, CU_POINTER_ATTRIBUTE_CONTEXT, memory.at()));
    require(owner == devices.context(device), "memory belongs to the context that was current");
    devices.use(1 - device);
    expect_ok(CU(cuPointerGetAttribute, &ordinal, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, memory.at()));
    expect_equal(ordinal, device, "the device of memory, asked from the other");
  }
}

}  // namespace
}  // namespace conformance
