// SPDX-License-Identifier: Apache-2.0
// Kernel launches: forms of the arguments, shapes, results, refusals.
#include <cstring>

#include "tests/conformance/fixtures/objects.hpp"
#include "tests/conformance/harness/registry.hpp"

namespace conformance {
namespace {

Outcome launch_empty(const Module& module, Dim grid, Dim block, unsigned shared = 0, CUstream stream = nullptr) {
  return launch_outcome(module.function("noop"), grid, block, shared, stream);
}

CASE(launch, empty) {
  const Context context;
  const Module module;
  expect_ok(launch_empty(module, {}, {}));
  expect_ok(CU(cuCtxSynchronize));
  expect_ok(CU(cuLaunchKernel, module.function("noop"), 1, 1, 1, 1, 1, 1, 0, nullptr, nullptr, nullptr));
  expect_ok(CU(cuCtxSynchronize));
}
CASE(launch, vector_add) {
  const Context context;
  const Module module;
  constexpr uint32_t kCount = 100'000;
  std::vector<float> a(kCount), b(kCount), sum(kCount);
  for (uint32_t i = 0; i < kCount; ++i) a[i] = float(i) * 0.5F, b[i] = float(kCount - i) * 0.25F;
  const DeviceMemory da(kCount * 4), db(kCount * 4), dsum(kCount * 4);
  expect_ok(CU(cuMemcpyHtoD_v2, da.at(), a.data(), kCount * 4));
  expect_ok(CU(cuMemcpyHtoD_v2, db.at(), b.data(), kCount * 4));
  launch(module.function("vector_add"), {(kCount + 255) / 256}, {256}, nullptr, da.at(), db.at(), dsum.at(), kCount);
  expect_ok(CU(cuMemcpyDtoH_v2, sum.data(), dsum.at(), kCount * 4));
  for (uint32_t i = 0; i < kCount; ++i) require(sum[i] == a[i] + b[i], "element " + std::to_string(i) + " is the sum");
}
CASE(launch, saxpy) {
  const Context context;
  const Module module;
  constexpr uint32_t kCount = 10'000;
  std::vector<float> x(kCount), y(kCount), result(kCount);
  for (uint32_t i = 0; i < kCount; ++i) x[i] = float(i), y[i] = float(2 * i);
  const DeviceMemory dx(kCount * 4), dy(kCount * 4);
  expect_ok(CU(cuMemcpyHtoD_v2, dx.at(), x.data(), kCount * 4));
  expect_ok(CU(cuMemcpyHtoD_v2, dy.at(), y.data(), kCount * 4));
  launch(module.function("saxpy"), {(kCount + 127) / 128}, {128}, nullptr, kCount, 3.0F, dx.at(), dy.at());
  expect_ok(CU(cuMemcpyDtoH_v2, result.data(), dy.at(), kCount * 4));
  for (uint32_t i = 0; i < kCount; ++i)
    require(result[i] == float(5 * i), "element " + std::to_string(i) + " is a x + y");
}
CASE(launch, three_dimensions) {
  const Context context;
  const Module module;
  constexpr unsigned kThreads = 3 * 4 * 5 * 8 * 2 * 4;
  const DeviceMemory out(kThreads * 4);
  expect_ok(CU(cuMemsetD8_v2, out.at(), 0xff, out.size()));
  launch(module.function("index_threads"), {3, 4, 5}, {8, 2, 4}, nullptr, out.at());
  const auto bytes = out.read();
  for (unsigned i = 0; i < kThreads; ++i) {
    uint32_t value = 0;
    std::memcpy(&value, &bytes[i * 4], 4);
    expect_equal(value, i, "the word of thread " + std::to_string(i));
  }
}
CASE(launch, every_thread_runs_once) {
  const Context context;
  const Module module;
  const DeviceMemory count(4);
  count.write_word(0);
  launch(module.function("count_threads"), {100}, {1024}, nullptr, count.at());
  expect_equal(count.word(), 102'400U, "the count");
}
CASE(launch, shared_memory_and_barriers) {
  const Context context;
  const Module module;
  const DeviceMemory in(1024), out(4);
  uint32_t sum = 0;
  std::vector<uint8_t> bytes(1024);
  for (uint32_t i = 0; i < 256; ++i) {
    const uint32_t word = i * i + 1;
    std::memcpy(&bytes[i * 4], &word, 4);
    sum += word;
  }
  in.write(bytes);
  launch(module.function("reduce"), {}, {256}, nullptr, in.at(), out.at());
  expect_equal(out.word(), sum, "the sum");
}
CASE(launch, dynamic_shared_memory) {
  const Context context;
  const Module module;
  const DeviceMemory out(4);
  expect_ok(launch_outcome(module.function("dynamic_shared"), {}, {}, 4000, nullptr, out.at(), uint32_t{1000}));
  expect_equal(out.word(), 499'500U, "the sum");
}
CASE(launch, more_shared_memory_by_consent) {
  const Context context;
  const Module module;
  const CUfunction function = module.function("dynamic_shared");
  const DeviceMemory out(4);
  expect(launch_outcome(function, {}, {}, 60'000, nullptr, out.at(), uint32_t{15'000}), CUDA_ERROR_INVALID_VALUE);
  expect_ok(CU(cuFuncSetAttribute, function, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 60'000));
  expect_ok(launch_outcome(function, {}, {}, 60'000, nullptr, out.at(), uint32_t{15'000}));
  expect_equal(out.word(), 112'492'500U, "the sum");
}
CASE(launch, local_memory) {
  const Context context;
  const Module module;
  const DeviceMemory out(4);
  launch(module.function("use_local"), {}, {}, nullptr, out.at(), uint32_t{11});
  expect_equal(out.word(), 33U, "the entry of the array");
}

struct MixedResult {
  uint64_t values[8];
};
MixedResult mixed_result(const DeviceMemory& out) {
  MixedResult result = {};
  const auto bytes = out.read();
  std::memcpy(&result, bytes.data(), sizeof result);
  return result;
}
struct Triple {
  uint64_t first, second, third;
};
void expect_mixed(const DeviceMemory& out, Where where = Where::current()) {
  const MixedResult result = mixed_result(out);
  const auto& values = result.values;
  const double wanted_double = -2.5;
  uint64_t double_bits = 0;
  std::memcpy(&double_bits, &wanted_double, 8);
  expect_equal(values[0], uint64_t{0xfe}, "the 8-bit parameter", where);
  expect_equal(values[1], uint64_t{0xfedc}, "the 16-bit parameter", where);
  expect_equal(values[2], uint64_t{0xfedcba98}, "the 32-bit parameter", where);
  expect_equal(values[3], uint64_t{0xfedcba9876543210}, "the 64-bit parameter", where);
  expect_equal(values[4], uint64_t{0x3fc00000}, "the float parameter", where);
  expect_equal(values[5], double_bits, "the double parameter", where);
  expect_equal(values[6], uint64_t{11}, "the first member of the structure", where);
  expect_equal(values[7], uint64_t{33}, "its last member", where);
}
CASE(launch, parameters_of_all_sizes) {
  const Context context;
  const Module module;
  const DeviceMemory out(64);
  launch(module.function("mixed_params"), {}, {}, nullptr, out.at(), uint8_t{0xfe}, uint16_t{0xfedc},
         uint32_t{0xfedcba98}, uint64_t{0xfedcba9876543210}, 1.5F, -2.5, Triple{11, 22, 33});
  expect_mixed(out);
}
CASE(launch, parameters_packed) {
  const Context context;
  const Module module;
  const DeviceMemory out(64);
  struct Packed {
    CUdeviceptr out;
    uint8_t a;
    uint16_t b;
    uint32_t c;
    uint64_t d;
    float e;
    double f;
    Triple g;
  } packed = {out.at(), 0xfe, 0xfedc, 0xfedcba98, 0xfedcba9876543210, 1.5F, -2.5, {11, 22, 33}};
  static_assert(sizeof(Packed) == 64);
  size_t size = sizeof packed;
  void* extra[] = {reinterpret_cast<void*>(kLaunchParamBufferPointer), &packed,
                   reinterpret_cast<void*>(kLaunchParamBufferSize), &size, reinterpret_cast<void*>(kLaunchParamEnd)};
  expect_ok(CU(cuLaunchKernel, module.function("mixed_params"), 1, 1, 1, 1, 1, 1, 0, nullptr, nullptr, extra));
  packed = {};  // the block has been read when the call returns
  expect_mixed(out);
}
CASE(launch, parameters_both_ways) {
  const Context context;
  const Module module;
  const DeviceMemory out(64);
  CUdeviceptr address = out.at();
  void* parameters[] = {&address};
  size_t size = sizeof address;
  void* extra[] = {reinterpret_cast<void*>(kLaunchParamBufferPointer), &address,
                   reinterpret_cast<void*>(kLaunchParamBufferSize), &size, reinterpret_cast<void*>(kLaunchParamEnd)};
  expect(CU(cuLaunchKernel, module.function("increment"), 1, 1, 1, 1, 1, 1, 0, nullptr, parameters, extra),
         CUDA_ERROR_INVALID_VALUE);
}
CASE(launch, parameters_are_read_at_once) {
  const Context context;
  const Module module;
  const Stream stream;
  const DeviceMemory out(4);
  out.write_word(0);
  Spinner spinner(module);
  spinner.start(stream);
  CUdeviceptr address = out.at();
  uint32_t value = 5;
  void* parameters[] = {&address, &value};
  expect_ok(CU(cuLaunchKernel, module.function("store"), 1, 1, 1, 1, 1, 1, 0, stream, parameters, nullptr));
  address = 0, value = 6;
  spinner.release();
  stream.synchronize();
  spinner.require_not_expired();
  expect_equal(out.word(), 5U, "the word");
}
CASE(launch, big_parameter) {
  const Context context;
  const Module module;
  const DeviceMemory out(4);
  struct Big {
    uint32_t words[1000];
  } big = {};
  big.words[0] = 40, big.words[999] = 2;
  launch(module.function("big_param"), {}, {}, nullptr, out.at(), big);
  expect_equal(out.word(), 42U, "the sum");
}

CASE(launch_errors, null_function) {
  const Context context;
  expect(CU(cuLaunchKernel, nullptr, 1, 1, 1, 1, 1, 1, 0, nullptr, nullptr, nullptr), CUDA_ERROR_INVALID_HANDLE);
}
CASE(launch_errors, empty_grid_or_block) {
  const Context context;
  const Module module;
  for (const Dim zero : {Dim{0, 1, 1}, Dim{1, 0, 1}, Dim{1, 1, 0}}) {
    expect(launch_empty(module, zero, {}), CUDA_ERROR_INVALID_VALUE);
    expect(launch_empty(module, {}, zero), CUDA_ERROR_INVALID_VALUE);
  }
}
CASE(launch_errors, block_too_large) {
  const Context context;
  const Module module;
  expect(launch_empty(module, {}, {1025}), CUDA_ERROR_INVALID_VALUE);
  expect(launch_empty(module, {}, {32, 33}), CUDA_ERROR_INVALID_VALUE);
  expect(launch_empty(module, {}, {1, 1, 65}), CUDA_ERROR_INVALID_VALUE);
  expect_ok(launch_empty(module, {}, {1024}));
  expect_ok(launch_empty(module, {}, {1, 1, 64}));
}
CASE(launch_errors, grid_too_large) {
  const Context context;
  const Module module;
  expect(launch_empty(module, {1, 65536}, {}), CUDA_ERROR_INVALID_VALUE);
  expect(launch_empty(module, {1, 1, 65536}, {}), CUDA_ERROR_INVALID_VALUE);
  expect(launch_empty(module, {0x80000000U}, {}), CUDA_ERROR_INVALID_VALUE);
}
CASE(launch_errors, more_threads_than_the_kernel_allows) {
  const Context context;
  const Module module;
  expect_ok(launch_outcome(module.function("at_most_64"), {}, {64}, 0, nullptr));
  expect(launch_outcome(module.function("at_most_64"), {}, {65}, 0, nullptr), CUDA_ERROR_INVALID_VALUE);
}
CASE(launch_errors, too_much_shared_memory) {
  const Context context;
  const Module module;
  expect(launch_empty(module, {}, {}, 1 << 20), CUDA_ERROR_INVALID_VALUE);
  expect(launch_empty(module, {}, {}, 49'153), CUDA_ERROR_INVALID_VALUE);
}
CASE(launch_errors, a_refused_launch_is_no_sticky_error) {
  const Context context;
  const Module module;
  expect(launch_empty(module, {}, {1025}), CUDA_ERROR_INVALID_VALUE);
  expect_ok(launch_empty(module, {}, {}));
  expect_ok(CU(cuCtxSynchronize));
}

CASE(launch_streams, per_thread_stream) {
  const Context context;
  const Module module;
  const DeviceMemory memory(4);
  memory.write_word(0);
  launch(module.function("increment"), {}, {}, CU_STREAM_PER_THREAD, memory.at());
  launch(module.function("increment"), {}, {}, CU_STREAM_LEGACY, memory.at());
  expect_equal(memory.word(), 2U, "the word");
}
CASE(launch_streams, two_threads) {
  const Context context;
  const Module module;
  const CUfunction increment = module.function("increment");
  const DeviceMemory memory(8);
  memory.write_word(0, 0), memory.write_word(0, 1);
  std::exception_ptr failures[2];
  std::thread threads[2];
  for (size_t t = 0; t < 2; ++t) {
    threads[t] = std::thread([&, t] {
      try {
        expect_ok(CU(cuCtxSetCurrent, context.get()));
        const Stream stream;
        for (int i = 0; i < 500; ++i) launch(increment, {}, {}, stream, memory.at(t * 4));
        stream.synchronize();
      } catch (...) {
        failures[t] = std::current_exception();
      }
    });
  }
  for (auto& thread : threads) thread.join();
  for (const auto& failure : failures) {
    if (failure) std::rethrow_exception(failure);
  }
  expect_equal(memory.word(0), 500U, "the word of the first thread");
  expect_equal(memory.word(1), 500U, "the word of the second");
}
CASE(launch_streams, happens_before_between_threads) {
  const Context context;
  const Module module;
  const CUfunction store = module.function("store");
  const Stream stream;
  const DeviceMemory memory(4);
  for (uint32_t i = 0; i < 50; ++i) {
    launch(store, {}, {}, stream, memory.at(), 2 * i);
    on_other_thread([&] {
      expect_ok(CU(cuCtxSetCurrent, context.get()));
      launch(store, {}, {}, stream, memory.at(), 2 * i + 1);
    });
    stream.synchronize();
    expect_equal(memory.word(), 2 * i + 1, "the word of the later launch");
  }
}

OWN_PROCESS_CASE(print, text_is_there_after_synchronising) {
  const Context context;
  const Module module(kPrinting);
  Stdout output;
  launch(module.function("print"), {}, {4}, nullptr);
  expect_ok(CU(cuCtxSynchronize));
  const std::string text = output.text();
  for (int i = 0; i < 4; ++i) {
    const std::string line = "thread " + std::to_string(i) + " of 4\n";
    require(text.find(line) != std::string::npos, "the text has '" + line + "': '" + text + "'");
  }
}

}  // namespace
}  // namespace conformance
