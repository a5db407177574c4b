// SPDX-License-Identifier: Apache-2.0
// Copies into arrays and out of them.
#include <cstring>

#include "tests/conformance/fixtures/arrays.hpp"
#include "tests/conformance/fixtures/graph_build.hpp"
#include "tests/conformance/harness/registry.hpp"

namespace conformance {
namespace {

constexpr CUarray_format kWord = CU_AD_FORMAT_UNSIGNED_INT32;
constexpr size_t kRow = 200, kRows = 20;  // of words: 50 to a row

CUDA_ARRAY3D_DESCRIPTOR plane() { return shape_of(kRow / 4, kRows, 0, kWord); }

CUDA_MEMCPY2D between(CUarray to, CUarray from) {
  CUDA_MEMCPY2D copy = {};
  copy.srcMemoryType = copy.dstMemoryType = CU_MEMORYTYPE_ARRAY;
  copy.srcArray = from, copy.dstArray = to;
  copy.WidthInBytes = kRow, copy.Height = kRows;
  return copy;
}

CASE(array_copy, rows_there_and_back) {
  const Context context;
  const Array array(plane());
  const auto bytes = pattern(kRow * kRows);
  CUDA_MEMCPY2D copy = {};
  copy.srcMemoryType = CU_MEMORYTYPE_HOST, copy.srcHost = bytes.data(), copy.srcPitch = kRow;
  copy.dstMemoryType = CU_MEMORYTYPE_ARRAY, copy.dstArray = array;
  copy.WidthInBytes = kRow, copy.Height = kRows;
  expect_ok(CU(cuMemcpy2D_v2, &copy));
  std::vector<uint8_t> back(bytes.size());
  CUDA_MEMCPY2D out = {};
  out.srcMemoryType = CU_MEMORYTYPE_ARRAY, out.srcArray = array;
  out.dstMemoryType = CU_MEMORYTYPE_HOST, out.dstHost = back.data(), out.dstPitch = kRow;
  out.WidthInBytes = kRow, out.Height = kRows;
  expect_ok(CU(cuMemcpy2D_v2, &out));
  expect_same(back, bytes);
}
CASE(array_copy, part_of_a_plane) {
  const Context context;
  const Array array(plane());
  auto wanted = std::vector<uint8_t>(kRow * kRows, 0);
  array.write(wanted);
  const auto part = pattern(40 * 3);
  CUDA_MEMCPY2D copy = {};
  copy.srcMemoryType = CU_MEMORYTYPE_HOST, copy.srcHost = part.data(), copy.srcPitch = 40;
  copy.dstMemoryType = CU_MEMORYTYPE_ARRAY, copy.dstArray = array, copy.dstXInBytes = 16, copy.dstY = 5;
  copy.WidthInBytes = 40, copy.Height = 3;
  expect_ok(CU(cuMemcpy2D_v2, &copy));
  for (size_t row = 0; row < 3; ++row) std::memcpy(&wanted[(5 + row) * kRow + 16], &part[row * 40], 40);
  expect_same(array.read(), wanted);
}
CASE(array_copy, device_memory) {
  const Context context;
  const Array array(plane());
  const DeviceMemory memory(256 * kRows), back(256 * kRows);
  const auto bytes = pattern(memory.size());
  memory.write(bytes);
  CUDA_MEMCPY2D copy = {};
  copy.srcMemoryType = CU_MEMORYTYPE_DEVICE, copy.srcDevice = memory.at(), copy.srcPitch = 256;
  copy.dstMemoryType = CU_MEMORYTYPE_ARRAY, copy.dstArray = array;
  copy.WidthInBytes = kRow, copy.Height = kRows;
  expect_ok(CU(cuMemcpy2D_v2, &copy));
  CUDA_MEMCPY2D out = {};
  out.srcMemoryType = CU_MEMORYTYPE_ARRAY, out.srcArray = array;
  out.dstMemoryType = CU_MEMORYTYPE_DEVICE, out.dstDevice = back.at(), out.dstPitch = 256;
  out.WidthInBytes = kRow, out.Height = kRows;
  expect_ok(CU(cuMemcpy2D_v2, &out));
  for (size_t row = 0; row < kRows; ++row) expect_same(back.read(row * 256, kRow), memory.read(row * 256, kRow));
}
CASE(array_copy, array_to_array) {
  const Context context;
  const Array from(plane()), to(plane());
  const auto bytes = pattern(from.bytes());
  from.write(bytes);
  const auto copy = between(to, from);
  expect_ok(CU(cuMemcpy2D_v2, &copy));
  expect_same(to.read(), bytes);
}
CASE(array_copy, unified_addresses) {
  const Context context;
  const Array array(plane());
  const DeviceMemory memory(kRow * kRows);
  memory.write(pattern(memory.size()));
  CUDA_MEMCPY2D copy = {};
  copy.srcMemoryType = CU_MEMORYTYPE_UNIFIED, copy.srcDevice = memory.at(), copy.srcPitch = kRow;
  copy.dstMemoryType = CU_MEMORYTYPE_ARRAY, copy.dstArray = array;
  copy.WidthInBytes = kRow, copy.Height = kRows;
  expect_ok(CU(cuMemcpy2D_v2, &copy));
  expect_same(array.read(), pattern(memory.size()));
}
CASE(array_copy, on_a_stream) {
  const Context context;
  const Stream stream;
  const Array first(plane()), second(plane());
  const PinnedMemory from(kRow * kRows), to(kRow * kRows);
  const auto bytes = pattern(kRow * kRows);
  std::memcpy(from.get(), bytes.data(), bytes.size());
  const auto in = copy_into(first, from.get(), kRow, kRows, 1);
  const auto across = between(second, first);
  const auto out = copy_out_of(second, to.get(), kRow, kRows, 1);
  expect_ok(CU(cuMemcpy3DAsync_v2, &in, stream));
  expect_ok(CU(cuMemcpy2DAsync_v2, &across, stream));
  expect_ok(CU(cuMemcpy3DAsync_v2, &out, stream));
  stream.synchronize();
  expect_same({to.bytes(), to.bytes() + bytes.size()}, bytes);
}
CASE(array_copy, pageable_memory_on_a_stream) {
  const Context context;
  const Stream stream;
  const Array array(plane());
  auto bytes = pattern(kRow * kRows);
  const auto in = copy_into(array, bytes.data(), kRow, kRows, 1);
  expect_ok(CU(cuMemcpy3DAsync_v2, &in, stream));
  const auto wanted = bytes;
  std::vector<uint8_t> back(bytes.size());
  const auto out = copy_out_of(array, back.data(), kRow, kRows, 1);
  expect_ok(CU(cuMemcpy3DAsync_v2, &out, stream));
  stream.synchronize();
  expect_same(back, wanted);
}
CASE(array_copy, box_there_and_back) {
  const Context context;
  const Array array(shape_of(33, 17, 9, CU_AD_FORMAT_UNSIGNED_INT8, 4));
  const auto bytes = pattern(array.bytes());
  array.write(bytes);
  expect_same(array.read(), bytes);
}
CASE(array_copy, part_of_a_box) {
  const Context context;
  constexpr size_t row = 64, rows = 8, slices = 6;
  const Array array(shape_of(16, rows, slices, kWord));
  std::vector<uint8_t> wanted(row * rows * slices, 0);
  array.write(wanted);
  const auto host = pattern(row * rows * slices, 3);
  auto copy = copy_into(array, host.data(), row, rows, slices);
  copy.srcXInBytes = 4, copy.srcY = 1, copy.srcZ = 2, copy.dstXInBytes = 8, copy.dstY = 3, copy.dstZ = 1;
  copy.WidthInBytes = 20, copy.Height = 4, copy.Depth = 3;
  expect_ok(CU(cuMemcpy3D_v2, &copy));
  for (size_t z = 0; z < 3; ++z)
    for (size_t y = 0; y < 4; ++y)
      std::memcpy(&wanted[((1 + z) * rows + 3 + y) * row + 8], &host[((2 + z) * rows + 1 + y) * row + 4], 20);
  expect_same(array.read(), wanted);
}
CASE(array_copy, more_than_a_chunk) {
  const Context context;
  const Array array(shape_of(1000, 300, 10, kWord));
  const auto bytes = pattern(array.bytes());
  array.write(bytes);
  expect_same(array.read(), bytes);
}
CASE(array_copy, layers) {
  const Context context;
  const Array array(shape_of(16, 16, 4, kWord, 1, CUDA_ARRAY3D_LAYERED));
  const auto bytes = pattern(array.bytes());
  array.write(bytes);
  std::vector<uint8_t> layer(16 * 16 * 4);
  auto out = copy_out_of(array, layer.data(), 64, 16, 1);
  out.srcZ = 2;
  expect_ok(CU(cuMemcpy3D_v2, &out));
  expect_same(layer, {bytes.begin() + 2 * 1024, bytes.begin() + 3 * 1024});
}
CASE(array_copy, bytes_of_a_line) {
  const Context context;
  const Array line(shape_of(256, 0, 0, kWord)), other(shape_of(256, 0, 0, kWord));
  const DeviceMemory memory(1024);
  const auto bytes = pattern(1024);
  std::vector<uint8_t> back(1024);
  expect_ok(CU(cuMemcpyHtoA_v2, line, 0, bytes.data(), 1024));
  expect_ok(CU(cuMemcpyAtoA_v2, other, 0, line, 0, 1024));
  expect_ok(CU(cuMemcpyAtoD_v2, memory.at(), other, 0, 1024));
  expect_same(memory.read(), bytes);
  expect_ok(CU(cuMemcpyDtoA_v2, line, 512, memory.at(), 512));
  expect_ok(CU(cuMemcpyAtoH_v2, back.data(), line, 256, 768));
  expect_same({back.begin() + 256, back.begin() + 768}, {bytes.begin(), bytes.begin() + 512});
  expect_same({back.begin(), back.begin() + 256}, {bytes.begin() + 256, bytes.begin() + 512});
}
CASE(array_copy, bytes_of_a_line_on_a_stream) {
  const Context context;
  const Stream stream;
  const Array line(shape_of(256, 0, 0, kWord));
  const PinnedMemory from(1024), to(1024);
  const auto bytes = pattern(1024);
  std::memcpy(from.get(), bytes.data(), 1024);
  expect_ok(CU(cuMemcpyHtoAAsync_v2, line, 0, from.get(), 1024, stream));
  expect_ok(CU(cuMemcpyAtoHAsync_v2, to.get(), line, 0, 1024, stream));
  stream.synchronize();
  expect_same({to.bytes(), to.bytes() + 1024}, bytes);
}
CASE(array_copy, part_of_a_graph) {
  const Context context;
  const Stream stream;
  const Array array(plane());
  const PinnedMemory from(kRow * kRows), to(kRow * kRows);
  const auto in = copy_into(array, from.get(), kRow, kRows, 1);
  const auto out = copy_out_of(array, to.get(), kRow, kRows, 1);
  const Graph graph(capture(stream, [&] {
    expect_ok(CU(cuMemcpy3DAsync_v2, &in, stream));
    expect_ok(CU(cuMemcpy3DAsync_v2, &out, stream));
  }));
  const GraphExec exec(graph);
  for (unsigned i = 1; i < 3; ++i) {
    const auto bytes = pattern(kRow * kRows, i);
    std::memcpy(from.get(), bytes.data(), bytes.size());
    run(exec, stream);
    expect_same({to.bytes(), to.bytes() + bytes.size()}, bytes);
  }
}
CASE(array_copy, that_names_contexts) {
  const Context context;
  const Array from(plane()), to(plane());
  const auto bytes = pattern(from.bytes());
  from.write(bytes);
  CUDA_MEMCPY3D_PEER copy = {};
  copy.srcMemoryType = copy.dstMemoryType = CU_MEMORYTYPE_ARRAY;
  copy.srcArray = from, copy.dstArray = to;
  copy.srcContext = copy.dstContext = context.get();
  copy.WidthInBytes = kRow, copy.Height = kRows, copy.Depth = 1;
  expect_ok(CU(cuMemcpy3DPeer, &copy));
  expect_ok(CU(cuCtxSynchronize));
  expect_same(to.read(), bytes);
}
CASE(array_copy, outside) {
  const Context context;
  const Array array(plane());
  const auto bytes = pattern(kRow * kRows * 2);
  auto copy = copy_into(array, bytes.data(), kRow, kRows, 1);
  copy.dstXInBytes = 4;
  expect(CU(cuMemcpy3D_v2, &copy), CUDA_ERROR_INVALID_VALUE);
  copy = copy_into(array, bytes.data(), kRow, kRows, 1);
  copy.dstY = 1;
  expect(CU(cuMemcpy3D_v2, &copy), CUDA_ERROR_INVALID_VALUE);
  copy = copy_into(array, bytes.data(), kRow, kRows, 2);
  expect(CU(cuMemcpy3D_v2, &copy), CUDA_ERROR_INVALID_VALUE);
  copy = copy_into(array, bytes.data(), kRow + 4, kRows, 1);
  expect(CU(cuMemcpy3D_v2, &copy), CUDA_ERROR_INVALID_VALUE);
  const Array line(shape_of(64, 0, 0, kWord));
  expect(CU(cuMemcpyHtoA_v2, line, 0, bytes.data(), 260), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuMemcpyHtoA_v2, line, 252, bytes.data(), 8), CUDA_ERROR_INVALID_VALUE);
}
CASE(array_copy, no_array) {
  const Context context;
  const auto bytes = pattern(kRow * kRows);
  const auto copy = copy_into(nullptr, bytes.data(), kRow, kRows, 1);
  expect_one_of(CU(cuMemcpy3D_v2, &copy), {CUDA_ERROR_INVALID_VALUE, CUDA_ERROR_INVALID_HANDLE});
}

}  // namespace
}  // namespace conformance
