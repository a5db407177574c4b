// SPDX-License-Identifier: Apache-2.0
// Libraries: images without a context, and their kernels.
#include <unistd.h>

#include <cstring>
#include <fstream>

#include "tests/conformance/fixtures/objects.hpp"
#include "tests/conformance/harness/registry.hpp"

namespace conformance {
namespace {

Outcome load(CUlibrary* library, const void* image) {
  return CU(cuLibraryLoadData, library, image, nullptr, nullptr, 0, nullptr, nullptr, 0);
}

CASE(library, load_and_unload) {
  const Context context;
  CUlibrary library = nullptr;
  expect_ok(load(&library, kNoop));
  require(library != nullptr, "the library has a handle");
  expect_ok(CU(cuLibraryUnload, library));
}
CASE(library, load_errors) {
  const Context context;
  CUlibrary library = nullptr;
  expect(load(nullptr, kNoop), CUDA_ERROR_INVALID_VALUE);
  expect(load(&library, nullptr), CUDA_ERROR_INVALID_VALUE);
  expect_ok(load(&library, kInvalidPtx));
}
CASE(library, garbage) {
  const Context context;
  CUlibrary library = nullptr;
  const char garbage[256] = "\x13\x37garbage, no image of any kind";
  // Libraries are loaded lazily: the first use of its code finds that there is none.
  expect_ok(load(&library, garbage));
  CUmodule module = nullptr;
  const Outcome used = CU(cuLibraryGetModule, &module, library);
  require(used.code != CUDA_SUCCESS, "the library has no module");
  observe("cuLibraryGetModule=" + std::to_string(used.code));
  expect_ok(CU(cuLibraryUnload, library));
}
CASE(library, unload_nothing) {
  const Context context;
  expect(CU(cuLibraryUnload, nullptr), CUDA_ERROR_INVALID_HANDLE);
}
CASE(library, the_image_may_go_after_the_load) {
  const Context context;
  std::string image = kVariables;
  const Library library(image.c_str());
  image.assign(image.size(), 'x');
  const DeviceMemory memory(4);
  memory.write_word(2);
  launch(reinterpret_cast<CUfunction>(library.kernel("scale")), {}, {}, nullptr, memory.at());
  expect_equal(memory.word(), 6U, "the result");
}
CASE(library, options) {
  const Context context;
  CUlibraryOption options[] = {CU_LIBRARY_BINARY_IS_PRESERVED};
  void* values[] = {reinterpret_cast<void*>(1)};
  CUlibrary library = nullptr;
  expect_ok(CU(cuLibraryLoadData, &library, kNoop, nullptr, nullptr, 0, options, values, 1));
  expect_ok(CU(cuLibraryUnload, library));
}
CASE(library, from_a_file) {
  const Context context;
  const std::string path = "/tmp/vgpu-conformance-library-" + std::to_string(getpid()) + ".ptx";
  std::ofstream(path) << kNoop;
  CUlibrary library = nullptr;
  const Outcome outcome = CU(cuLibraryLoadFromFile, &library, path.c_str(), nullptr, nullptr, 0, nullptr, nullptr, 0);
  CUkernel kernel = nullptr;
  const bool loaded_it = outcome.code == CUDA_SUCCESS;
  const Outcome found = loaded_it ? CU(cuLibraryGetKernel, &kernel, library, "noop") : outcome;
  unlink(path.c_str());
  expect_ok(found);
  expect_ok(CU(cuLibraryUnload, library));
}
CASE(library, from_a_missing_file) {
  const Context context;
  CUlibrary library = nullptr;
  expect(CU(cuLibraryLoadFromFile, &library, "/nonexistent/library.ptx", nullptr, nullptr, 0, nullptr, nullptr, 0),
         CUDA_ERROR_FILE_NOT_FOUND);
}

CASE(library, missing_kernel) {
  const Context context;
  const Library library(kNoop);
  CUkernel kernel = nullptr;
  expect(CU(cuLibraryGetKernel, &kernel, library.get(), "missing"), CUDA_ERROR_NOT_FOUND);
  expect(CU(cuLibraryGetKernel, nullptr, library.get(), "noop"), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuLibraryGetKernel, &kernel, library.get(), nullptr), CUDA_ERROR_INVALID_VALUE);
}
CASE(library, count_and_enumerate) {
  const Context context;
  const Library library(kVariables);
  unsigned count = 0;
  expect_ok(CU(cuLibraryGetKernelCount, &count, library.get()));
  expect_equal(count, 2U, "the number of kernels");
  CUkernel kernels[2] = {};
  expect_ok(CU(cuLibraryEnumerateKernels, kernels, 2, library.get()));
  const CUkernel scale = library.kernel("scale"), add = library.kernel("add_to_counter");
  require((kernels[0] == scale && kernels[1] == add) || (kernels[0] == add && kernels[1] == scale),
          "the kernels found by name are listed");
}
CASE(library, variable) {
  const Context context;
  const Library library(kVariables);
  CUdeviceptr address = 0;
  size_t size = 0;
  expect_ok(CU(cuLibraryGetGlobal, &address, &size, library.get(), "counter"));
  expect_equal(size, size_t{4}, "the size");
  uint32_t value = 0;
  expect_ok(CU(cuMemcpyDtoH_v2, &value, address, sizeof value));
  expect_equal(value, 7U, "the initial value");
  launch(reinterpret_cast<CUfunction>(library.kernel("add_to_counter")), {}, {}, nullptr, uint32_t{1});
  expect_ok(CU(cuMemcpyDtoH_v2, &value, address, sizeof value));
  expect_equal(value, 8U, "the value after the kernel");
  expect(CU(cuLibraryGetGlobal, &address, &size, library.get(), "missing"), CUDA_ERROR_NOT_FOUND);
}
CASE(library, module) {
  const Context context;
  const Library library(kNoop);
  CUmodule module = nullptr;
  expect_ok(CU(cuLibraryGetModule, &module, library.get()));
  CUfunction function = nullptr;
  expect_ok(CU(cuModuleGetFunction, &function, module, "noop"));
  launch(function, {}, {}, nullptr);
  expect_ok(CU(cuCtxSynchronize));
}

CASE(kernel, name_and_library) {
  const Context context;
  const Library library;
  const char* name = nullptr;
  expect_ok(CU(cuKernelGetName, &name, library.kernel("reduce")));
  require(name != nullptr && std::strcmp(name, "reduce") == 0, "the name is the entry's");
  CUlibrary owner = nullptr;
  expect_ok(CU(cuKernelGetLibrary, &owner, library.kernel("reduce")));
  require(owner == library.get(), "the kernel belongs to its library");
}
CASE(kernel, to_function) {
  const Context context;
  const Library library;
  CUfunction function = nullptr;
  expect_ok(CU(cuKernelGetFunction, &function, library.kernel("increment")));
  const DeviceMemory memory(4);
  memory.write_word(1);
  launch(function, {}, {}, nullptr, memory.at());
  expect_equal(memory.word(), 2U, "the word");
  expect(CU(cuKernelGetFunction, nullptr, library.kernel("increment")), CUDA_ERROR_INVALID_VALUE);
}
CASE(kernel, launch_as_function) {
  const Context context;
  const Library library;
  const DeviceMemory memory(4);
  memory.write_word(1);
  launch(reinterpret_cast<CUfunction>(library.kernel("increment")), {}, {}, nullptr, memory.at());
  expect_equal(memory.word(), 2U, "the word");
}
CASE(kernel, attributes) {
  const Context context;
  const Library library;
  int value = 0;
  expect_ok(CU(cuKernelGetAttribute, &value, CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES, library.kernel("reduce"), 0));
  expect_equal(value, 1024, "static shared memory");
  expect_ok(CU(cuKernelSetAttribute, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 65536,
               library.kernel("dynamic_shared"), 0));
  expect_ok(CU(cuKernelGetAttribute, &value, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
               library.kernel("dynamic_shared"), 0));
  expect_equal(value, 65536, "what was set");
}
CASE(kernel, attribute_errors) {
  const Context context;
  const Library library(kNoop);
  const CUkernel noop = library.kernel("noop");
  int value = 0;
  expect(CU(cuKernelGetAttribute, nullptr, CU_FUNC_ATTRIBUTE_NUM_REGS, noop, 0), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuKernelGetAttribute, &value, 99, noop, 0), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuKernelGetAttribute, &value, CU_FUNC_ATTRIBUTE_NUM_REGS, noop, 1000), CUDA_ERROR_INVALID_DEVICE);
  expect(CU(cuKernelSetAttribute, CU_FUNC_ATTRIBUTE_NUM_REGS, 5, noop, 0), CUDA_ERROR_INVALID_VALUE);
}
CASE(kernel, function_attribute_of_a_kernel) {
  const Context context;
  const Library library;
  // A kernel stands for a function in launches, not here.
  int value = 0;
  expect(CU(cuFuncGetAttribute, &value, CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES,
            reinterpret_cast<CUfunction>(library.kernel("reduce"))),
         CUDA_ERROR_INVALID_HANDLE);
}
CASE(kernel, parameters) {
  const Context context;
  const Library library;
  size_t offset = 0, size = 0;
  expect_ok(CU(cuKernelGetParamInfo, library.kernel("mixed_params"), 7, &offset, &size));
  expect_equal(offset, size_t{40}, "the offset of the structure");
  expect_equal(size, size_t{24}, "its size");
  expect(CU(cuKernelGetParamInfo, library.kernel("mixed_params"), 8, &offset, &size), CUDA_ERROR_INVALID_VALUE);
}
CASE(kernel, cache_config) {
  const Context context;
  const Library library(kNoop);
  expect_ok(CU(cuKernelSetCacheConfig, library.kernel("noop"), CU_FUNC_CACHE_PREFER_SHARED, 0));
}

}  // namespace
}  // namespace conformance
