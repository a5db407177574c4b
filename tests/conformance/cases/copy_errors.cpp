// SPDX-License-Identifier: Apache-2.0
// Copies that must be refused, and the order of those that are not.
#include <cstring>

#include "tests/conformance/fixtures/objects.hpp"
#include "tests/conformance/harness/registry.hpp"

namespace conformance {
namespace {

CASE(copy_errors, past_the_end) {
  const Context context;
  const DeviceMemory memory(4096);
  std::vector<uint8_t> bytes(64 << 20);
  expect(CU(cuMemcpyHtoD_v2, memory.at(), bytes.data(), bytes.size()), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuMemcpyDtoH_v2, bytes.data(), memory.at(), bytes.size()), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuMemcpyDtoD_v2, memory.at(), memory.at(2048), bytes.size()), CUDA_ERROR_INVALID_VALUE);
}
CASE(copy_errors, past_the_end_of_a_large_allocation) {
  const Context context;
  const DeviceMemory memory(64 << 20);
  std::vector<uint8_t> bytes(4096);
  expect(CU(cuMemcpyHtoD_v2, memory.at(memory.size() - 1), bytes.data(), bytes.size()), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuMemcpyDtoH_v2, bytes.data(), memory.at(memory.size() - 1), bytes.size()), CUDA_ERROR_INVALID_VALUE);
}
CASE(copy_errors, null) {
  const Context context;
  const DeviceMemory memory(64);
  uint8_t bytes[16] = {};
  expect(CU(cuMemcpyHtoD_v2, 0, bytes, sizeof bytes), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuMemcpyHtoD_v2, memory.at(), nullptr, sizeof bytes), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuMemcpyDtoH_v2, bytes, 0, sizeof bytes), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuMemcpyDtoH_v2, nullptr, memory.at(), sizeof bytes), CUDA_ERROR_INVALID_VALUE);
}
CASE(copy_errors, null_on_a_stream) {
  const Context context;
  const DeviceMemory memory(64);
  const Stream stream;
  uint8_t bytes[16] = {};
  expect(CU(cuMemcpyHtoDAsync_v2, 0, bytes, sizeof bytes, stream), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuMemcpyDtoHAsync_v2, bytes, 0, sizeof bytes, stream), CUDA_ERROR_INVALID_VALUE);
  stream.synchronize();
}
CASE(copy_errors, nothing_from_null) {
  const Context context;
  const DeviceMemory memory(64);
  expect_ok(CU(cuMemcpyHtoD_v2, memory.at(), nullptr, 0));
  expect_ok(CU(cuMemcpyHtoD_v2, 0, nullptr, 0));
}
CASE(copy_errors, unknown_device_address) {
  const Context context;
  uint8_t bytes[16] = {};
  expect(CU(cuMemcpyHtoD_v2, 0x1000, bytes, sizeof bytes), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuMemcpyDtoH_v2, bytes, 0x1000, sizeof bytes), CUDA_ERROR_INVALID_VALUE);
}
CASE(copy_errors, freed_memory) {
  const Context context;
  DeviceMemory memory(64 << 20);
  const CUdeviceptr address = memory.release();
  expect_ok(CU(cuMemFree_v2, address));
  uint8_t bytes[16] = {};
  expect(CU(cuMemcpyHtoD_v2, address, bytes, sizeof bytes), CUDA_ERROR_INVALID_VALUE);
}
CASE(copy_errors, a_refused_copy_changes_nothing) {
  const Context context;
  const DeviceMemory memory(4096);
  const auto before = pattern(4096);
  memory.write(before);
  std::vector<uint8_t> bytes(64 << 20, 0xee);
  expect(CU(cuMemcpyHtoD_v2, memory.at(), bytes.data(), bytes.size()), CUDA_ERROR_INVALID_VALUE);
  expect_same(memory.read(), before);
}
CASE(copy_errors, unified_host_to_host) {
  const Context context;
  const auto source = pattern(1000);
  std::vector<uint8_t> result(1000);
  expect_ok(CU(cuMemcpy, reinterpret_cast<CUdeviceptr>(result.data()), reinterpret_cast<CUdeviceptr>(source.data()),
               source.size()));
  expect_same(result, source);
}

CASE(copy_order, copies_on_one_stream_are_in_order) {
  const Context context;
  const DeviceMemory memory(1 << 20);
  const Stream stream;
  const PinnedMemory a(1 << 20), b(1 << 20), result(1 << 20);
  std::memset(a.get(), 1, 1 << 20);
  std::memset(b.get(), 2, 1 << 20);
  for (int i = 0; i < 10; ++i) {
    expect_ok(CU(cuMemcpyHtoDAsync_v2, memory.at(), a.get(), 1 << 20, stream));
    expect_ok(CU(cuMemcpyHtoDAsync_v2, memory.at(), b.get(), 1 << 20, stream));
    expect_ok(CU(cuMemcpyDtoHAsync_v2, result.get(), memory.at(), 1 << 20, stream));
  }
  stream.synchronize();
  expect_same({result.bytes(), result.bytes() + (1 << 20)}, std::vector<uint8_t>(1 << 20, 2));
}
CASE(copy_order, kernel_between_copies) {
  const Context context;
  const Module module;
  const DeviceMemory memory(4);
  const Stream stream;
  const PinnedMemory word(4);
  for (uint32_t i = 0; i < 200; ++i) {
    word.set_word(i);
    expect_ok(CU(cuMemcpyHtoDAsync_v2, memory.at(), word.get(), 4, stream));
    launch(module.function("increment"), {}, {}, stream, memory.at());
    expect_ok(CU(cuMemcpyDtoHAsync_v2, word.get(), memory.at(), 4, stream));
    stream.synchronize();
    expect_equal(word.word(), i + 1, "the word");
  }
}
CASE(copy_order, pinned_copy_reads_when_the_stream_gets_there) {
  const Context context;
  const Module module;
  const DeviceMemory memory(4);
  const Stream stream;
  const PinnedMemory word(4);
  Spinner spinner(module);
  word.set_word(1);
  spinner.start(stream);
  expect_ok(CU(cuMemcpyHtoDAsync_v2, memory.at(), word.get(), 4, stream));
  word.set_word(2);
  spinner.release();
  stream.synchronize();
  spinner.require_not_expired();
  expect_equal(memory.word(), 2U, "the word as it was when the copy ran");
}
CASE(copy_order, pinned_copy_to_the_host_happens_later) {
  const Context context;
  const Module module;
  const DeviceMemory memory(4);
  memory.write_word(7);
  const Stream stream;
  const PinnedMemory word(4);
  Spinner spinner(module);
  spinner.start(stream);
  expect_ok(CU(cuMemcpyDtoHAsync_v2, word.get(), memory.at(), 4, stream));
  expect_equal(word.word(), 0U, "the word while the stream is held up");
  spinner.release();
  stream.synchronize();
  spinner.require_not_expired();
  expect_equal(word.word(), 7U, "the word afterwards");
}
CASE(copy_order, small_pageable_copy_behind_a_running_kernel_returns) {
  const Context context;
  const Module module;
  const DeviceMemory memory(64 << 10);
  const Stream stream;
  Spinner spinner(module);
  auto source = pattern(64 << 10);
  const auto kept = source;
  spinner.start(stream);
  expect_ok(CU(cuMemcpyHtoDAsync_v2, memory.at(), source.data(), source.size(), stream));
  std::fill(source.begin(), source.end(), uint8_t{0});
  spinner.release();
  stream.synchronize();
  spinner.require_not_expired();
  expect_same(memory.read(), kept);
}
CASE(copy_order, peer_copy_to_itself) {
  const Context context;
  const DeviceMemory a(4096), b(4096);
  const auto bytes = pattern(4096);
  a.write(bytes);
  expect_ok(CU(cuMemcpyPeer, b.at(), context.get(), a.at(), context.get(), 4096));
  expect_same(b.read(), bytes);
  expect_ok(CU(cuMemsetD8_v2, b.at(), 0, 4096));
  const Stream stream;
  expect_ok(CU(cuCtxSynchronize));
  expect_ok(CU(cuMemcpyPeerAsync, b.at(), context.get(), a.at(), context.get(), 4096, stream));
  stream.synchronize();
  expect_same(b.read(), bytes);
}

}  // namespace
}  // namespace conformance
