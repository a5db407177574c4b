// SPDX-License-Identifier: Apache-2.0
// What is known of a function, and what may be set on it.
#include <cstring>

#include "tests/conformance/fixtures/objects.hpp"
#include "tests/conformance/harness/registry.hpp"

namespace conformance {
namespace {

int attribute(CUfunction function, CUfunction_attribute which) {
  int value = -77;
  expect_ok(CU(cuFuncGetAttribute, &value, which, function));
  return value;
}

CASE(function, attributes) {
  const Context context;
  const Module module;
  const CUfunction reduce = module.function("reduce");
  expect_equal(attribute(reduce, CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES), 1024, "static shared memory");
  require(attribute(reduce, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK) >= 256, "the kernel may have blocks of 256");
  require(attribute(reduce, CU_FUNC_ATTRIBUTE_NUM_REGS) > 0, "the kernel has registers");
  expect_equal(attribute(reduce, CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES), 0, "local memory");
  expect_equal(attribute(reduce, CU_FUNC_ATTRIBUTE_PTX_VERSION), 70, "the target of the source");
  observe("binary version " + std::to_string(attribute(reduce, CU_FUNC_ATTRIBUTE_BINARY_VERSION)) + ", registers " +
          std::to_string(attribute(reduce, CU_FUNC_ATTRIBUTE_NUM_REGS)));
}
CASE(function, binary_version_is_the_device) {
  const Context context;
  const Module module(kNoop);
  const int capability = device_attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR) * 10 +
                         device_attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
  expect_equal(attribute(module.function("noop"), CU_FUNC_ATTRIBUTE_BINARY_VERSION), capability,
               "the version of compiled PTX");
}
CASE(function, max_threads_of_a_bounded_kernel) {
  const Context context;
  const Module module;
  expect_equal(attribute(module.function("at_most_64"), CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK), 64,
               "threads per block");
}
CASE(function, local_memory) {
  const Context context;
  const Module module;
  const int bytes = attribute(module.function("use_local"), CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES);
  require(bytes == 0 || bytes >= 64, "the frame is counted, or optimised away");
  observe("local " + std::to_string(bytes));
}
CASE(function, every_attribute_answers) {
  const Context context;
  const Module module(kNoop);
  const CUfunction noop = module.function("noop");
  for (CUfunction_attribute which = 0; which < CU_FUNC_ATTRIBUTE_MAX; ++which) attribute(noop, which);
  expect_equal(attribute(noop, CU_FUNC_ATTRIBUTE_CONST_SIZE_BYTES), 0, "constant memory of the user");
  expect_equal(attribute(noop, CU_FUNC_ATTRIBUTE_CLUSTER_SIZE_MUST_BE_SET), 0, "needs a cluster size");
}
CASE(function, attribute_errors) {
  const Context context;
  const Module module(kNoop);
  const CUfunction noop = module.function("noop");
  int value = 0;
  expect(CU(cuFuncGetAttribute, &value, 99, noop), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuFuncGetAttribute, nullptr, CU_FUNC_ATTRIBUTE_NUM_REGS, noop), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuFuncGetAttribute, &value, CU_FUNC_ATTRIBUTE_NUM_REGS, nullptr), CUDA_ERROR_INVALID_HANDLE);
}
CASE(function, set_dynamic_shared_memory) {
  const Context context;
  const Module module;
  const CUfunction function = module.function("dynamic_shared");
  expect_ok(CU(cuFuncSetAttribute, function, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 40000));
  expect_equal(attribute(function, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES), 40000, "what was set");
}
CASE(function, set_dynamic_shared_memory_to_the_opt_in_limit) {
  const Context context;
  const Module module;
  const CUfunction function = module.function("dynamic_shared");
  const int most = device_attribute(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN);
  expect_ok(CU(cuFuncSetAttribute, function, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, most));
  expect_equal(attribute(function, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES), most, "what was set");
  expect(CU(cuFuncSetAttribute, function, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, most + 1),
         CUDA_ERROR_INVALID_VALUE);
  expect_equal(attribute(function, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES), most, "what a refused call left");
}
CASE(function, static_shared_memory_counts_against_the_limit) {
  const Context context;
  const Module module;
  const int most = device_attribute(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN);
  expect(CU(cuFuncSetAttribute, module.function("reduce"), CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, most),
         CUDA_ERROR_INVALID_VALUE);
  expect_ok(
      CU(cuFuncSetAttribute, module.function("reduce"), CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, most - 1024));
}
CASE(function, set_carveout) {
  const Context context;
  const Module module(kNoop);
  const CUfunction noop = module.function("noop");
  expect_ok(CU(cuFuncSetAttribute, noop, CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT, 50));
  expect_equal(attribute(noop, CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT), 50, "what was set");
  expect(CU(cuFuncSetAttribute, noop, CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT, 101),
         CUDA_ERROR_INVALID_VALUE);
}
CASE(function, set_what_is_fixed) {
  const Context context;
  const Module module(kNoop);
  expect(CU(cuFuncSetAttribute, module.function("noop"), CU_FUNC_ATTRIBUTE_NUM_REGS, 8), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuFuncSetAttribute, module.function("noop"), 99, 8), CUDA_ERROR_INVALID_VALUE);
}
CASE(function, cache_config) {
  const Context context;
  const Module module(kNoop);
  expect_ok(CU(cuFuncSetCacheConfig, module.function("noop"), CU_FUNC_CACHE_PREFER_L1));
  expect_ok(CU(cuFuncSetSharedMemConfig, module.function("noop"), 1));
}
CASE(function, name) {
  const Context context;
  const Module module;
  const char* name = nullptr;
  expect_ok(CU(cuFuncGetName, &name, module.function("vector_add")));
  require(name != nullptr && std::strcmp(name, "vector_add") == 0, "the name is the entry's");
  expect(CU(cuFuncGetName, nullptr, module.function("vector_add")), CUDA_ERROR_INVALID_VALUE);
}
CASE(function, module) {
  const Context context;
  const Module module;
  CUmodule owner = nullptr;
  expect_ok(CU(cuFuncGetModule, &owner, module.function("fill")));
  require(owner == module.get(), "the function belongs to its module");
  expect(CU(cuFuncGetModule, nullptr, module.function("fill")), CUDA_ERROR_INVALID_VALUE);
}
CASE(function, parameters) {
  const Context context;
  const Module module;
  const CUfunction function = module.function("mixed_params");
  const size_t offsets[] = {0, 8, 10, 12, 16, 24, 32, 40};
  const size_t sizes[] = {8, 1, 2, 4, 8, 4, 8, 24};
  for (size_t i = 0; i < 8; ++i) {
    size_t offset = 77, size = 77;
    expect_ok(CU(cuFuncGetParamInfo, function, i, &offset, &size));
    expect_equal(offset, offsets[i], "the offset of parameter " + std::to_string(i));
    expect_equal(size, sizes[i], "the size of parameter " + std::to_string(i));
  }
}
CASE(function, parameters_past_the_last) {
  const Context context;
  const Module module;
  size_t offset = 0, size = 0;
  expect(CU(cuFuncGetParamInfo, module.function("mixed_params"), 8, &offset, &size), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuFuncGetParamInfo, module.function("noop"), 0, &offset, &size), CUDA_ERROR_INVALID_VALUE);
}
CASE(function, parameter_places) {
  const Context context;
  const Module module;
  size_t offset = 0;
  expect_ok(CU(cuFuncGetParamInfo, module.function("fill"), 1, &offset, nullptr));
  expect_equal(offset, size_t{8}, "the offset");
  expect(CU(cuFuncGetParamInfo, module.function("fill"), 1, nullptr, &offset), CUDA_ERROR_INVALID_VALUE);
}
CASE(function, load) {
  const Context context;
  const Module module;
  expect_ok(CU(cuFuncLoad, module.function("fill")));
  CUfunctionLoadingState state = 99;
  expect_ok(CU(cuFuncIsLoaded, &state, module.function("fill")));
  expect_equal(state, 1U, "the state (loaded)");
}
/// What was only enumerated has no code yet, and some attributes need it; to ask by name loads it.
CASE(function, attributes_of_one_enumerated) {
  const Context context;
  const Module module(kNoop);
  CUfunction function = nullptr;
  int threads = 0;
  expect_ok(CU(cuModuleEnumerateFunctions, &function, 1, module.get()));
  expect_one_of(CU(cuFuncGetAttribute, &threads, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, function),
                {CUDA_ERROR_FUNCTION_NOT_LOADED, CUDA_SUCCESS});
  const char* name = nullptr;
  expect_ok(CU(cuFuncGetName, &name, function));
  require(module.function(name) == function, "it is the one of its name");
  expect_ok(CU(cuFuncGetAttribute, &threads, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, function));
  require(threads > 0, "there is room for a thread");
}

}  // namespace
}  // namespace conformance
