// SPDX-License-Identifier: Apache-2.0
// Functions of the host in streams.
#include "tests/conformance/fixtures/objects.hpp"
#include "tests/conformance/harness/registry.hpp"

namespace conformance {
namespace {

/// What host functions leave behind.
struct Diary {
  std::mutex lock;
  std::vector<int> entries;
  void add(int entry) {
    const std::scoped_lock hold(lock);
    entries.push_back(entry);
  }
};
struct Entry {
  Diary* diary;
  int number;
};

CASE(host_function, runs_in_order) {
  const Context context;
  const Stream stream;
  Diary diary;
  Entry entries[20];
  for (int i = 0; i < 20; ++i) {
    entries[i] = {&diary, i};
    expect_ok(CU(
        cuLaunchHostFunc, stream,
        [](void* user) { static_cast<Entry*>(user)->diary->add(static_cast<Entry*>(user)->number); }, &entries[i]));
  }
  stream.synchronize();
  expect_equal(diary.entries.size(), size_t{20}, "the number of calls");
  for (int i = 0; i < 20; ++i) expect_equal(diary.entries[size_t(i)], i, "call " + std::to_string(i));
}

struct Probe {
  const PinnedMemory* word;
  uint32_t seen = 99;
};

CASE(host_function, sees_earlier_work_and_not_later) {
  const Context context;
  const Module module;
  const Stream stream;
  const PinnedMemory word(4);
  Probe probe{&word};
  launch(module.function("store"), {}, {}, stream, word.device(), uint32_t{1});
  expect_ok(CU(
      cuLaunchHostFunc, stream,
      [](void* user) { static_cast<Probe*>(user)->seen = static_cast<Probe*>(user)->word->word(); }, &probe));
  launch(module.function("store"), {}, {}, stream, word.device(), uint32_t{2});
  stream.synchronize();
  expect_equal(probe.seen, 1U, "what the function saw");
  expect_equal(word.word(), 2U, "the word at the end");
}
CASE(host_function, later_work_sees_what_it_wrote) {
  const Context context;
  const Module module;
  const Stream stream;
  const PinnedMemory word(4);
  const DeviceMemory memory(4);
  for (int i = 0; i < 20; ++i) {
    word.set_word(0);
    expect_ok(CU(
        cuLaunchHostFunc, stream, [](void* user) { static_cast<PinnedMemory*>(user)->set_word(17); },
        const_cast<PinnedMemory*>(&word)));
    launch(module.function("copy_word"), {}, {}, stream, memory.at(), word.device());
    stream.synchronize();
    expect_equal(memory.word(), 17U, "the word");
  }
}
CASE(host_function, waits_for_its_stream) {
  const Context context;
  const Module module;
  const Stream stream;
  Spinner spinner(module);
  std::atomic<int> called{0};
  spinner.start(stream);
  expect_ok(CU(
      cuLaunchHostFunc, stream, [](void* user) { ++*static_cast<std::atomic<int>*>(user); }, &called));
  expect(CU(cuStreamQuery, stream), CUDA_ERROR_NOT_READY);
  expect_equal(called.load(), 0, "calls before the release");
  spinner.release();
  stream.synchronize();
  spinner.require_not_expired();
  expect_equal(called.load(), 1, "calls after it");
}
CASE(host_function, in_the_legacy_stream) {
  const Context context;
  std::atomic<int> called{0};
  expect_ok(CU(
      cuLaunchHostFunc, nullptr, [](void* user) { ++*static_cast<std::atomic<int>*>(user); }, &called));
  expect_ok(CU(cuStreamSynchronize, nullptr));
  expect_equal(called.load(), 1, "calls");
}
CASE(host_function, runs_beside_the_caller) {
  const Context context;
  const Stream stream;
  std::thread::id where;
  expect_ok(CU(
      cuLaunchHostFunc, stream, [](void* user) { *static_cast<std::thread::id*>(user) = std::this_thread::get_id(); },
      &where));
  stream.synchronize();
  require(where != std::thread::id() && where != std::this_thread::get_id(), "another thread ran it");
}
CASE(host_function, errors) {
  const Context context;
  const Stream stream;
  expect(CU(cuLaunchHostFunc, stream, nullptr, nullptr), CUDA_ERROR_INVALID_VALUE);
}

struct Callback {
  CUstream stream = nullptr;
  CUresult status = CUDA_ERROR_UNKNOWN;
  int calls = 0;
  static void run(CUstream stream, CUresult status, void* user) {
    auto* self = static_cast<Callback*>(user);
    self->stream = stream, self->status = status, ++self->calls;
  }
};

CASE(callback, is_called_with_the_status) {
  const Context context;
  const Module module;
  const Stream stream;
  Callback callback;
  launch(module.function("noop"), {}, {}, stream);
  expect_ok(CU(cuStreamAddCallback, stream, Callback::run, &callback, 0));
  stream.synchronize();
  expect_equal(callback.calls, 1, "calls");
  expect_equal(int{callback.status}, 0, "the status");
  require(callback.stream == stream, "the stream is passed on");
}
CASE(callback, order_with_host_functions) {
  const Context context;
  const Stream stream;
  Diary diary;
  Entry first{&diary, 1}, second{&diary, 2}, third{&diary, 3};
  const auto write = [](void* user) { static_cast<Entry*>(user)->diary->add(static_cast<Entry*>(user)->number); };
  expect_ok(CU(cuLaunchHostFunc, stream, write, &first));
  expect_ok(CU(
      cuStreamAddCallback, stream, [](CUstream, CUresult, void* user) { static_cast<Entry*>(user)->diary->add(2); },
      &second, 0));
  expect_ok(CU(cuLaunchHostFunc, stream, write, &third));
  stream.synchronize();
  require(diary.entries == std::vector<int>({1, 2, 3}), "the functions run in the order of the stream");
}
CASE(callback, errors) {
  const Context context;
  const Stream stream;
  expect(CU(cuStreamAddCallback, stream, nullptr, nullptr, 0), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuStreamAddCallback, stream, Callback::run, nullptr, 1), CUDA_ERROR_INVALID_VALUE);
}

}  // namespace
}  // namespace conformance
