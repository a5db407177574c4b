// SPDX-License-Identifier: Apache-2.0
// Pinned memory that is given back at once and used anew: nothing stale, nothing torn, nothing left behind.
#include <unistd.h>

#include <cstdio>
#include <cstring>

#include "tests/conformance/harness/registry.hpp"
#include "tests/traps/support/crew.hpp"

namespace traps {
namespace {

/// Words that say where they are and in which round they were written.
void fill_words(const PinnedMemory& memory, size_t size, uint32_t round) {
  auto* words = static_cast<uint32_t*>(memory.get());
  for (size_t i = 0; i < size / 4; ++i) words[i] = round * 0x9e3779b9U + static_cast<uint32_t>(i);
}
void expect_words(const PinnedMemory& memory, size_t size, uint32_t round, const char* what,
                  Where where = Where::current()) {
  const auto* words = static_cast<const uint32_t*>(memory.get());
  for (size_t i = 0; i < size / 4; ++i) {
    if (words[i] != round * 0x9e3779b9U + static_cast<uint32_t>(i))
      fail(std::string(what) + " differs at word " + std::to_string(i) + " in round " + std::to_string(round), where);
  }
}

// A copy to pinned memory is on its way when that is freed: the free waits, and who gets the place next sees nothing of
// it.
void reuse_at_once(size_t size, uint32_t rounds) {
  const Context context;
  const Stream stream;
  const DeviceMemory old_data(size), new_data(size);
  expect_ok(CU(cuMemsetD8Async, old_data.at(), 0xee, size, stream));
  stream.synchronize();
  for (uint32_t round = 1; round <= rounds; ++round) {
    {
      const PinnedMemory first(size);
      expect_ok(CU(cuMemcpyDtoHAsync_v2, first.get(), old_data.at(), size, stream));
      stands_at("cuMemFreeHost behind a copy");
    }
    const PinnedMemory second(size), back(size);
    fill_words(second, size, round);
    expect_ok(CU(cuMemcpyHtoDAsync_v2, new_data.at(), second.get(), size, stream));
    expect_ok(CU(cuMemcpyDtoHAsync_v2, back.get(), new_data.at(), size, stream));
    stands_at("waiting for copies through fresh pinned memory");
    stream.synchronize();
    expect_words(second, size, round, "the source");
    expect_words(back, size, round, "what came back");
  }
}
CASE(pinned_trap, freed_behind_a_copy_and_used_again) { reuse_at_once(256 << 10, 100); }
CASE(pinned_trap, large_freed_behind_a_copy_and_used_again) { reuse_at_once(20 << 20, 10); }

// The copy is complete, the memory is freed and another piece takes its place, over and over, in several threads.
CASE(pinned_trap, threads_copy_free_and_allocate) {
  const Context context;
  Crew crew;
  for (uint32_t t = 0; t < 4; ++t) {
    crew.add(context, "copying", [t] {
      const Stream stream;
      for (uint32_t round = 0; round < 60; ++round) {
        const size_t size = size_t{4096} << (round % 7);
        const DeviceMemory memory(size);
        const PinnedMemory source(size);
        fill_words(source, size, t * 1000 + round);
        expect_ok(CU(cuMemcpyHtoDAsync_v2, memory.at(), source.get(), size, stream));
        const PinnedMemory target(size);
        expect_ok(CU(cuMemcpyDtoHAsync_v2, target.get(), memory.at(), size, stream));
        stands_at("waiting for copies of pinned memory");
        stream.synchronize();
        expect_words(target, size, t * 1000 + round, "what came back");
        stands_at("giving pinned memory back");
      }
    });
  }
  crew.join();
}

/// Pages of this process that are in memory now, its part of what it shares with others included.
size_t resident_bytes() {
  size_t size = 0, resident = 0;
  std::FILE* file = std::fopen("/proc/self/statm", "r");
  require(file != nullptr && std::fscanf(file, "%zu %zu", &size, &resident) == 2, "/proc/self/statm can be read");
  std::fclose(file);
  return resident * static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

// Batches as data loaders make them: pinned, copied, computed on, copied back, freed. A hundred, or as many as a busy
// machine gets done in half the deadline; what each left behind would show after fifteen.
CASE(pinned_trap, batches_of_38_MB_leave_nothing_behind) {
  const Context context;
  const Module module;
  const Stream stream;
  constexpr size_t kBatch = 38'000'000 / 4 * 4;
  constexpr uint32_t kBatches = 100, kAtLeast = 15;
  const auto enough = std::chrono::steady_clock::now() + kPatience / 2;
  uint32_t batch = 0;
  const DeviceMemory memory(kBatch);
  const CUfunction increment = module.function("increment");
  size_t early = 0;
  for (; batch < kBatches && (batch < kAtLeast || std::chrono::steady_clock::now() < enough); ++batch) {
    void* pinned = nullptr;
    stands_at("cuMemHostAlloc of a batch");
    expect_ok(CU(cuMemHostAlloc, &pinned, kBatch, 0));
    std::memset(pinned, static_cast<int>(batch), kBatch);
    auto* words = static_cast<uint32_t*>(pinned);
    stands_at("copying a batch");
    expect_ok(CU(cuMemcpyHtoDAsync_v2, memory.at(), pinned, kBatch, stream));
    launch(increment, {}, {}, stream, memory.at(kBatch - 4));
    expect_ok(CU(cuMemcpyDtoHAsync_v2, pinned, memory.at(), kBatch, stream));
    stream.synchronize();
    const uint32_t wanted = batch * 0x01010101U;
    expect_equal(words[0], wanted, "the first word");
    expect_equal(words[kBatch / 8], wanted, "a word in the middle");
    expect_equal(words[kBatch / 4 - 1], wanted + 1, "the last word");
    stands_at("cuMemFreeHost of a batch");
    expect_ok(CU(cuMemFreeHost, pinned));
    if (batch == 4) early = resident_bytes();
  }
  const size_t late = resident_bytes();
  observe(std::to_string(batch) + " batches; " + std::to_string(early >> 20) + " MiB resident after 5 batches, " +
          std::to_string(late >> 20) + " at the end");
  require(late < early + (100u << 20), "the process does not grow by more than 100 MiB over ten batches and more");
}

}  // namespace
}  // namespace traps
