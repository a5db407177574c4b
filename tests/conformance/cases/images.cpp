// SPDX-License-Identifier: Apache-2.0
// Fat binaries, bare and behind the wrapper that programs carry, and images that are none.
#include "tests/conformance/fixtures/fatbin.hpp"

#include "tests/conformance/fixtures/objects.hpp"
#include "tests/conformance/harness/registry.hpp"

namespace conformance {
namespace {

void expect_scale_works(CUmodule module, Where where = Where::current()) {
  CUfunction scale = nullptr;
  expect_ok(CU(cuModuleGetFunction, &scale, module, "scale"), where);
  const DeviceMemory memory(4);
  memory.write_word(7);
  launch(scale, {}, {}, nullptr, memory.at());
  expect_equal(memory.word(), 21U, "the result of the kernel", where);
  expect_ok(CU(cuModuleUnload, module), where);
}

void load_bare(Packing packing) {
  const Context context;
  const auto fatbin = make_fatbin(kVariables, packing);
  CUmodule module = nullptr;
  expect_ok(CU(cuModuleLoadData, &module, fatbin.data()));
  expect_scale_works(module);
}
CASE(fatbin, plain) { load_bare(Packing::plain); }
CASE(fatbin, lz4) { load_bare(Packing::lz4); }
CASE(fatbin, zstd) { load_bare(Packing::zstd); }

CASE(fatbin, load_fat_binary) {
  const Context context;
  const auto fatbin = make_fatbin(kVariables, Packing::plain);
  CUmodule module = nullptr;
  expect_ok(CU(cuModuleLoadFatBinary, &module, fatbin.data()));
  expect_scale_works(module);
}
// Only libraries follow the wrapper (the next case): a module wants the image itself, and takes the same fat binary
// bare.
CASE(fatbin, behind_a_wrapper) {
  const Context context;
  const auto fatbin = make_fatbin(kVariables, Packing::lz4);
  FatbinWrapper wrapper;
  wrapper.data = fatbin.data();
  CUmodule module = nullptr;
  expect(CU(cuModuleLoadData, &module, &wrapper), CUDA_ERROR_INVALID_IMAGE);
}
CASE(fatbin, library_behind_a_wrapper) {
  const Context context;
  const auto fatbin = make_fatbin(kVariables, Packing::zstd);
  FatbinWrapper wrapper;
  wrapper.data = fatbin.data();
  CUlibrary library = nullptr;
  CUlibraryOption options[] = {CU_LIBRARY_BINARY_IS_PRESERVED};
  void* values[] = {reinterpret_cast<void*>(1)};
  expect_ok(CU(cuLibraryLoadData, &library, &wrapper, nullptr, nullptr, 0, options, values, 1));
  CUkernel scale = nullptr;
  expect_ok(CU(cuLibraryGetKernel, &scale, library, "scale"));
  const DeviceMemory memory(4);
  memory.write_word(7);
  launch(reinterpret_cast<CUfunction>(scale), {}, {}, nullptr, memory.at());
  expect_equal(memory.word(), 21U, "the result of the kernel");
  expect_ok(CU(cuLibraryUnload, library));
}
CASE(fatbin, only_for_a_later_device) {
  const Context context;
  const auto fatbin = make_fatbin(kNoop, Packing::plain, 999);
  CUmodule module = nullptr;
  expect(CU(cuModuleLoadData, &module, fatbin.data()), CUDA_ERROR_NO_BINARY_FOR_GPU);
}
CASE(fatbin, without_entries) {
  const Context context;
  std::vector<uint8_t> fatbin = make_fatbin(kNoop, Packing::plain);
  std::fill(fatbin.begin() + 8, fatbin.end(), uint8_t{0});
  CUmodule module = nullptr;
  expect(CU(cuModuleLoadData, &module, fatbin.data()), CUDA_ERROR_NO_BINARY_FOR_GPU);
}
CASE(fatbin, with_invalid_ptx) {
  const Context context;
  const auto fatbin = make_fatbin(kInvalidPtx, Packing::plain);
  CUmodule module = nullptr;
  expect(CU(cuModuleLoadData, &module, fatbin.data()), CUDA_ERROR_INVALID_PTX);
}
CASE(fatbin, wrapper_around_nothing) {
  const Context context;
  static const uint8_t zeros[256] = {};
  FatbinWrapper wrapper;
  wrapper.data = zeros;
  CUmodule module = nullptr;
  expect(CU(cuModuleLoadData, &module, &wrapper), CUDA_ERROR_INVALID_IMAGE);
}
CASE(fatbin, program_for_another_machine) {
  const Context context;
  // An ELF header for x86-64 and nothing behind it.
  std::vector<uint8_t> image(4096, 0);
  const uint8_t identity[] = {0x7f, 'E', 'L', 'F', 2, 1, 1, 0};
  std::copy(std::begin(identity), std::end(identity), image.begin());
  image[16] = 2, image[18] = 62, image[20] = 1, image[52] = 64;
  CUmodule module = nullptr;
  expect(CU(cuModuleLoadData, &module, image.data()), CUDA_ERROR_INVALID_IMAGE);
}

}  // namespace
}  // namespace conformance
