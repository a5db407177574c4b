// SPDX-License-Identifier: Apache-2.0
// cuGetProcAddress, cuGetExportTable and the exported names.
#include <cstring>

#include "tests/conformance/fixtures/objects.hpp"
#include "tests/conformance/harness/registry.hpp"

namespace conformance {
namespace {

struct Variant {
  const char* base;
  const char* flag;  // "legacy" or "thread"
  int from;
  const char* symbol;
};
constexpr Variant kVariants[] = {
#include "tests/conformance/variants.gen.inc"
};

struct Answer {
  CUresult result;
  void* function = reinterpret_cast<void*>(1);
  unsigned status = 99;
};
Answer ask(const char* name, int version, cuuint64_t flags) {
  Answer answer;
  answer.result = CU(cuGetProcAddress_v2, name, &answer.function, version, flags, &answer.status).code;
  return answer;
}
int driver_version() {
  int version = 0;
  expect_ok(CU(cuDriverGetVersion, &version));
  return version;
}

UNINITIALISED_CASE(proc, every_version_of_every_name) {
  if (driver_version() < 13000) skip("the table is that of CUDA 13.0");
  size_t wrong = 0;
  for (size_t i = 0; i < std::size(kVariants); ++i) {
    const Variant& v = kVariants[i];
    const bool last = i + 1 == std::size(kVariants) || std::strcmp(kVariants[i + 1].base, v.base) != 0 ||
                      std::strcmp(kVariants[i + 1].flag, v.flag) != 0;
    const cuuint64_t flags = std::strcmp(v.flag, "thread") == 0 ? CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM
                                                                : CU_GET_PROC_ADDRESS_DEFAULT;
    for (const int version : {v.from, last ? 13000 : kVariants[i + 1].from - 1}) {
      const Answer answer = ask(v.base, version, flags);
      void* wanted = exported_symbol(v.symbol);
      if (answer.result == CUDA_SUCCESS && answer.status == 0 && wanted != nullptr && answer.function == wanted)
        continue;
      if (++wrong <= 5)
        observe(std::string(v.base) + " " + v.flag + " " + std::to_string(version) + " is not " + v.symbol);
    }
  }
  if (wrong != 0) fail(std::to_string(wrong) + " answers are wrong");
}
UNINITIALISED_CASE(proc, legacy_flag_is_the_default) {
  for (const char* name : {"cuMemcpyHtoD", "cuLaunchKernel", "cuStreamQuery", "cuCtxCreate"}) {
    require(ask(name, 12000, 0).function == ask(name, 12000, CU_GET_PROC_ADDRESS_LEGACY_STREAM).function,
            std::string(name) + " is the same for both");
  }
}
UNINITIALISED_CASE(proc, per_thread_flag) {
  const Answer answer = ask("cuLaunchKernel", 12000, CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM);
  expect_equal(int{answer.result}, 0, "the result");
  require(answer.function != nullptr && answer.function == exported_symbol("cuLaunchKernel_ptsz"),
          "the per-thread variant comes back");
  require(ask("cuMemcpyHtoD", 12000, 2).function == exported_symbol("cuMemcpyHtoD_v2_ptds"), "so for copies");
  require(ask("cuMemAlloc", 12000, 2).function == exported_symbol("cuMemAlloc_v2"),
          "a call without a stream has no variant");
}
UNINITIALISED_CASE(proc, unknown_name) {
  const Answer answer = ask("cuNoSuchCall", 12000, 0);
  expect_equal(int{answer.result}, 0, "the result");
  expect_equal(answer.status, 0U + CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND, "the status");
  require(answer.function == nullptr, "there is no function");
}
UNINITIALISED_CASE(proc, name_newer_than_the_version) {
  const Answer answer = ask("cuLaunchKernelEx", 11000, 0);
  expect_equal(int{answer.result}, 0, "the result");
  expect_equal(answer.status, 0U + CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT, "the status");
  require(answer.function == nullptr, "there is no function");
}
UNINITIALISED_CASE(proc, version_newer_than_the_driver) {
  const Answer answer = ask("cuInit", driver_version() + 10, 0);
  expect_equal(int{answer.result}, 0 + CUDA_ERROR_INVALID_VALUE, "the result");
  expect_equal(answer.status, 99U, "the status is left alone");
  require(answer.function == reinterpret_cast<void*>(1), "the function is left alone");
}
UNINITIALISED_CASE(proc, suffixed_name) {
  const Answer answer = ask("cuMemAlloc_v2", 12000, 0);
  expect_equal(int{answer.result}, 0, "the result");
  observe("status " + std::to_string(answer.status) + (answer.function == nullptr ? ", null" : ", found"));
  require((answer.function == nullptr) == (answer.status != CU_GET_PROC_ADDRESS_SUCCESS),
          "the status agrees with the function");
}
UNINITIALISED_CASE(proc, errors) {
  // The driver does not check that there are a name and a place for the function: with null it crashes.
  void* function = nullptr;
  unsigned status = 0;
  expect_one_of(CU(cuGetProcAddress_v2, "cuInit", &function, 12000, 0x100, &status),
                {CUDA_ERROR_INVALID_VALUE, CUDA_SUCCESS});
}
UNINITIALISED_CASE(proc, status_is_optional) {
  void* function = nullptr;
  expect_ok(CU(cuGetProcAddress_v2, "cuInit", &function, 12000, 0, nullptr));
  require(function == exported_symbol("cuInit"), "the function comes back");
}
UNINITIALISED_CASE(proc, first_version) {
  void* function = nullptr;
  expect_ok(CU(cuGetProcAddress, "cuMemAlloc", &function, 12000, 0));
  require(function == exported_symbol("cuMemAlloc_v2"), "the function comes back");
  expect(CU(cuGetProcAddress, "cuNoSuchCall", &function, 12000, 0), CUDA_ERROR_NOT_FOUND);
}
UNINITIALISED_CASE(proc, found_functions_work) {
  auto* init = reinterpret_cast<proto::cuInit*>(ask("cuInit", 12000, 0).function);
  auto* count = reinterpret_cast<proto::cuDeviceGetCount*>(ask("cuDeviceGetCount", 12000, 0).function);
  require(init != nullptr && count != nullptr, "the functions are found");
  int devices = 0;
  expect(Outcome{"cuDeviceGetCount", count(&devices)}, CUDA_ERROR_NOT_INITIALIZED);
  expect_ok(Outcome{"cuInit", init(0)});
  expect_ok(Outcome{"cuDeviceGetCount", count(&devices)});
}
CASE(proc, per_thread_variant_uses_the_stream_of_the_thread) {
  const Context context;
  const Module module;
  auto* query = reinterpret_cast<proto::cuStreamQuery*>(exported_symbol("cuStreamQuery_ptsz"));
  require(query != nullptr, "the variant is exported");
  Spinner spinner(module);
  spinner.start(CU_STREAM_PER_THREAD);
  expect(Outcome{"cuStreamQuery_ptsz", query(nullptr)}, CUDA_ERROR_NOT_READY);
  spinner.release();
  expect_ok(CU(cuStreamSynchronize, CU_STREAM_PER_THREAD));
  expect_ok(Outcome{"cuStreamQuery_ptsz", query(nullptr)});
  spinner.require_not_expired();
}

UNINITIALISED_CASE(export_table, unknown_id) {
  const CUuuid unknown = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}};
  const void* table = reinterpret_cast<const void*>(1);
  expect(CU(cuGetExportTable, &table, &unknown), CUDA_ERROR_INVALID_VALUE);
  require(table == nullptr || table == reinterpret_cast<const void*>(1), "there is no table");
}
UNINITIALISED_CASE(export_table, errors) {
  const CUuuid unknown = {};
  const void* table = nullptr;
  expect(CU(cuGetExportTable, nullptr, &unknown), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuGetExportTable, &table, nullptr), CUDA_ERROR_INVALID_VALUE);
}
CASE(export_table, those_of_the_runtime_library) {
  const CUuuid ids[] = {
      {{0x6b, 0xd5, 0xfb, 0x6c, 0x5b, 0xf4, 0xe7, 0x4a, 0x89, 0x87, 0xd9, 0x39, 0x12, 0xfd, 0x9d, 0xf9}},
      {{0xa0, 0x94, 0x79, 0x8c, 0x2e, 0x74, 0x2e, 0x74, 0x93, 0xf2, 0x08, 0x00, 0x20, 0x0c, 0x0a, 0x66}},
      {{0x42, 0xd8, 0x5a, 0x81, 0x23, 0xf6, 0xcb, 0x47, 0x82, 0x98, 0xf6, 0xe7, 0x8a, 0x3a, 0xec, 0xdc}},
      {{0xc6, 0x93, 0x33, 0x6e, 0x11, 0x21, 0xdf, 0x11, 0xa8, 0xc3, 0x68, 0xf3, 0x55, 0xd8, 0x95, 0x93}},
      {{0x26, 0x3e, 0x88, 0x60, 0x7c, 0xd2, 0x61, 0x43, 0x92, 0xf6, 0xbb, 0xd5, 0x00, 0x6d, 0xfa, 0x7e}},
      {{0xd4, 0x08, 0x20, 0x55, 0xbd, 0xe6, 0x70, 0x4b, 0x8d, 0x34, 0xba, 0x12, 0x3c, 0x66, 0xe1, 0xf2}},
  };
  for (size_t i = 0; i < std::size(ids); ++i) {
    const void* table = nullptr;
    const Outcome outcome = CU(cuGetExportTable, &table, &ids[i]);
    require(outcome.code == CUDA_SUCCESS && table != nullptr, "table " + std::to_string(i) + " is there");
  }
}

}  // namespace
}  // namespace conformance
