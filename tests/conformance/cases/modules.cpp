// SPDX-License-Identifier: Apache-2.0
// Modules: images, options of the compiler, functions and variables by name.
#include <unistd.h>

#include <cstring>
#include <fstream>

#include "tests/conformance/fixtures/objects.hpp"
#include "tests/conformance/harness/registry.hpp"

namespace conformance {
namespace {

void* as_option(uintptr_t value) { return reinterpret_cast<void*>(value); }

CASE(module, load_and_unload) {
  const Context context;
  CUmodule module = nullptr;
  expect_ok(CU(cuModuleLoadData, &module, kNoop));
  require(module != nullptr, "the module has a handle");
  CUfunction function = nullptr;
  expect_ok(CU(cuModuleGetFunction, &function, module, "noop"));
  require(function != nullptr, "the function has a handle");
  expect_ok(CU(cuModuleUnload, module));
}

CASE(module, the_same_image_twice) {
  const Context context;
  const Module first(kVariables), second(kVariables);
  require(first.get() != second.get(), "two modules have two handles");
  CUdeviceptr a = 0, b = 0;
  expect_ok(CU(cuModuleGetGlobal_v2, &a, nullptr, first.get(), "counter"));
  expect_ok(CU(cuModuleGetGlobal_v2, &b, nullptr, second.get(), "counter"));
  require(a != b, "each has its own variable");
}

CASE(module, ptx_after_comments_and_blanks) {
  const Context context;
  const Module module(("\n  \n// a comment\n" + std::string(kNoop)).c_str());
  launch(module.function("noop"), {}, {}, nullptr);
  expect_ok(CU(cuCtxSynchronize));
}

CASE(module, invalid_ptx) {
  const Context context;
  CUmodule module = nullptr;
  expect(CU(cuModuleLoadData, &module, kInvalidPtx), CUDA_ERROR_INVALID_PTX);
  require(module == nullptr, "a refused load leaves the result alone");
}
CASE(module, ptx_of_an_unknown_version) {
  const Context context;
  CUmodule module = nullptr;
  expect(CU(cuModuleLoadData, &module, kFuturePtx), CUDA_ERROR_UNSUPPORTED_PTX_VERSION);
}
CASE(module, garbage) {
  const Context context;
  CUmodule module = nullptr;
  char garbage[256] = "\x13\x37garbage, no image of any kind";
  expect(CU(cuModuleLoadData, &module, garbage), CUDA_ERROR_INVALID_IMAGE);
}
CASE(module, empty_text) {
  const Context context;
  CUmodule module = nullptr;
  const char empty[256] = {};
  expect(CU(cuModuleLoadData, &module, empty), CUDA_ERROR_INVALID_IMAGE);
}
CASE(module, load_needs_places) {
  const Context context;
  CUmodule module = nullptr;
  expect(CU(cuModuleLoadData, nullptr, kNoop), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuModuleLoadData, &module, nullptr), CUDA_ERROR_INVALID_VALUE);
}

CASE(module, from_a_file) {
  const Context context;
  const std::string path = "/tmp/vgpu-conformance-" + std::to_string(getpid()) + ".ptx";
  std::ofstream(path) << kNoop;
  CUmodule module = nullptr;
  const Outcome outcome = CU(cuModuleLoad, &module, path.c_str());
  unlink(path.c_str());
  expect_ok(outcome);
  CUfunction function = nullptr;
  expect_ok(CU(cuModuleGetFunction, &function, module, "noop"));
  expect_ok(CU(cuModuleUnload, module));
}
CASE(module, from_a_missing_file) {
  const Context context;
  CUmodule module = nullptr;
  expect(CU(cuModuleLoad, &module, "/nonexistent/module.ptx"), CUDA_ERROR_FILE_NOT_FOUND);
  expect(CU(cuModuleLoad, &module, nullptr), CUDA_ERROR_INVALID_VALUE);
}

CASE(module, missing_function) {
  const Context context;
  const Module module(kNoop);
  CUfunction function = nullptr;
  expect(CU(cuModuleGetFunction, &function, module.get(), "missing"), CUDA_ERROR_NOT_FOUND);
  expect(CU(cuModuleGetFunction, &function, module.get(), ""), CUDA_ERROR_INVALID_VALUE);
}
CASE(module, function_errors) {
  const Context context;
  const Module module(kNoop);
  CUfunction function = nullptr;
  expect(CU(cuModuleGetFunction, nullptr, module.get(), "noop"), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuModuleGetFunction, &function, module.get(), nullptr), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuModuleGetFunction, &function, nullptr, "noop"), CUDA_ERROR_INVALID_HANDLE);
  expect(CU(cuModuleUnload, nullptr), CUDA_ERROR_INVALID_HANDLE);
}
CASE(module, same_function_twice) {
  const Context context;
  const Module module(kNoop);
  require(module.function("noop") == module.function("noop"), "a function has one handle");
}

CASE(module, count_and_enumerate) {
  const Context context;
  const Module module(kVariables);
  unsigned count = 0;
  expect_ok(CU(cuModuleGetFunctionCount, &count, module.get()));
  expect_equal(count, 2U, "the number of functions");
  CUfunction functions[2] = {};
  expect_ok(CU(cuModuleEnumerateFunctions, functions, 2, module.get()));
  std::string names;
  for (CUfunction function : functions) {
    const char* name = nullptr;
    expect_ok(CU(cuFuncGetName, &name, function));
    names += std::string(name) + " ";
  }
  require(names.find("add_to_counter ") != std::string::npos && names.find("scale ") != std::string::npos,
          "both are listed: " + names);
}

CASE(module, loading_mode) {
  CUmoduleLoadingMode mode = 99;
  expect_ok(CU(cuModuleGetLoadingMode, &mode));
  require(mode == CU_MODULE_EAGER_LOADING || mode == CU_MODULE_LAZY_LOADING, "the mode is eager or lazy");
  observe(mode == CU_MODULE_LAZY_LOADING ? "lazy" : "eager");
  // The driver does not check the place for the mode: with null it crashes.
}
UNINITIALISED_CASE(module, loading_mode_from_the_environment) {
  setenv("CUDA_MODULE_LOADING", "EAGER", 1);
  expect_ok(CU(cuInit, 0));
  CUmoduleLoadingMode mode = 99;
  expect_ok(CU(cuModuleGetLoadingMode, &mode));
  expect_equal(mode, 0U + CU_MODULE_EAGER_LOADING, "the mode");
}

CASE(module_options, none) {
  const Context context;
  CUmodule module = nullptr;
  expect_ok(CU(cuModuleLoadDataEx, &module, kNoop, 0, nullptr, nullptr));
  expect_ok(CU(cuModuleUnload, module));
}

CASE(module_options, error_log) {
  const Context context;
  char log[4096] = {};
  CUjit_option options[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
  void* values[] = {log, as_option(sizeof log)};
  CUmodule module = nullptr;
  expect(CU(cuModuleLoadDataEx, &module, kInvalidPtx, 2, options, values), CUDA_ERROR_INVALID_PTX);
  require(std::strlen(log) > 0, "the log says what is wrong");
  const auto filled = reinterpret_cast<uintptr_t>(values[1]);
  observe("log of " + std::to_string(std::strlen(log)) + " characters, size value " + std::to_string(filled));
  require(filled > 0 && filled <= sizeof log, "the size is that of what was written");
}

CASE(module_options, error_log_is_never_overrun) {
  const Context context;
  char log[64];
  std::memset(log, '?', sizeof log);
  CUjit_option options[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
  void* values[] = {log, as_option(16)};
  CUmodule module = nullptr;
  expect(CU(cuModuleLoadDataEx, &module, kInvalidPtx, 2, options, values), CUDA_ERROR_INVALID_PTX);
  for (size_t i = 16; i < sizeof log; ++i)
    expect_equal(int{log[i]}, int{'?'}, "byte " + std::to_string(i) + " behind the log");
}

CASE(module_options, info_log_and_time) {
  const Context context;
  char log[4096] = {};
  CUjit_option options[] = {CU_JIT_INFO_LOG_BUFFER, CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES, CU_JIT_LOG_VERBOSE,
                            CU_JIT_WALL_TIME};
  void* values[] = {log, as_option(sizeof log), as_option(1), nullptr};
  CUmodule module = nullptr;
  expect_ok(CU(cuModuleLoadDataEx, &module, kNoop, 4, options, values));
  require(std::memchr(log, 0, sizeof log) != nullptr, "the log ends");
  observe("log of " + std::to_string(std::strlen(log)) + " characters");
  expect_ok(CU(cuModuleUnload, module));
}

CASE(module_options, limits_of_the_compiler) {
  const Context context;
  CUjit_option options[] = {CU_JIT_MAX_REGISTERS, CU_JIT_OPTIMIZATION_LEVEL, CU_JIT_GENERATE_LINE_INFO};
  void* values[] = {as_option(32), as_option(2), as_option(1)};
  CUmodule module = nullptr;
  expect_ok(CU(cuModuleLoadDataEx, &module, kKernels, 3, options, values));
  CUfunction function = nullptr;
  expect_ok(CU(cuModuleGetFunction, &function, module, "saxpy"));
  int registers = 0;
  expect_ok(CU(cuFuncGetAttribute, &registers, CU_FUNC_ATTRIBUTE_NUM_REGS, function));
  require(registers > 0 && registers <= 32, "the kernel keeps to the registers it was allowed");
  expect_ok(CU(cuModuleUnload, module));
}

CASE(module_options, unknown_option) {
  const Context context;
  CUjit_option options[] = {9999};
  void* values[] = {nullptr};
  CUmodule module = nullptr;
  expect(CU(cuModuleLoadDataEx, &module, kNoop, 1, options, values), CUDA_ERROR_INVALID_VALUE);
}

CASE(variable, address_and_size) {
  const Context context;
  const Module module(kVariables);
  CUdeviceptr address = 0;
  size_t size = 0;
  expect_ok(CU(cuModuleGetGlobal_v2, &address, &size, module.get(), "counter"));
  require(address != 0 && address % 4 == 0, "the variable has an aligned address");
  expect_equal(size, size_t{4}, "the size of the word");
  expect_ok(CU(cuModuleGetGlobal_v2, &address, &size, module.get(), "table"));
  expect_equal(size, size_t{4096}, "the size of the table");
}
CASE(variable, places_are_optional) {
  const Context context;
  const Module module(kVariables);
  CUdeviceptr address = 0;
  size_t size = 0;
  expect_ok(CU(cuModuleGetGlobal_v2, &address, nullptr, module.get(), "counter"));
  expect_ok(CU(cuModuleGetGlobal_v2, nullptr, &size, module.get(), "counter"));
  expect_equal(size, size_t{4}, "the size");
}
CASE(variable, missing) {
  const Context context;
  const Module module(kVariables);
  CUdeviceptr address = 77;
  size_t size = 0;
  expect(CU(cuModuleGetGlobal_v2, &address, &size, module.get(), "missing"), CUDA_ERROR_NOT_FOUND);
  expect(CU(cuModuleGetGlobal_v2, &address, &size, module.get(), nullptr), CUDA_ERROR_INVALID_VALUE);
}
CASE(variable, initial_value) {
  const Context context;
  const Module module(kVariables);
  CUdeviceptr address = 0;
  expect_ok(CU(cuModuleGetGlobal_v2, &address, nullptr, module.get(), "counter"));
  uint32_t value = 0;
  expect_ok(CU(cuMemcpyDtoH_v2, &value, address, sizeof value));
  expect_equal(value, 7U, "the initialised word");
  expect_ok(CU(cuModuleGetGlobal_v2, &address, nullptr, module.get(), "table"));
  std::vector<uint8_t> table(4096, 1);
  expect_ok(CU(cuMemcpyDtoH_v2, table.data(), address, table.size()));
  expect_same(table, std::vector<uint8_t>(4096, 0));
}
CASE(variable, kernel_and_copies_see_the_same) {
  const Context context;
  const Module module(kVariables);
  CUdeviceptr address = 0;
  expect_ok(CU(cuModuleGetGlobal_v2, &address, nullptr, module.get(), "counter"));
  uint32_t value = 100;
  expect_ok(CU(cuMemcpyHtoD_v2, address, &value, sizeof value));
  launch(module.function("add_to_counter"), {}, {}, nullptr, uint32_t{23});
  expect_ok(CU(cuMemcpyDtoH_v2, &value, address, sizeof value));
  expect_equal(value, 123U, "the word after the kernel");
}
CASE(variable, constant_memory) {
  const Context context;
  const Module module(kVariables);
  const DeviceMemory memory(4);
  memory.write_word(5);
  launch(module.function("scale"), {}, {}, nullptr, memory.at());
  expect_equal(memory.word(), 15U, "times the constant as compiled");
  CUdeviceptr factor = 0;
  size_t size = 0;
  expect_ok(CU(cuModuleGetGlobal_v2, &factor, &size, module.get(), "factor"));
  expect_equal(size, size_t{4}, "the size of the constant");
  const uint32_t ten = 10;
  expect_ok(CU(cuMemcpyHtoD_v2, factor, &ten, sizeof ten));
  launch(module.function("scale"), {}, {}, nullptr, memory.at());
  expect_equal(memory.word(), 150U, "times the constant as written");
}
CASE(variable, copy_past_its_end) {
  const Context context;
  const Module module(kVariables);
  CUdeviceptr address = 0;
  expect_ok(CU(cuModuleGetGlobal_v2, &address, nullptr, module.get(), "table"));
  const std::vector<uint8_t> bytes(64 << 20);
  expect(CU(cuMemcpyHtoD_v2, address, bytes.data(), bytes.size()), CUDA_ERROR_INVALID_VALUE);
}

}  // namespace
}  // namespace conformance
