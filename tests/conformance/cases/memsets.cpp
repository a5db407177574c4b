// SPDX-License-Identifier: Apache-2.0
// Filling device memory.
#include <cstring>

#include "tests/conformance/fixtures/objects.hpp"
#include "tests/conformance/harness/registry.hpp"

namespace conformance {
namespace {

template <typename T>
void expect_filled(const DeviceMemory& memory, size_t first, size_t count, T value, Where where = Where::current()) {
  const auto bytes = memory.read();
  for (size_t i = 0; i < bytes.size(); ++i) {
    uint8_t pieces[sizeof(T)];
    std::memcpy(pieces, &value, sizeof value);
    const bool inside = i >= first && i < first + count * sizeof(T);
    const int wanted = inside ? pieces[(i - first) % sizeof(T)] : 0xa5;
    if (bytes[i] != wanted) expect_equal(int{bytes[i]}, wanted, "byte " + std::to_string(i), where);
  }
}

struct Prepared {
  Context context;
  DeviceMemory memory{4096};
  Prepared() {
    expect_ok(CU(cuMemsetD8_v2, memory.at(), 0xa5, memory.size()));
    expect_ok(CU(cuCtxSynchronize));
  }
};

CASE(memset, bytes) {
  const Prepared p;
  expect_ok(CU(cuMemsetD8_v2, p.memory.at(13), 0x42, 1001));
  expect_filled<uint8_t>(p.memory, 13, 1001, 0x42);
}
CASE(memset, halves) {
  const Prepared p;
  expect_ok(CU(cuMemsetD16_v2, p.memory.at(14), 0x1234, 501));
  expect_filled<uint16_t>(p.memory, 14, 501, 0x1234);
}
CASE(memset, words) {
  const Prepared p;
  expect_ok(CU(cuMemsetD32_v2, p.memory.at(12), 0x12345678, 301));
  expect_filled<uint32_t>(p.memory, 12, 301, 0x12345678);
}
CASE(memset, bytes_on_a_stream) {
  const Prepared p;
  const Stream stream;
  expect_ok(CU(cuMemsetD8Async, p.memory.at(1), 0x17, 4000, stream));
  stream.synchronize();
  expect_filled<uint8_t>(p.memory, 1, 4000, 0x17);
}
CASE(memset, halves_on_a_stream) {
  const Prepared p;
  const Stream stream;
  expect_ok(CU(cuMemsetD16Async, p.memory.at(2), 0x9876, 1000, stream));
  stream.synchronize();
  expect_filled<uint16_t>(p.memory, 2, 1000, 0x9876);
}
CASE(memset, words_on_a_stream) {
  const Prepared p;
  const Stream stream;
  expect_ok(CU(cuMemsetD32Async, p.memory.at(4), 0xdeadbeef, 1000, stream));
  stream.synchronize();
  expect_filled<uint32_t>(p.memory, 4, 1000, 0xdeadbeef);
}
CASE(memset, nothing) {
  const Prepared p;
  expect_ok(CU(cuMemsetD8_v2, p.memory.at(), 0, 0));
  expect_ok(CU(cuMemsetD32_v2, p.memory.at(), 0, 0));
  expect_filled<uint8_t>(p.memory, 0, 0, 0);
}
CASE(memset, misaligned) {
  const Prepared p;
  expect(CU(cuMemsetD16_v2, p.memory.at(1), 0, 4), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuMemsetD32_v2, p.memory.at(2), 0, 4), CUDA_ERROR_INVALID_VALUE);
  expect_filled<uint8_t>(p.memory, 0, 0, 0);
}
CASE(memset, past_the_end) {
  const Prepared p;
  expect(CU(cuMemsetD8_v2, p.memory.at(), 0, 64 << 20), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuMemsetD32_v2, p.memory.at(), 0, 64 << 20), CUDA_ERROR_INVALID_VALUE);
  expect_filled<uint8_t>(p.memory, 0, 0, 0);
}
CASE(memset, unknown_address) {
  const Prepared p;
  expect(CU(cuMemsetD8_v2, 0x1000, 0, 16), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuMemsetD8_v2, 0, 0, 16), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuMemsetD8Async, 0x1000, 0, 16, nullptr), CUDA_ERROR_INVALID_VALUE);
}
CASE(memset, pinned_memory) {
  const Context context;
  const PinnedMemory pinned(1024);
  expect_ok(CU(cuMemsetD8_v2, pinned.device(), 0x33, 1000));
  expect_ok(CU(cuCtxSynchronize));
  expect_equal(int{pinned.bytes()[999]}, 0x33, "the last byte");
  expect_equal(int{pinned.bytes()[1000]}, 0, "the byte behind");
}

template <typename T>
void expect_rectangle(const DeviceMemory& memory, size_t pitch, size_t width, size_t height, T value,
                      Where where = Where::current()) {
  const auto bytes = memory.read();
  for (size_t i = 0; i < bytes.size(); ++i) {
    const bool inside = i % pitch < width * sizeof(T) && i / pitch < height;
    uint8_t pieces[sizeof(T)];
    std::memcpy(pieces, &value, sizeof value);
    const int wanted = inside ? pieces[i % pitch % sizeof(T)] : 0xa5;
    if (bytes[i] != wanted) expect_equal(int{bytes[i]}, wanted, "byte " + std::to_string(i), where);
  }
}
CASE(memset_2d, bytes) {
  const Prepared p;
  expect_ok(CU(cuMemsetD2D8_v2, p.memory.at(), 128, 0x11, 77, 9));
  expect_rectangle<uint8_t>(p.memory, 128, 77, 9, 0x11);
}
CASE(memset_2d, halves) {
  const Prepared p;
  expect_ok(CU(cuMemsetD2D16_v2, p.memory.at(), 128, 0x1122, 33, 9));
  expect_rectangle<uint16_t>(p.memory, 128, 33, 9, 0x1122);
}
CASE(memset_2d, words) {
  const Prepared p;
  expect_ok(CU(cuMemsetD2D32_v2, p.memory.at(), 128, 0x11223344, 17, 9));
  expect_rectangle<uint32_t>(p.memory, 128, 17, 9, 0x11223344);
}
CASE(memset_2d, on_a_stream) {
  const Prepared p;
  const Stream stream;
  expect_ok(CU(cuMemsetD2D8Async, p.memory.at(), 256, 0x77, 100, 5, stream));
  expect_ok(CU(cuMemsetD2D16Async, p.memory.at(), 256, 0x7777, 50, 5, stream));
  expect_ok(CU(cuMemsetD2D32Async, p.memory.at(), 256, 0x66666666, 25, 5, stream));
  stream.synchronize();
  expect_rectangle<uint8_t>(p.memory, 256, 100, 5, 0x66);
}
CASE(memset_2d, errors) {
  const Prepared p;
  expect(CU(cuMemsetD2D32_v2, p.memory.at(2), 128, 0, 4, 4), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuMemsetD2D8_v2, p.memory.at(), 16, 0, 32, 4), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuMemsetD2D8_v2, 0x1000, 128, 0, 4, 4), CUDA_ERROR_INVALID_VALUE);
}

}  // namespace
}  // namespace conformance
