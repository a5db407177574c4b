// SPDX-License-Identifier: Apache-2.0
// Streams: what they are, and in which order their work runs.
#include <memory>
#include <set>

#include "tests/conformance/fixtures/objects.hpp"
#include "tests/conformance/harness/registry.hpp"

namespace conformance {
namespace {

CASE(stream, create_and_destroy) {
  const Context context;
  CUstream stream = nullptr;
  expect_ok(CU(cuStreamCreate, &stream, CU_STREAM_DEFAULT));
  require(stream != nullptr, "the stream has a handle");
  expect_ok(CU(cuStreamQuery, stream));
  expect_ok(CU(cuStreamSynchronize, stream));
  expect_ok(CU(cuStreamDestroy_v2, stream));
}
CASE(stream, create_errors) {
  const Context context;
  CUstream stream = nullptr;
  expect(CU(cuStreamCreate, nullptr, 0), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuStreamCreate, &stream, 0x100), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuStreamCreateWithPriority, &stream, 0x100, 0), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuStreamCreateWithPriority, nullptr, 0, 0), CUDA_ERROR_INVALID_VALUE);
}
CASE(stream, destroy_the_default_ones) {
  const Context context;
  expect(CU(cuStreamDestroy_v2, nullptr), CUDA_ERROR_INVALID_HANDLE);
  expect(CU(cuStreamDestroy_v2, CU_STREAM_LEGACY), CUDA_ERROR_INVALID_HANDLE);
  expect(CU(cuStreamDestroy_v2, CU_STREAM_PER_THREAD), CUDA_ERROR_INVALID_HANDLE);
  expect_ok(CU(cuStreamSynchronize, nullptr));
}
CASE(stream, flags) {
  const Context context;
  const Stream blocking(CU_STREAM_DEFAULT), other(CU_STREAM_NON_BLOCKING);
  unsigned flags = 99;
  expect_ok(CU(cuStreamGetFlags, blocking, &flags));
  expect_equal(flags, 0U + CU_STREAM_DEFAULT, "flags of a blocking stream");
  expect_ok(CU(cuStreamGetFlags, other, &flags));
  expect_equal(flags, 0U + CU_STREAM_NON_BLOCKING, "flags of a non-blocking stream");
  expect_ok(CU(cuStreamGetFlags, nullptr, &flags));
  expect_equal(flags, 0U + CU_STREAM_DEFAULT, "flags of the legacy stream");
  expect(CU(cuStreamGetFlags, other, nullptr), CUDA_ERROR_INVALID_VALUE);
}
CASE(stream, priority) {
  const Context context;
  int least = 0, greatest = 0, priority = 99;
  expect_ok(CU(cuCtxGetStreamPriorityRange, &least, &greatest));
  for (const int wanted : {least, greatest}) {
    CUstream stream = nullptr;
    expect_ok(CU(cuStreamCreateWithPriority, &stream, CU_STREAM_NON_BLOCKING, wanted));
    expect_ok(CU(cuStreamGetPriority, stream, &priority));
    expect_ok(CU(cuStreamDestroy_v2, stream));
    expect_equal(priority, wanted, "the priority");
  }
}
CASE(stream, priority_outside_the_range_is_clamped) {
  const Context context;
  int least = 0, greatest = 0, priority = 99;
  expect_ok(CU(cuCtxGetStreamPriorityRange, &least, &greatest));
  CUstream stream = nullptr;
  expect_ok(CU(cuStreamCreateWithPriority, &stream, CU_STREAM_NON_BLOCKING, greatest - 100));
  expect_ok(CU(cuStreamGetPriority, stream, &priority));
  expect_ok(CU(cuStreamDestroy_v2, stream));
  expect_equal(priority, greatest, "the clamped priority");
  expect_ok(CU(cuStreamCreateWithPriority, &stream, CU_STREAM_NON_BLOCKING, least + 100));
  expect_ok(CU(cuStreamGetPriority, stream, &priority));
  expect_ok(CU(cuStreamDestroy_v2, stream));
  expect_equal(priority, least, "the clamped priority");
}
CASE(stream, priority_of_the_default_ones) {
  const Context context;
  int priority = 99;
  expect_ok(CU(cuStreamGetPriority, nullptr, &priority));
  expect_equal(priority, 0, "the priority of the legacy stream");
  expect(CU(cuStreamGetPriority, nullptr, nullptr), CUDA_ERROR_INVALID_VALUE);
}
CASE(stream, identifiers_differ) {
  const Context context;
  std::set<unsigned long long> seen;
  std::vector<std::unique_ptr<Stream>> streams;
  unsigned long long id = 0;
  for (int i = 0; i < 20; ++i) {
    streams.push_back(std::make_unique<Stream>());
    expect_ok(CU(cuStreamGetId, *streams.back(), &id));
    require(seen.insert(id).second, "each stream has an identifier of its own");
  }
  expect_ok(CU(cuStreamGetId, CU_STREAM_LEGACY, &id));
  require(seen.insert(id).second, "so has the legacy stream");
  expect_ok(CU(cuStreamGetId, CU_STREAM_PER_THREAD, &id));
  require(seen.insert(id).second, "and that of the thread");
  unsigned long long again = 0;
  expect_ok(CU(cuStreamGetId, *streams.front(), &again));
  require(seen.count(again) == 1, "an identifier stays");
  expect(CU(cuStreamGetId, *streams.front(), nullptr), CUDA_ERROR_INVALID_VALUE);
}
CASE(stream, null_is_the_legacy_one) {
  const Context context;
  unsigned long long a = 0, b = 1;
  expect_ok(CU(cuStreamGetId, nullptr, &a));
  expect_ok(CU(cuStreamGetId, CU_STREAM_LEGACY, &b));
  expect_equal(a, b, "the identifier");
}
CASE(stream, context_and_device) {
  const Context context;
  const Stream stream;
  CUcontext owner = nullptr;
  expect_ok(CU(cuStreamGetCtx, stream, &owner));
  require(owner == context.get(), "the stream belongs to the context");
  expect_ok(CU(cuStreamGetCtx, nullptr, &owner));
  require(owner == context.get(), "the legacy stream is that of the current context");
  CUdevice device = -1;
  expect_ok(CU(cuStreamGetDevice, stream, &device));
  expect_equal(device, 0, "the device");
  expect(CU(cuStreamGetCtx, stream, nullptr), CUDA_ERROR_INVALID_VALUE);
}
CASE(stream, attributes) {
  const Context context;
  const Stream stream;
  CUlaunchAttributeValue value = {};
  expect_ok(CU(cuStreamGetAttribute, stream, CU_LAUNCH_ATTRIBUTE_SYNCHRONIZATION_POLICY, &value));
  observe("policy " + std::to_string(value.bytes[0]));
  value = {};
  value.bytes[0] = 2;  // spin
  expect_ok(CU(cuStreamSetAttribute, stream, CU_LAUNCH_ATTRIBUTE_SYNCHRONIZATION_POLICY, &value));
  value = {};
  expect_ok(CU(cuStreamGetAttribute, stream, CU_LAUNCH_ATTRIBUTE_SYNCHRONIZATION_POLICY, &value));
  expect_equal(int{value.bytes[0]}, 2, "the policy that was set");
  const Stream other;
  expect_ok(CU(cuStreamCopyAttributes, other, stream));
  value = {};
  expect_ok(CU(cuStreamGetAttribute, other, CU_LAUNCH_ATTRIBUTE_SYNCHRONIZATION_POLICY, &value));
  expect_equal(int{value.bytes[0]}, 2, "the policy that was copied");
}
CASE(stream, attribute_errors) {
  const Context context;
  const Stream stream;
  CUlaunchAttributeValue value = {};
  // The driver does not check the place for the value: with null it crashes.
  expect_one_of(CU(cuStreamGetAttribute, stream, 99, &value), {CUDA_ERROR_INVALID_VALUE, CUDA_ERROR_NOT_SUPPORTED});
}
CASE(stream, many) {
  const Context context;
  const Module module;
  const DeviceMemory memory(100 * 4);
  expect_ok(CU(cuMemsetD8_v2, memory.at(), 0, memory.size()));
  expect_ok(CU(cuCtxSynchronize));
  std::vector<std::unique_ptr<Stream>> streams;
  for (size_t i = 0; i < 100; ++i) {
    streams.push_back(std::make_unique<Stream>());
    launch(module.function("increment"), {}, {}, *streams.back(), memory.at(i * 4));
  }
  for (const auto& stream : streams) stream->synchronize();
  for (size_t i = 0; i < 100; ++i) expect_equal(memory.word(i), 1U, "the word of stream " + std::to_string(i));
}

/// Launches the function once on each of the streams and waits: its code is loaded, and the streams exist on the
/// device. On a real device work that needs either for the first time waits for the kernels that are running.
template <typename... Arguments>
void warm_up(std::initializer_list<CUstream> streams, CUfunction function, Arguments... arguments) {
  for (CUstream stream : streams) {
    launch(function, {}, {}, stream, arguments...);
    expect_ok(CU(cuStreamSynchronize, stream));
  }
}

CASE(stream_order, query_of_a_busy_one) {
  const Context context;
  const Module module;
  const Stream stream;
  Spinner spinner(module);
  spinner.start(stream);
  expect(CU(cuStreamQuery, stream), CUDA_ERROR_NOT_READY);
  spinner.release();
  stream.synchronize();
  expect_ok(CU(cuStreamQuery, stream));
  spinner.require_not_expired();
}
CASE(stream_order, destroy_of_a_busy_one_returns) {
  const Context context;
  const Module module;
  const DeviceMemory memory(4);
  memory.write_word(0);
  Spinner spinner(module);
  const Event done;
  CUstream stream = nullptr;
  expect_ok(CU(cuStreamCreate, &stream, CU_STREAM_NON_BLOCKING));
  spinner.start(stream);
  launch(module.function("increment"), {}, {}, stream, memory.at());
  expect_ok(CU(cuEventRecord, done, stream));
  expect_ok(CU(cuStreamDestroy_v2, stream));
  expect(CU(cuEventQuery, done), CUDA_ERROR_NOT_READY);
  spinner.release();
  expect_ok(CU(cuEventSynchronize, done));
  spinner.require_not_expired();
  expect_equal(memory.word(), 1U, "the word: work of a destroyed stream still runs");
}
CASE(stream_order, non_blocking_ones_are_independent) {
  const Context context;
  const Module module;
  const Stream busy, other;
  const DeviceMemory memory(4);
  memory.write_word(0);
  const CUfunction increment = module.function("increment");
  warm_up({busy, other}, increment, memory.at());
  Spinner spinner(module);
  spinner.start(busy);
  launch(increment, {}, {}, other, memory.at());
  other.synchronize();
  expect(CU(cuStreamQuery, busy), CUDA_ERROR_NOT_READY);
  spinner.release();
  busy.synchronize();
  spinner.require_not_expired();
}
CASE(stream_order, blocking_ones_are_independent_of_each_other) {
  const Context context;
  const Module module;
  const Stream busy(CU_STREAM_DEFAULT), other(CU_STREAM_DEFAULT);
  const CUfunction noop = module.function("noop");
  warm_up({busy, other}, noop);
  Spinner spinner(module);
  spinner.start(busy);
  launch(noop, {}, {}, other);
  other.synchronize();
  spinner.require_not_expired();
  spinner.release();
}
CASE(stream_order, legacy_waits_for_blocking_ones) {
  const Context context;
  const Module module;
  const Stream busy(CU_STREAM_DEFAULT);
  const PinnedMemory word(4);
  Spinner spinner(module);
  spinner.start(busy);
  launch(module.function("store"), {}, {}, nullptr, word.device(), uint32_t{1});
  expect(CU(cuStreamQuery, nullptr), CUDA_ERROR_NOT_READY);
  expect_equal(word.word(), 0U, "the word before the release");
  spinner.release();
  expect_ok(CU(cuStreamSynchronize, nullptr));
  spinner.require_not_expired();
  expect_equal(word.word(), 1U, "the word after it");
}
CASE(stream_order, blocking_ones_wait_for_the_legacy_one) {
  const Context context;
  const Module module;
  const Stream stream(CU_STREAM_DEFAULT);
  const PinnedMemory word(4);
  Spinner spinner(module);
  spinner.start(nullptr);
  launch(module.function("store"), {}, {}, stream, word.device(), uint32_t{1});
  expect(CU(cuStreamQuery, stream), CUDA_ERROR_NOT_READY);
  expect_equal(word.word(), 0U, "the word before the release");
  spinner.release();
  stream.synchronize();
  spinner.require_not_expired();
  expect_equal(word.word(), 1U, "the word after it");
}
CASE(stream_order, legacy_does_not_wait_for_non_blocking_ones) {
  const Context context;
  const Module module;
  const Stream busy;
  const CUfunction noop = module.function("noop");
  warm_up({busy, nullptr}, noop);
  Spinner spinner(module);
  spinner.start(busy);
  launch(noop, {}, {}, nullptr);
  expect_ok(CU(cuStreamSynchronize, nullptr));
  expect(CU(cuStreamQuery, busy), CUDA_ERROR_NOT_READY);
  spinner.require_not_expired();
  spinner.release();
}
CASE(stream_order, an_event_on_the_legacy_stream_is_a_barrier) {
  const Context context;
  const Module module;
  const Stream busy(CU_STREAM_DEFAULT), other(CU_STREAM_DEFAULT);
  const Event event;
  Spinner spinner(module);
  spinner.start(busy);
  expect_ok(CU(cuEventRecord, event, nullptr));
  launch(module.function("noop"), {}, {}, other);
  expect(CU(cuEventQuery, event), CUDA_ERROR_NOT_READY);
  expect(CU(cuStreamQuery, other), CUDA_ERROR_NOT_READY);
  spinner.release();
  other.synchronize();
  spinner.require_not_expired();
}
CASE(stream_order, per_thread_stream_waits_for_the_legacy_one) {
  const Context context;
  const Module module;
  const PinnedMemory word(4);
  Spinner spinner(module);
  spinner.start(nullptr);
  launch(module.function("store"), {}, {}, CU_STREAM_PER_THREAD, word.device(), uint32_t{1});
  expect(CU(cuStreamQuery, CU_STREAM_PER_THREAD), CUDA_ERROR_NOT_READY);
  spinner.release();
  expect_ok(CU(cuStreamSynchronize, CU_STREAM_PER_THREAD));
  spinner.require_not_expired();
  expect_equal(word.word(), 1U, "the word");
}
CASE(stream_order, per_thread_streams_of_two_threads) {
  const Context context;
  const Module module;
  const CUfunction noop = module.function("noop");
  warm_up({CU_STREAM_PER_THREAD}, noop);
  Spinner spinner(module);
  unsigned long long mine = 0, its = 0;
  expect_ok(CU(cuStreamGetId, CU_STREAM_PER_THREAD, &mine));
  OtherThread other;
  other.run([&] {
    expect_ok(CU(cuCtxSetCurrent, context.get()));
    expect_ok(CU(cuStreamGetId, CU_STREAM_PER_THREAD, &its));
    warm_up({CU_STREAM_PER_THREAD}, noop);
  });
  spinner.start(CU_STREAM_PER_THREAD);
  other.run([&] {
    launch(noop, {}, {}, CU_STREAM_PER_THREAD);
    expect_ok(CU(cuStreamSynchronize, CU_STREAM_PER_THREAD));
  });
  expect(CU(cuStreamQuery, CU_STREAM_PER_THREAD), CUDA_ERROR_NOT_READY);
  require(mine != its, "two threads have two streams");
  spinner.require_not_expired();
  spinner.release();
  expect_ok(CU(cuStreamSynchronize, CU_STREAM_PER_THREAD));
}
CASE(stream_order, wait_event_orders_two_streams) {
  const Context context;
  const Module module;
  const Stream first, second;
  const Event event(CU_EVENT_DISABLE_TIMING);
  const PinnedMemory word(4);
  Spinner spinner(module);
  spinner.start(first);
  expect_ok(CU(cuEventRecord, event, first));
  expect_ok(CU(cuStreamWaitEvent, second, event, 0));
  launch(module.function("store"), {}, {}, second, word.device(), uint32_t{1});
  expect(CU(cuStreamQuery, second), CUDA_ERROR_NOT_READY);
  expect_equal(word.word(), 0U, "the word before the release");
  spinner.release();
  second.synchronize();
  spinner.require_not_expired();
  expect_equal(word.word(), 1U, "the word after it");
}
CASE(stream_order, wait_takes_the_record_of_its_time) {
  const Context context;
  const Module module;
  const Stream first, second, third;
  const Event event;
  Spinner spinner(module);
  launch(module.function("noop"), {}, {}, first);
  expect_ok(CU(cuEventRecord, event, first));
  expect_ok(CU(cuStreamWaitEvent, second, event, 0));
  spinner.start(third);
  expect_ok(CU(cuEventRecord, event, third));
  launch(module.function("noop"), {}, {}, second);
  second.synchronize();
  expect(CU(cuEventQuery, event), CUDA_ERROR_NOT_READY);
  spinner.require_not_expired();
  spinner.release();
}
CASE(stream_order, wait_for_an_unrecorded_event) {
  const Context context;
  const Stream stream;
  const Event event;
  expect_ok(CU(cuStreamWaitEvent, stream, event, 0));
  stream.synchronize();
}
CASE(stream_order, wait_event_errors) {
  const Context context;
  const Stream stream;
  const Event event;
  expect(CU(cuStreamWaitEvent, stream, nullptr, 0), CUDA_ERROR_INVALID_HANDLE);
  expect(CU(cuStreamWaitEvent, stream, event, 0x100), CUDA_ERROR_INVALID_VALUE);
}
CASE(stream_order, thousand_launches_in_order) {
  const Context context;
  const Module module;
  const Stream stream;
  const DeviceMemory memory(4);
  memory.write_word(0);
  const CUfunction increment = module.function("increment");
  for (int i = 0; i < 5000; ++i) launch(increment, {}, {}, stream, memory.at());
  stream.synchronize();
  expect_equal(memory.word(), 5000U, "the word");
}

}  // namespace
}  // namespace conformance
