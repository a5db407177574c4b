// SPDX-License-Identifier: Apache-2.0
// Values that streams write to memory and wait for.
#include <array>
#include <chrono>

#include "tests/conformance/fixtures/release.hpp"
#include "tests/conformance/harness/registry.hpp"

namespace conformance {
namespace {

CUstreamBatchMemOpParams operation(unsigned type, CUdeviceptr address, uint64_t value, unsigned flags = 0) {
  CUstreamBatchMemOpParams one = {};
  one.operation = type;
  one.value.address = address;
  one.value.value = value;
  one.value.flags = flags;
  return one;
}

/// Polls until the stream has nothing left to do, for ten seconds at most.
bool comes_to_rest(CUstream stream) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (std::chrono::steady_clock::now() < end) {
    if (driver().cuStreamQuery(stream) == CUDA_SUCCESS) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return false;
}

CASE(stream_value, written_to_device_memory) {
  const Context context;
  const Stream stream;
  const DeviceMemory memory(16);
  memory.write_word(0, 0), memory.write_word(0, 1), memory.write_word(7, 2), memory.write_word(7, 3);
  expect_ok(CU(cuStreamWriteValue32_v2, stream, memory.at(), 5, CU_STREAM_WRITE_VALUE_DEFAULT));
  expect_ok(CU(cuStreamWriteValue64_v2, stream, memory.at(8), 0x100000002, CU_STREAM_WRITE_VALUE_DEFAULT));
  stream.synchronize();
  expect_equal(memory.word(0), 5U, "the word");
  expect_equal(memory.word(1), 0U, "the word behind it");
  expect_equal(memory.word(2), 2U, "the lower half");
  expect_equal(memory.word(3), 1U, "the upper half");
}
CASE(stream_value, written_to_pinned_memory) {
  const Context context;
  const Stream stream;
  const PinnedMemory memory(16);
  expect_ok(CU(cuStreamWriteValue32_v2, stream, memory.device() + 4, 9, 0));
  stream.synchronize();
  expect_equal(memory.word(1), 9U, "the word");
}
CASE(stream_value, in_the_order_of_the_stream) {
  const Context context;
  const Module module;
  const Stream stream;
  const DeviceMemory memory(8);
  expect_ok(CU(cuStreamWriteValue32_v2, stream, memory.at(), 40, 0));
  launch(module.function("increment"), {}, {}, stream, memory.at());
  launch(module.function("copy_word"), {}, {}, stream, memory.at(4), memory.at());
  expect_ok(CU(cuStreamWriteValue32_v2, stream, memory.at(), 3, 0));
  stream.synchronize();
  expect_equal(memory.word(1), 41U, "what came between the writes");
  expect_equal(memory.word(0), 3U, "the last write");
}
CASE(stream_value, wait_for_the_host) {
  const Context context;
  const Stream stream;
  const PinnedMemory gate(4);
  const Release release(gate);
  const DeviceMemory memory(4);
  memory.write_word(0);
  expect_ok(CU(cuStreamWaitValue32_v2, stream, gate.device(), 1, CU_STREAM_WAIT_VALUE_GEQ));
  expect_ok(CU(cuStreamWriteValue32_v2, stream, memory.at(), 1, 0));
  expect(CU(cuStreamQuery, stream), CUDA_ERROR_NOT_READY);
  gate.set_word(1);
  require(comes_to_rest(stream), "the stream goes on once the host has written the word");
  expect_equal(memory.word(), 1U, "the word behind the wait");
}
CASE(stream_value, wait_for_another_stream) {
  const Context context;
  const Stream first, second;
  const DeviceMemory memory(8);
  memory.write_word(0, 0), memory.write_word(0, 1);
  expect_ok(CU(cuStreamWaitValue32_v2, first, memory.at(), 3, CU_STREAM_WAIT_VALUE_EQ));
  expect_ok(CU(cuStreamWriteValue32_v2, first, memory.at(4), 1, 0));
  expect(CU(cuStreamQuery, first), CUDA_ERROR_NOT_READY);
  expect_ok(CU(cuStreamWriteValue32_v2, second, memory.at(), 3, 0));
  require(comes_to_rest(first), "the stream goes on");
  expect_equal(memory.word(1), 1U, "the word behind the wait");
}
CASE(stream_value, others_go_on_beside_a_wait) {
  const Context context;
  const Stream waiting, other;
  const PinnedMemory gate(4);
  const Release release(gate);
  const DeviceMemory memory(64 << 10);
  expect_ok(CU(cuStreamWaitValue32_v2, waiting, gate.device(), 1, CU_STREAM_WAIT_VALUE_EQ));
  for (int i = 0; i < 100; ++i) expect_ok(CU(cuMemsetD8Async, memory.at(), 7, memory.size(), other));
  expect_ok(CU(cuStreamSynchronize, other));
  const Event event;
  expect_ok(CU(cuEventRecord, event, waiting));
  expect(CU(cuEventQuery, event), CUDA_ERROR_NOT_READY);
  gate.set_word(1);
  expect_ok(CU(cuEventSynchronize, event));
}
/// What a destroyed stream still has to do takes room in the driver's queues until it is done, and not longer.
CASE(stream_value, destroyed_streams_give_their_room_back) {
  constexpr unsigned kStreams = 13, kLaunches = 990;  // more than eight full queues, the room for all streams
  const Context context;
  const Module module;
  const CUfunction increment = module.function("increment");
  const PinnedMemory gate(4);
  const Release release(gate, kStreams);
  const DeviceMemory counters(4 * kStreams);
  expect_ok(CU(cuMemsetD32_v2, counters.at(), 0, kStreams));
  expect_ok(CU(cuCtxSynchronize));
  std::array<CUstream, kStreams> streams{};
  for (unsigned i = 0; i < kStreams; ++i) {
    expect_ok(CU(cuStreamCreate, &streams[i], CU_STREAM_NON_BLOCKING));
    launch(increment, {}, {}, streams[i], counters.at(4 * i));
  }
  for (unsigned i = 0; i < kStreams; ++i) {
    expect_ok(CU(cuStreamWaitValue32_v2, streams[i], gate.device(), i + 1, CU_STREAM_WAIT_VALUE_GEQ));
    for (unsigned n = 0; n < kLaunches; ++n) launch(increment, {}, {}, streams[i], counters.at(4 * i));
    expect_ok(CU(cuStreamDestroy_v2, streams[i]));
    gate.set_word(i + 1);
  }
  expect_ok(CU(cuCtxSynchronize));
  for (unsigned i = 0; i < kStreams; ++i) expect_equal(counters.word(i), kLaunches + 1, "launches of a stream");
}
/// The process ends with a stream that waits for ever; nothing may stay of it.
OWN_PROCESS_CASE(stream_value, wait_that_is_never_fulfilled) {
  CUcontext context = nullptr;
  CUstream stream = nullptr;
  CUdeviceptr word = 0;
  expect_ok(CU(cuDevicePrimaryCtxRetain, &context, 0));
  expect_ok(CU(cuCtxSetCurrent, context));
  expect_ok(CU(cuStreamCreate, &stream, CU_STREAM_NON_BLOCKING));
  expect_ok(CU(cuMemAlloc_v2, &word, 4));
  expect_ok(CU(cuMemsetD32_v2, word, 0, 1));
  expect_ok(CU(cuCtxSynchronize));
  expect_ok(CU(cuStreamWaitValue32_v2, stream, word, 1, CU_STREAM_WAIT_VALUE_EQ));
  expect(CU(cuStreamQuery, stream), CUDA_ERROR_NOT_READY);
}
CASE(stream_value, conditions) {
  const Context context;
  const Stream stream;
  const PinnedMemory word(8);
  const Release release(word);
  word.set_word(0xf0);
  expect_ok(CU(cuStreamWaitValue32_v2, stream, word.device(), 0x10, CU_STREAM_WAIT_VALUE_AND));
  expect_ok(CU(cuStreamWaitValue32_v2, stream, word.device(), 0xf0, CU_STREAM_WAIT_VALUE_EQ));
  expect_ok(CU(cuStreamWaitValue32_v2, stream, word.device(), 0xef, CU_STREAM_WAIT_VALUE_GEQ));
  expect_ok(CU(cuStreamWaitValue32_v2, stream, word.device(), 0xfffffff0, CU_STREAM_WAIT_VALUE_GEQ));  // cyclic
  if (device_attribute(CU_DEVICE_ATTRIBUTE_CAN_USE_STREAM_WAIT_VALUE_NOR) != 0)
    expect_ok(CU(cuStreamWaitValue32_v2, stream, word.device(), 0x0f, CU_STREAM_WAIT_VALUE_NOR));
  require(comes_to_rest(stream), "each of these holds already");
}
CASE(stream_value, wait_of_64_bits) {
  const Context context;
  const Stream stream;
  const DeviceMemory memory(8);
  const Stream other;
  memory.write_word(0, 0), memory.write_word(0, 1);
  expect_ok(CU(cuStreamWaitValue64_v2, stream, memory.at(), uint64_t{1} << 40, CU_STREAM_WAIT_VALUE_EQ));
  expect(CU(cuStreamQuery, stream), CUDA_ERROR_NOT_READY);
  expect_ok(CU(cuStreamWriteValue64_v2, other, memory.at(), uint64_t{1} << 40, 0));
  require(comes_to_rest(stream), "the stream goes on");
}
CASE(stream_value, in_the_legacy_stream) {
  const Context context;
  const DeviceMemory memory(4);
  expect_ok(CU(cuStreamWriteValue32_v2, nullptr, memory.at(), 77, 0));
  expect_ok(CU(cuStreamWaitValue32_v2, nullptr, memory.at(), 77, CU_STREAM_WAIT_VALUE_EQ));
  expect_ok(CU(cuCtxSynchronize));
  expect_equal(memory.word(), 77U, "the word");
}
CASE(stream_value, first_versions_follow_the_attribute) {
  const Context context;
  const Stream stream;
  const DeviceMemory memory(4);
  memory.write_word(1);
  const bool offered = device_attribute(CU_DEVICE_ATTRIBUTE_CAN_USE_STREAM_MEM_OPS_V1) != 0;
  const CUresult wanted = offered ? CUDA_SUCCESS : CUDA_ERROR_NOT_SUPPORTED;
  expect(CU(cuStreamWriteValue32, stream, memory.at(), 2, 0), wanted);
  expect(CU(cuStreamWaitValue32, stream, memory.at(), 1, CU_STREAM_WAIT_VALUE_GEQ), wanted);
  stream.synchronize();
  expect_equal(memory.word(), offered ? 2U : 1U, "the word");
}
CASE(stream_value, errors) {
  const Context context;
  const Stream stream;
  const DeviceMemory memory(16);
  expect(CU(cuStreamWriteValue32_v2, stream, memory.at(2), 1, 0), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuStreamWriteValue64_v2, stream, memory.at(4), 1, 0), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuStreamWaitValue32_v2, stream, memory.at(1), 1, 0), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuStreamWriteValue32_v2, stream, 0, 1, 0), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuStreamWriteValue32_v2, stream, memory.at(), 1, CU_STREAM_WRITE_VALUE_NO_MEMORY_BARRIER),
         CUDA_ERROR_INVALID_VALUE);
  alignas(8) static uint32_t pageable = 0;
  expect(CU(cuStreamWriteValue32_v2, stream, reinterpret_cast<CUdeviceptr>(&pageable), 1, 0), CUDA_ERROR_INVALID_VALUE);
}
CASE(stream_value, captured) {
  const Context context;
  const Stream stream;
  const DeviceMemory memory(4);
  memory.write_word(0);
  expect_ok(CU(cuStreamBeginCapture_v2, stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
  expect_ok(CU(cuStreamWriteValue32_v2, stream, memory.at(), 6, 0));
  CUgraph captured = nullptr;
  expect_ok(CU(cuStreamEndCapture, stream, &captured));
  const Graph graph(captured);
  expect_equal(memory.word(), 0U, "the word before the launch");
  const GraphExec exec(graph);
  expect_ok(CU(cuGraphLaunch, exec.get(), stream));
  stream.synchronize();
  expect_equal(memory.word(), 6U, "the word behind it");
}

CASE(stream_batch, writes_and_waits) {
  const Context context;
  const Stream stream;
  const DeviceMemory memory(24);
  const PinnedMemory pinned(8);
  memory.write_word(0, 0), memory.write_word(0, 1);
  CUstreamBatchMemOpParams operations[] = {
      operation(CU_STREAM_MEM_OP_WRITE_VALUE_32, memory.at(), 4),
      operation(CU_STREAM_MEM_OP_WAIT_VALUE_32, memory.at(), 4, CU_STREAM_WAIT_VALUE_EQ),
      operation(CU_STREAM_MEM_OP_WRITE_VALUE_64, memory.at(8), 0x500000006),
      operation(CU_STREAM_MEM_OP_WAIT_VALUE_64, memory.at(8), 0x500000006, CU_STREAM_WAIT_VALUE_EQ),
      operation(CU_STREAM_MEM_OP_WRITE_VALUE_32, pinned.device(), 8),
  };
  expect_ok(CU(cuStreamBatchMemOp_v2, stream, 5, operations, 0));
  require(comes_to_rest(stream), "every wait is fulfilled");
  expect_equal(memory.word(0), 4U, "the first word");
  expect_equal(memory.word(2), 6U, "the lower half");
  expect_equal(memory.word(3), 5U, "the upper half");
  expect_equal(pinned.word(), 8U, "the word in pinned memory");
}
CASE(stream_batch, barrier) {
  const Context context;
  const Stream stream;
  const DeviceMemory memory(4);
  CUstreamBatchMemOpParams barrier = {};
  barrier.operation = CU_STREAM_MEM_OP_BARRIER;
  barrier.head.flags = CU_STREAM_MEMORY_BARRIER_TYPE_SYS;
  CUstreamBatchMemOpParams operations[] = {operation(CU_STREAM_MEM_OP_WRITE_VALUE_32, memory.at(), 4), barrier};
  expect_ok(CU(cuStreamBatchMemOp_v2, stream, 2, operations, 0));
  stream.synchronize();
  expect_equal(memory.word(), 4U, "the word");
}
CASE(stream_batch, largest) {
  const Context context;
  const Stream stream;
  const DeviceMemory memory(1024);
  std::vector<CUstreamBatchMemOpParams> operations;
  for (unsigned i = 0; i < 255; ++i)
    operations.push_back(operation(CU_STREAM_MEM_OP_WRITE_VALUE_32, memory.at(4 * i), i + 1));
  for (int round = 0; round < 3; ++round) expect_ok(CU(cuStreamBatchMemOp_v2, stream, 255, operations.data(), 0));
  stream.synchronize();
  expect_equal(memory.word(0), 1U, "the first word");
  expect_equal(memory.word(254), 255U, "the last word");
  operations.push_back(operations.back());
  expect(CU(cuStreamBatchMemOp_v2, stream, 256, operations.data(), 0), CUDA_ERROR_INVALID_VALUE);
}
CASE(stream_batch, errors) {
  const Context context;
  const Stream stream;
  const DeviceMemory memory(8);
  auto one = operation(CU_STREAM_MEM_OP_WRITE_VALUE_32, memory.at(), 1);
  expect(CU(cuStreamBatchMemOp_v2, stream, 1, &one, 1), CUDA_ERROR_INVALID_VALUE);
  one = operation(CU_STREAM_MEM_OP_WRITE_VALUE_64, memory.at(4), 1);
  expect(CU(cuStreamBatchMemOp_v2, stream, 1, &one, 0), CUDA_ERROR_INVALID_VALUE);
  one = operation(99, memory.at(), 1);
  expect(CU(cuStreamBatchMemOp_v2, stream, 1, &one, 0), CUDA_ERROR_INVALID_VALUE);
}

}  // namespace
}  // namespace conformance
