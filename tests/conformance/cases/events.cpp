// SPDX-License-Identifier: Apache-2.0
// Events.
#include <chrono>

#include "tests/conformance/fixtures/objects.hpp"
#include "tests/conformance/harness/registry.hpp"

namespace conformance {
namespace {

CASE(event, create_and_destroy) {
  const Context context;
  for (const unsigned flags : {0U, 1U, 2U, 3U}) {
    CUevent event = nullptr;
    expect_ok(CU(cuEventCreate, &event, flags));
    require(event != nullptr, "the event has a handle");
    expect_ok(CU(cuEventDestroy_v2, event));
  }
}
CASE(event, create_errors) {
  const Context context;
  CUevent event = nullptr;
  expect(CU(cuEventCreate, nullptr, 0), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuEventCreate, &event, 0x100), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuEventCreate, &event, CU_EVENT_INTERPROCESS), CUDA_ERROR_INVALID_VALUE);
}
CASE(event, null) {
  const Context context;
  expect(CU(cuEventDestroy_v2, nullptr), CUDA_ERROR_INVALID_HANDLE);
  expect(CU(cuEventRecord, nullptr, nullptr), CUDA_ERROR_INVALID_HANDLE);
  expect(CU(cuEventQuery, nullptr), CUDA_ERROR_INVALID_HANDLE);
  expect(CU(cuEventSynchronize, nullptr), CUDA_ERROR_INVALID_HANDLE);
}
CASE(event, unrecorded_is_complete) {
  const Context context;
  const Event event;
  expect_ok(CU(cuEventQuery, event));
  expect_ok(CU(cuEventSynchronize, event));
}
CASE(event, record_and_complete) {
  const Context context;
  const Module module;
  const Stream stream;
  const Event event;
  launch(module.function("noop"), {}, {}, stream);
  expect_ok(CU(cuEventRecord, event, stream));
  expect_ok(CU(cuEventSynchronize, event));
  expect_ok(CU(cuEventQuery, event));
}
CASE(event, pending_behind_a_kernel) {
  const Context context;
  const Module module;
  const Stream stream;
  const Event before, after;
  Spinner spinner(module);
  expect_ok(CU(cuEventRecord, before, stream));
  spinner.start(stream);
  expect_ok(CU(cuEventRecord, after, stream));
  expect(CU(cuEventQuery, after), CUDA_ERROR_NOT_READY);
  expect_ok(CU(cuEventSynchronize, before));
  spinner.release();
  expect_ok(CU(cuEventSynchronize, after));
  expect_ok(CU(cuEventQuery, after));
  spinner.require_not_expired();
}
CASE(event, results_are_there_when_it_is_complete) {
  const Context context;
  const Module module;
  const Stream stream;
  const Event event(CU_EVENT_BLOCKING_SYNC | CU_EVENT_DISABLE_TIMING);
  const PinnedMemory word(4);
  for (uint32_t i = 1; i <= 100; ++i) {
    launch(module.function("store"), {}, {}, stream, word.device(), i);
    expect_ok(CU(cuEventRecord, event, stream));
    expect_ok(CU(cuEventSynchronize, event));
    expect_equal(word.word(), i, "what the kernel wrote");
  }
}
CASE(event, polled) {
  const Context context;
  const Module module;
  const Stream stream;
  const Event event(CU_EVENT_DISABLE_TIMING);
  const PinnedMemory word(4);
  launch(module.function("store"), {}, {}, stream, word.device(), uint32_t{3});
  expect_ok(CU(cuEventRecord, event, stream));
  while (expect_one_of(CU(cuEventQuery, event), {CUDA_SUCCESS, CUDA_ERROR_NOT_READY}) != CUDA_SUCCESS) {
    take_observed();
    std::this_thread::yield();
  }
  take_observed();
  expect_equal(word.word(), 3U, "the word");
}
CASE(event, recorded_again) {
  const Context context;
  const Module module;
  const Stream busy, idle;
  const Event event;
  Spinner spinner(module);
  expect_ok(CU(cuEventRecord, event, idle));
  expect_ok(CU(cuEventSynchronize, event));
  spinner.start(busy);
  expect_ok(CU(cuEventRecord, event, busy));
  expect(CU(cuEventQuery, event), CUDA_ERROR_NOT_READY);
  expect_ok(CU(cuEventRecord, event, idle));
  expect_ok(CU(cuEventSynchronize, event));
  spinner.require_not_expired();
  spinner.release();
}
CASE(event, destroyed_while_pending) {
  const Context context;
  const Module module;
  const Stream stream, other;
  const PinnedMemory word(4);
  Spinner spinner(module);
  CUevent event = nullptr;
  expect_ok(CU(cuEventCreate, &event, 0));
  spinner.start(stream);
  expect_ok(CU(cuEventRecord, event, stream));
  expect_ok(CU(cuStreamWaitEvent, other, event, 0));
  expect_ok(CU(cuEventDestroy_v2, event));
  launch(module.function("store"), {}, {}, other, word.device(), uint32_t{1});
  expect(CU(cuStreamQuery, other), CUDA_ERROR_NOT_READY);
  spinner.release();
  other.synchronize();
  spinner.require_not_expired();
  expect_equal(word.word(), 1U, "the word: the wait outlived the event");
}
CASE(event, record_with_flags) {
  const Context context;
  const Stream stream;
  const Event event;
  expect_ok(CU(cuEventRecordWithFlags, event, stream, CU_EVENT_RECORD_DEFAULT));
  expect_ok(CU(cuEventSynchronize, event));
  expect(CU(cuEventRecordWithFlags, event, stream, 0x100), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuEventRecordWithFlags, event, stream, CU_EVENT_RECORD_EXTERNAL), CUDA_ERROR_ILLEGAL_STATE);
}
OWN_PROCESS_CASE(event, of_another_context) {
  const Context context;
  const Stream stream;
  CUcontext other = nullptr;
  expect_ok(CU(cuCtxCreate_v2, &other, 0, 0));
  CUevent event = nullptr;
  expect_ok(CU(cuEventCreate, &event, 0));
  expect_ok(CU(cuCtxSetCurrent, context.get()));
  expect(CU(cuEventRecord, event, stream), CUDA_ERROR_INVALID_HANDLE);
}

CASE(elapsed, of_two_events) {
  const Context context;
  const Module module;
  const Stream stream;
  const Event start, end;
  launch(module.function("noop"), {}, {}, stream);
  expect_ok(CU(cuEventRecord, start, stream));
  launch(module.function("noop"), {}, {}, stream);
  expect_ok(CU(cuEventRecord, end, stream));
  expect_ok(CU(cuEventSynchronize, end));
  float milliseconds = -1;
  expect_ok(CU(cuEventElapsedTime_v2, &milliseconds, start, end));
  require(milliseconds >= 0 && milliseconds < 1000, "the time makes sense");
  expect_ok(CU(cuEventElapsedTime, &milliseconds, start, end));
  require(milliseconds >= 0 && milliseconds < 1000, "the older entry, too");
}
CASE(elapsed, covers_what_ran_between) {
  const Context context;
  const Module module;
  const Stream stream;
  const Event start, end;
  Spinner spinner(module);
  // From before the first event to after the second: no time between them can be longer, on a busy machine either.
  const auto began = std::chrono::steady_clock::now();
  expect_ok(CU(cuEventRecord, start, stream));
  expect_ok(CU(cuEventSynchronize, start));
  spinner.start(stream);
  expect_ok(CU(cuEventRecord, end, stream));
  // The time itself is what is measured here.
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  spinner.release();
  expect_ok(CU(cuEventSynchronize, end));
  const float most = std::chrono::duration<float, std::milli>(std::chrono::steady_clock::now() - began).count();
  float milliseconds = -1;
  expect_ok(CU(cuEventElapsedTime_v2, &milliseconds, start, end));
  observe(std::to_string(milliseconds) + " ms");
  require(milliseconds >= 45 && milliseconds <= most + 20, "the time is that of the kernel");
}
CASE(elapsed, of_an_event_with_itself) {
  const Context context;
  const Event event;
  expect_ok(CU(cuEventRecord, event, nullptr));
  expect_ok(CU(cuEventSynchronize, event));
  float milliseconds = -1;
  expect_ok(CU(cuEventElapsedTime_v2, &milliseconds, event, event));
  require(milliseconds == 0, "no time passes");
}
CASE(elapsed, unrecorded) {
  const Context context;
  const Event start, end;
  float milliseconds = 0;
  expect(CU(cuEventElapsedTime_v2, &milliseconds, start, end), CUDA_ERROR_INVALID_HANDLE);
  expect_ok(CU(cuEventRecord, start, nullptr));
  expect_ok(CU(cuEventSynchronize, start));
  expect(CU(cuEventElapsedTime_v2, &milliseconds, start, end), CUDA_ERROR_INVALID_HANDLE);
}
CASE(elapsed, without_timing) {
  const Context context;
  const Event start(CU_EVENT_DISABLE_TIMING), end;
  expect_ok(CU(cuEventRecord, start, nullptr));
  expect_ok(CU(cuEventRecord, end, nullptr));
  expect_ok(CU(cuCtxSynchronize));
  float milliseconds = 0;
  expect(CU(cuEventElapsedTime_v2, &milliseconds, start, end), CUDA_ERROR_INVALID_HANDLE);
}
CASE(elapsed, pending) {
  const Context context;
  const Module module;
  const Stream stream;
  const Event start, end;
  Spinner spinner(module);
  expect_ok(CU(cuEventRecord, start, stream));
  spinner.start(stream);
  expect_ok(CU(cuEventRecord, end, stream));
  float milliseconds = 0;
  expect(CU(cuEventElapsedTime_v2, &milliseconds, start, end), CUDA_ERROR_NOT_READY);
  spinner.release();
  stream.synchronize();
  spinner.require_not_expired();
}
CASE(elapsed, errors) {
  const Context context;
  const Event event;
  expect_ok(CU(cuEventRecord, event, nullptr));
  expect_ok(CU(cuEventSynchronize, event));
  float milliseconds = 0;
  expect(CU(cuEventElapsedTime_v2, nullptr, event, event), CUDA_ERROR_INVALID_HANDLE);
  expect_one_of(CU(cuEventElapsedTime_v2, &milliseconds, nullptr, event),
                {CUDA_ERROR_INVALID_HANDLE, CUDA_ERROR_INVALID_VALUE});
  expect_one_of(CU(cuEventElapsedTime_v2, &milliseconds, event, nullptr),
                {CUDA_ERROR_INVALID_HANDLE, CUDA_ERROR_INVALID_VALUE});
}

}  // namespace
}  // namespace conformance
