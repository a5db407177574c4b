// SPDX-License-Identifier: Apache-2.0
// Texture and surface references. A library may lack them: they are deprecated.
#include <algorithm>
#include <cstring>

#include "tests/conformance/fixtures/arrays.hpp"
#include "tests/conformance/harness/registry.hpp"

namespace conformance {
namespace {

class Reference {
 public:
  Reference() {
    if (driver().cuTexRefCreate == nullptr) skip("the library has no texture references");
    const CUresult result = expect_one_of(CU(cuTexRefCreate, &reference_), {CUDA_SUCCESS, CUDA_ERROR_NOT_SUPPORTED});
    if (result != CUDA_SUCCESS) skip("texture references are not supported");
  }
  Reference(const Reference&) = delete;
  Reference& operator=(const Reference&) = delete;
  ~Reference() {
    if (reference_ != nullptr) driver().cuTexRefDestroy(reference_);
  }
  operator CUtexref() const { return reference_; }

 private:
  CUtexref reference_ = nullptr;
};

/// The module with references, if the library takes such code.
class ReferenceModule {
 public:
  ReferenceModule() {
    if (driver().cuModuleGetTexRef == nullptr) skip("the library has no texture references");
    if (CU(cuModuleLoadData, &module_, kReferences).code != CUDA_SUCCESS)
      skip("code with texture references is not taken");
  }
  ReferenceModule(const ReferenceModule&) = delete;
  ReferenceModule& operator=(const ReferenceModule&) = delete;
  ~ReferenceModule() { driver().cuModuleUnload(module_); }
  CUmodule get() const { return module_; }
  CUfunction function(const char* name) const {
    CUfunction found = nullptr;
    expect_ok(CU(cuModuleGetFunction, &found, module_, name));
    return found;
  }

 private:
  CUmodule module_ = nullptr;
};

CASE(texture_reference, settings) {
  const Context context;
  const Reference reference;
  CUaddress_mode address = 0;
  CUfilter_mode filter = 0;
  CUarray_format format = 0;
  int channels = 0;
  unsigned flags = 0;
  expect_ok(CU(cuTexRefSetAddressMode, reference, 1, CU_TR_ADDRESS_MODE_CLAMP));
  expect_ok(CU(cuTexRefGetAddressMode, &address, reference, 1));
  expect_equal(address, unsigned{CU_TR_ADDRESS_MODE_CLAMP}, "the address mode");
  expect_ok(CU(cuTexRefSetFilterMode, reference, CU_TR_FILTER_MODE_LINEAR));
  expect_ok(CU(cuTexRefGetFilterMode, &filter, reference));
  expect_equal(filter, unsigned{CU_TR_FILTER_MODE_LINEAR}, "the filter mode");
  expect_ok(CU(cuTexRefSetFormat, reference, CU_AD_FORMAT_FLOAT, 2));
  expect_ok(CU(cuTexRefGetFormat, &format, &channels, reference));
  expect_equal(format, unsigned{CU_AD_FORMAT_FLOAT}, "the format");
  expect_equal(channels, 2, "the number of channels");
  expect_ok(CU(cuTexRefSetFlags, reference, CU_TRSF_NORMALIZED_COORDINATES));
  expect_ok(CU(cuTexRefGetFlags, &flags, reference));
  expect_equal(flags, unsigned{CU_TRSF_NORMALIZED_COORDINATES}, "the flags");
  float color[4] = {0.5F, 0, 0, 1}, found[4] = {};
  expect_ok(CU(cuTexRefSetBorderColor, reference, color));
  expect_ok(CU(cuTexRefGetBorderColor, found, reference));
  require(std::equal(color, color + 4, found), "the border colour is the same");
}
CASE(texture_reference, array) {
  const Context context;
  const Reference reference;
  const Array array(shape_of(8, 4, 0, CU_AD_FORMAT_FLOAT));
  CUarray found = nullptr;
  expect(CU(cuTexRefGetArray, &found, reference), CUDA_ERROR_INVALID_VALUE);
  expect_ok(CU(cuTexRefSetArray, reference, array, CU_TRSA_OVERRIDE_FORMAT));
  expect_ok(CU(cuTexRefGetArray, &found, reference));
  require(found == array, "the array is the same");
}
CASE(texture_reference, of_a_module) {
  const Context context;
  const ReferenceModule module;
  const Array array(shape_of(8, 4, 0, CU_AD_FORMAT_FLOAT));
  std::vector<float> values(32);
  for (size_t i = 0; i < values.size(); ++i) values[i] = float(i);
  array.write(bytes_of(values));
  CUtexref reference = nullptr, again = nullptr;
  expect_ok(CU(cuModuleGetTexRef, &reference, module.get(), "picture"));
  expect_ok(CU(cuModuleGetTexRef, &again, module.get(), "picture"));
  require(reference == again, "the reference is the same");
  expect_ok(CU(cuTexRefSetArray, reference, array, CU_TRSA_OVERRIDE_FORMAT));
  expect_ok(CU(cuTexRefSetFilterMode, reference, CU_TR_FILTER_MODE_POINT));
  const DeviceMemory out(16);
  launch(module.function("fetch"), {}, {}, nullptr, 3.5F, 2.5F, out.at());
  float first = 0;
  std::memcpy(&first, out.read().data(), sizeof first);
  expect_equal(first, 19.0F, "the element");
}
CASE(texture_reference, surface_of_a_module) {
  const Context context;
  const ReferenceModule module;
  const Array array(shape_of(16, 4, 0, CU_AD_FORMAT_UNSIGNED_INT32, 1, CUDA_ARRAY3D_SURFACE_LDST));
  CUsurfref reference = nullptr;
  expect_ok(CU(cuModuleGetSurfRef, &reference, module.get(), "canvas"));
  expect_ok(CU(cuSurfRefSetArray, reference, array, 0));
  CUarray found = nullptr;
  expect_ok(CU(cuSurfRefGetArray, &found, reference));
  require(found == array, "the array is the same");
  launch(module.function("paint"), {4}, {16}, nullptr, 77U);
  expect_same(array.read(), bytes_of(std::vector<uint32_t>(64, 77)));
}
CASE(texture_reference, unknown_names) {
  const Context context;
  const ReferenceModule module;
  CUtexref texture = nullptr;
  CUsurfref surface = nullptr;
  expect(CU(cuModuleGetTexRef, &texture, module.get(), "nothing"), CUDA_ERROR_NOT_FOUND);
  expect(CU(cuModuleGetSurfRef, &surface, module.get(), "nothing"), CUDA_ERROR_NOT_FOUND);
  expect(CU(cuModuleGetTexRef, nullptr, module.get(), "picture"), CUDA_ERROR_INVALID_VALUE);
}

}  // namespace
}  // namespace conformance
