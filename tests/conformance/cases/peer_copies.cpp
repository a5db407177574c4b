// SPDX-License-Identifier: Apache-2.0
// Two devices of one process: copies between their memory, with access and without it.
#include <cstring>
#include <memory>

#include "tests/conformance/fixtures/devices.hpp"
#include "tests/conformance/harness/registry.hpp"

namespace conformance {
namespace {

constexpr size_t kSize = 1 << 20;

/// Memory on each device; that of device 0 holds a pattern, the other's zeros. Device 0 is current afterwards.
struct Both {
  explicit Both(const TwoDevices& devices, size_t size = kSize) {
    devices.use(1);
    second = std::make_unique<DeviceMemory>(size);
    expect_ok(CU(cuMemsetD8_v2, second->at(), 0, size));
    expect_ok(CU(cuCtxSynchronize));
    devices.use(0);
    first = std::make_unique<DeviceMemory>(size);
    first->write(bytes = pattern(size));
  }
  std::unique_ptr<DeviceMemory> first, second;
  std::vector<uint8_t> bytes;
};

OWN_PROCESS_CASE(peer_copy, by_address_alone) {
  const TwoDevices devices;
  const Both memory(devices);
  expect_ok(CU(cuMemcpy, memory.second->at(), memory.first->at(), kSize));
  expect_ok(CU(cuCtxSynchronize));
  expect_same(memory.second->read(), memory.bytes);
}
OWN_PROCESS_CASE(peer_copy, device_to_device) {
  const TwoDevices devices;
  const Both memory(devices);
  const Stream stream;
  expect_ok(CU(cuMemcpyDtoDAsync_v2, memory.second->at(), memory.first->at(), kSize, stream));
  stream.synchronize();
  expect_same(memory.second->read(), memory.bytes);
}
OWN_PROCESS_CASE(peer_copy, with_contexts) {
  const TwoDevices devices;
  const Both memory(devices);
  expect_ok(CU(cuMemcpyPeer, memory.second->at(), devices.context(1), memory.first->at(), devices.context(0), kSize));
  expect_ok(CU(cuCtxSynchronize));
  expect_same(memory.second->read(), memory.bytes);
}
OWN_PROCESS_CASE(peer_copy, with_contexts_and_access) {
  const TwoDevices devices;
  const Both memory(devices);
  devices.enable_access(0, 1);
  const Stream stream;
  expect_ok(CU(cuMemcpyPeerAsync, memory.second->at(), devices.context(1), memory.first->at(), devices.context(0),
               kSize, stream));
  stream.synchronize();
  expect_same(memory.second->read(), memory.bytes);
}
OWN_PROCESS_CASE(peer_copy, asynchronous) {
  const TwoDevices devices;
  const Both memory(devices);
  const Stream stream;
  expect_ok(CU(cuMemcpyPeerAsync, memory.second->at(), devices.context(1), memory.first->at(), devices.context(0),
               kSize, stream));
  stream.synchronize();
  expect_same(memory.second->read(), memory.bytes);
}
OWN_PROCESS_CASE(peer_copy, on_a_stream_of_the_other_device) {
  const TwoDevices devices;
  const Both memory(devices);
  devices.use(1);
  const Stream stream;
  devices.use(0);
  expect_ok(CU(cuMemcpyAsync, memory.second->at(), memory.first->at(), kSize, stream));
  expect_ok(CU(cuStreamSynchronize, stream));
  expect_same(memory.second->read(), memory.bytes);
}

/// Without streams such a copy is in order with what the contexts of both sides do.
OWN_PROCESS_CASE(peer_copy, waits_for_both_contexts) {
  const TwoDevices devices;
  devices.use(1);
  const Module module;
  const DeviceMemory there(4);
  there.write_word(1);
  const Stream busy;
  Spinner spinner(module);
  spinner.start(busy);
  launch(module.function("store"), {}, {}, busy, there.at(), 2U);
  devices.use(0);
  const DeviceMemory here(4);
  std::thread copier([&] {
    driver().cuCtxSetCurrent(devices.context(0));
    driver().cuMemcpyPeer(here.at(), devices.context(0), there.at(), devices.context(1), 4);
  });
  spinner.release();
  copier.join();
  expect_ok(CU(cuCtxSynchronize));
  spinner.require_not_expired();
  expect_equal(here.word(), 2U, "the word that the other device had written before");
}

/// Addresses say where they are: a context that is not named is not missed.
OWN_PROCESS_CASE(peer_copy, without_the_context_of_the_target) {
  const TwoDevices devices;
  const Both memory(devices, 4096);
  expect_ok(CU(cuMemcpyPeer, memory.second->at(), nullptr, memory.first->at(), devices.context(0), 4096));
  expect_ok(CU(cuCtxSynchronize));
  expect_same(memory.second->read(), memory.bytes);
}
OWN_PROCESS_CASE(peer_copy, without_the_context_of_the_source) {
  const TwoDevices devices;
  const Both memory(devices, 4096);
  const Stream stream;
  expect_one_of(
      CU(cuMemcpyPeerAsync, memory.second->at(), devices.context(1), memory.first->at(), nullptr, 4096, stream),
      {CUDA_SUCCESS, CUDA_ERROR_INVALID_CONTEXT});
  stream.synchronize();
}
OWN_PROCESS_CASE(peer_copy, errors) {
  const TwoDevices devices;
  const Both memory(devices, 4096);
  const CUdeviceptr to = memory.second->at(), from = memory.first->at();
  expect_ok(CU(cuMemcpyPeer, to, devices.context(1), from, devices.context(0), 0));
  expect_ok(CU(cuCtxSetCurrent, nullptr));
  expect_one_of(CU(cuMemcpyPeer, to, devices.context(1), from, devices.context(0), 4096),
                {CUDA_ERROR_INVALID_CONTEXT, CUDA_SUCCESS});
}

OWN_PROCESS_CASE(peer_copy, rows) {
  const TwoDevices devices;
  const Both memory(devices, 4096);
  CUDA_MEMCPY2D copy = {};
  copy.srcMemoryType = copy.dstMemoryType = CU_MEMORYTYPE_DEVICE;
  copy.srcDevice = memory.first->at(), copy.srcPitch = 64;
  copy.dstDevice = memory.second->at(), copy.dstPitch = 64;
  copy.WidthInBytes = 16, copy.Height = 64;
  const Stream stream;
  expect_ok(CU(cuMemcpy2DAsync_v2, &copy, stream));
  stream.synchronize();
  std::vector<uint8_t> wanted(4096);
  for (size_t row = 0; row < 64; ++row) std::memcpy(&wanted[row * 64], &memory.bytes[row * 64], 16);
  expect_same(memory.second->read(), wanted);
}

/// A block of 8 bytes by 4 rows by 3 slices, from the middle of one volume of 16 by 8 by 8 to that of another.
CUDA_MEMCPY3D_PEER block(const TwoDevices& devices, const Both& memory) {
  CUDA_MEMCPY3D_PEER copy = {};
  copy.srcMemoryType = copy.dstMemoryType = CU_MEMORYTYPE_DEVICE;
  copy.srcDevice = memory.first->at(), copy.srcPitch = 16, copy.srcHeight = 8, copy.srcContext = devices.context(0);
  copy.dstDevice = memory.second->at(), copy.dstPitch = 16, copy.dstHeight = 8, copy.dstContext = devices.context(1);
  copy.srcXInBytes = 4, copy.srcY = 2, copy.srcZ = 1;
  copy.dstXInBytes = 8, copy.dstY = 4, copy.dstZ = 3;
  copy.WidthInBytes = 8, copy.Height = 4, copy.Depth = 3;
  return copy;
}
std::vector<uint8_t> block_of(const std::vector<uint8_t>& from) {
  std::vector<uint8_t> wanted(1024);
  for (size_t z = 0; z < 3; ++z)
    for (size_t y = 0; y < 4; ++y)
      std::memcpy(&wanted[((z + 3) * 8 + y + 4) * 16 + 8], &from[((z + 1) * 8 + y + 2) * 16 + 4], 8);
  return wanted;
}

OWN_PROCESS_CASE(peer_copy, slices) {
  const TwoDevices devices;
  const Both memory(devices, 1024);
  const CUDA_MEMCPY3D_PEER copy = block(devices, memory);
  expect_ok(CU(cuMemcpy3DPeer, &copy));
  expect_ok(CU(cuCtxSynchronize));
  expect_same(memory.second->read(), block_of(memory.bytes));
}
OWN_PROCESS_CASE(peer_copy, slices_asynchronous) {
  const TwoDevices devices;
  const Both memory(devices, 1024);
  const CUDA_MEMCPY3D_PEER copy = block(devices, memory);
  const Stream stream;
  expect_ok(CU(cuMemcpy3DPeerAsync, &copy, stream));
  stream.synchronize();
  expect_same(memory.second->read(), block_of(memory.bytes));
}
OWN_PROCESS_CASE(peer_copy, slices_from_the_host) {
  const TwoDevices devices;
  const Both memory(devices, 1024);
  const auto host = pattern(1024, 9);
  CUDA_MEMCPY3D_PEER copy = block(devices, memory);
  copy.srcMemoryType = CU_MEMORYTYPE_HOST, copy.srcHost = host.data();
  expect_ok(CU(cuMemcpy3DPeer, &copy));
  expect_ok(CU(cuCtxSynchronize));
  expect_same(memory.second->read(), block_of(host));
}
CASE(peer_copy, slices_of_one_device) {
  const Context context;
  const DeviceMemory a(1024), b(1024);
  const auto bytes = pattern(1024);
  a.write(bytes);
  CUDA_MEMCPY3D_PEER copy = {};
  copy.srcMemoryType = copy.dstMemoryType = CU_MEMORYTYPE_DEVICE;
  copy.srcDevice = a.at(), copy.srcPitch = 16, copy.srcHeight = 8, copy.srcContext = context.get();
  copy.dstDevice = b.at(), copy.dstPitch = 16, copy.dstHeight = 8, copy.dstContext = context.get();
  copy.WidthInBytes = 16, copy.Height = 8, copy.Depth = 8;
  expect_ok(CU(cuMemcpy3DPeer, &copy));
  expect_ok(CU(cuCtxSynchronize));
  expect_same(b.read(), bytes);
}
CASE(peer_copy, slices_errors) {
  const Context context;
  const DeviceMemory memory(1024);
  CUDA_MEMCPY3D_PEER copy = {};
  copy.srcMemoryType = copy.dstMemoryType = CU_MEMORYTYPE_DEVICE;
  copy.srcDevice = memory.at(), copy.srcPitch = 16, copy.srcHeight = 8, copy.srcContext = context.get();
  copy.dstDevice = memory.at(512), copy.dstPitch = 4, copy.dstHeight = 8, copy.dstContext = context.get();
  copy.WidthInBytes = 16, copy.Height = 2, copy.Depth = 2;
  expect(CU(cuMemcpy3DPeer, &copy), CUDA_ERROR_INVALID_VALUE);
  copy.dstPitch = 16, copy.dstMemoryType = 77;
  expect(CU(cuMemcpy3DPeer, &copy), CUDA_ERROR_INVALID_VALUE);
}

}  // namespace
}  // namespace conformance
