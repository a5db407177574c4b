// SPDX-License-Identifier: Apache-2.0
// Arrays and mipmapped arrays: what can be made, and what is said of it.
#include <memory>

#include "tests/conformance/fixtures/arrays.hpp"
#include "tests/conformance/harness/registry.hpp"

namespace conformance {
namespace {

constexpr CUarray_format kWord = CU_AD_FORMAT_UNSIGNED_INT32;

Outcome create(const CUDA_ARRAY3D_DESCRIPTOR& shape) {
  CUarray array = nullptr;
  const Outcome outcome = CU(cuArray3DCreate_v2, &array, &shape);
  if (outcome.code == CUDA_SUCCESS) driver().cuArrayDestroy(array);
  return outcome;
}

void expect_shape(CUarray array, const CUDA_ARRAY3D_DESCRIPTOR& wanted) {
  CUDA_ARRAY3D_DESCRIPTOR shape = {};
  expect_ok(CU(cuArray3DGetDescriptor_v2, &shape, array));
  expect_equal(shape.Width, wanted.Width, "the width");
  expect_equal(shape.Height, wanted.Height, "the height");
  expect_equal(shape.Depth, wanted.Depth, "the depth");
  expect_equal(shape.Format, wanted.Format, "the format");
  expect_equal(shape.NumChannels, wanted.NumChannels, "the number of channels");
  expect_equal(shape.Flags, wanted.Flags, "the flags");
}

CASE(array, of_one_and_two_dimensions) {
  const Context context;
  for (const size_t height : {0, 48}) {
    const CUDA_ARRAY_DESCRIPTOR wanted{100, height, CU_AD_FORMAT_FLOAT, 2};
    CUarray array = nullptr;
    expect_ok(CU(cuArrayCreate_v2, &array, &wanted));
    CUDA_ARRAY_DESCRIPTOR shape = {};
    expect_ok(CU(cuArrayGetDescriptor_v2, &shape, array));
    expect_equal(shape.Width, wanted.Width, "the width");
    expect_equal(shape.Height, wanted.Height, "the height");
    expect_equal(shape.Format, wanted.Format, "the format");
    expect_equal(shape.NumChannels, wanted.NumChannels, "the number of channels");
    expect_shape(array, {100, height, 0, CU_AD_FORMAT_FLOAT, 2, 0});
    expect_ok(CU(cuArrayDestroy, array));
  }
}
CASE(array, of_every_kind) {
  const Context context;
  const CUDA_ARRAY3D_DESCRIPTOR shapes[] = {
      shape_of(64, 0, 0, kWord),
      shape_of(64, 32, 0, kWord),
      shape_of(64, 32, 16, kWord),
      shape_of(64, 0, 5, kWord, 1, CUDA_ARRAY3D_LAYERED),
      shape_of(64, 32, 5, kWord, 1, CUDA_ARRAY3D_LAYERED),
      shape_of(32, 32, 6, kWord, 1, CUDA_ARRAY3D_CUBEMAP),
      shape_of(32, 32, 12, kWord, 1, CUDA_ARRAY3D_CUBEMAP | CUDA_ARRAY3D_LAYERED),
      shape_of(64, 32, 0, kWord, 4, CUDA_ARRAY3D_SURFACE_LDST),
      shape_of(64, 32, 0, CU_AD_FORMAT_FLOAT, 1, CUDA_ARRAY3D_TEXTURE_GATHER),
  };
  for (const auto& shape : shapes) {
    const Array array(shape);
    expect_shape(array, shape);
  }
}
CASE(array, of_every_format) {
  const Context context;
  for (const CUarray_format format :
       {CU_AD_FORMAT_UNSIGNED_INT8, CU_AD_FORMAT_UNSIGNED_INT16, CU_AD_FORMAT_UNSIGNED_INT32, CU_AD_FORMAT_SIGNED_INT8,
        CU_AD_FORMAT_SIGNED_INT16, CU_AD_FORMAT_SIGNED_INT32, CU_AD_FORMAT_HALF, CU_AD_FORMAT_FLOAT}) {
    for (const unsigned channels : {1U, 2U, 4U}) {
      const Array array(shape_of(16, 16, 0, format, channels));
      const auto bytes = pattern(array.bytes(), format * 8 + channels);
      array.write(bytes);
      expect_same(array.read(), bytes);
    }
  }
}
CASE(array, errors_of_creation) {
  const Context context;
  CUarray array = nullptr;
  const auto shape = shape_of(16, 16, 0, kWord);
  expect(CU(cuArray3DCreate_v2, nullptr, &shape), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuArray3DCreate_v2, &array, nullptr), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuArrayCreate_v2, &array, nullptr), CUDA_ERROR_INVALID_VALUE);
  expect(create(shape_of(0, 16, 0, kWord)), CUDA_ERROR_INVALID_VALUE);
  expect(create(shape_of(16, 16, 0, kWord, 3)), CUDA_ERROR_INVALID_VALUE);
  expect(create(shape_of(16, 16, 0, kWord, 0)), CUDA_ERROR_INVALID_VALUE);
  expect(create(shape_of(16, 16, 0, 7)), CUDA_ERROR_INVALID_VALUE);
  expect(create(shape_of(1 << 20, 16, 0, kWord)), CUDA_ERROR_INVALID_VALUE);
  expect(create(shape_of(16, 1 << 20, 0, kWord)), CUDA_ERROR_INVALID_VALUE);
  expect(create(shape_of(16, 32, 6, kWord, 1, CUDA_ARRAY3D_CUBEMAP)), CUDA_ERROR_INVALID_VALUE);
  expect(create(shape_of(16, 16, 5, kWord, 1, CUDA_ARRAY3D_CUBEMAP)), CUDA_ERROR_INVALID_VALUE);
}
CASE(array, errors_of_questions) {
  const Context context;
  const Array array(shape_of(16, 16, 0, kWord));
  CUDA_ARRAY3D_DESCRIPTOR shape = {};
  CUDA_ARRAY_DESCRIPTOR flat = {};
  expect(CU(cuArray3DGetDescriptor_v2, nullptr, array), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuArrayGetDescriptor_v2, nullptr, array), CUDA_ERROR_INVALID_VALUE);
  expect_one_of(CU(cuArray3DGetDescriptor_v2, &shape, nullptr), {CUDA_ERROR_INVALID_HANDLE, CUDA_ERROR_INVALID_VALUE});
  expect_one_of(CU(cuArrayGetDescriptor_v2, &flat, nullptr), {CUDA_ERROR_INVALID_HANDLE, CUDA_ERROR_INVALID_VALUE});
  expect_one_of(CU(cuArrayDestroy, nullptr), {CUDA_ERROR_INVALID_HANDLE, CUDA_ERROR_INVALID_VALUE});
}
CASE(array, planes_and_sparse_properties_of_none) {
  const Context context;
  const Array array(shape_of(16, 16, 0, kWord));
  CUarray plane = nullptr;
  CUDA_ARRAY_SPARSE_PROPERTIES sparse = {};
  expect_one_of(CU(cuArrayGetPlane, &plane, array, 0), {CUDA_ERROR_INVALID_VALUE, CUDA_ERROR_INVALID_HANDLE});
  expect(CU(cuArrayGetSparseProperties, &sparse, array), CUDA_ERROR_INVALID_VALUE);
}
CASE(array, many_at_a_time) {
  const Context context;
  std::vector<std::unique_ptr<Array>> arrays;
  for (int i = 0; i < 200; ++i) arrays.push_back(std::make_unique<Array>(shape_of(64, 64, 0, kWord)));
  const auto first = pattern(arrays.front()->bytes(), 1), last = pattern(arrays.back()->bytes(), 2);
  arrays.front()->write(first);
  arrays.back()->write(last);
  expect_same(arrays.front()->read(), first);
  expect_same(arrays.back()->read(), last);
}
CASE(array, ends_with_its_context) {
  CUcontext context = nullptr;
  CUarray array = nullptr;
  const CUDA_ARRAY_DESCRIPTOR shape{64, 64, kWord, 1};
  for (int i = 0; i < 3; ++i) {
    expect_ok(CU(cuCtxCreate_v2, &context, 0, 0));
    expect_ok(CU(cuArrayCreate_v2, &array, &shape));
    expect_ok(CU(cuCtxDestroy_v2, context));
  }
}
CASE(array, needs_a_context) {
  CUarray array = nullptr;
  const auto shape = shape_of(16, 16, 0, kWord);
  expect(CU(cuArray3DCreate_v2, &array, &shape), CUDA_ERROR_INVALID_CONTEXT);
}

class Mipmap {
 public:
  Mipmap(const CUDA_ARRAY3D_DESCRIPTOR& shape, unsigned levels) {
    expect_ok(CU(cuMipmappedArrayCreate, &mipmap_, &shape, levels));
  }
  Mipmap(const Mipmap&) = delete;
  Mipmap& operator=(const Mipmap&) = delete;
  ~Mipmap() {
    if (mipmap_ != nullptr) driver().cuMipmappedArrayDestroy(mipmap_);
  }
  operator CUmipmappedArray() const { return mipmap_; }
  CUarray level(unsigned which) const {
    CUarray array = nullptr;
    expect_ok(CU(cuMipmappedArrayGetLevel, &array, mipmap_, which));
    return array;
  }

 private:
  CUmipmappedArray mipmap_ = nullptr;
};

CASE(mipmap, levels_halve) {
  const Context context;
  const Mipmap mipmap(shape_of(64, 16, 0, kWord), 7);
  const size_t widths[] = {64, 32, 16, 8, 4, 2, 1}, heights[] = {16, 8, 4, 2, 1, 1, 1};
  for (unsigned level = 0; level < 7; ++level) {
    CUDA_ARRAY3D_DESCRIPTOR shape = {};
    expect_ok(CU(cuArray3DGetDescriptor_v2, &shape, mipmap.level(level)));
    expect_equal(shape.Width, widths[level], "the width");
    expect_equal(shape.Height, heights[level], "the height");
  }
}
CASE(mipmap, levels_hold_their_own) {
  const Context context;
  const Mipmap mipmap(shape_of(64, 64, 0, kWord), 3);
  for (unsigned level = 0; level < 3; ++level) {
    const size_t side = 64U >> level;
    const auto bytes = pattern(side * side * 4, level + 1);
    const auto copy = copy_into(mipmap.level(level), bytes.data(), side * 4, side, 1);
    expect_ok(CU(cuMemcpy3D_v2, &copy));
  }
  for (unsigned level = 0; level < 3; ++level) {
    const size_t side = 64U >> level;
    std::vector<uint8_t> bytes(side * side * 4);
    const auto copy = copy_out_of(mipmap.level(level), bytes.data(), side * 4, side, 1);
    expect_ok(CU(cuMemcpy3D_v2, &copy));
    expect_same(bytes, pattern(bytes.size(), level + 1));
  }
}
CASE(mipmap, more_levels_than_there_are) {
  const Context context;
  const Mipmap mipmap(shape_of(16, 16, 0, kWord), 100);
  CUarray level = nullptr;
  expect_ok(CU(cuMipmappedArrayGetLevel, &level, mipmap, 4));
  expect(CU(cuMipmappedArrayGetLevel, &level, mipmap, 5), CUDA_ERROR_INVALID_VALUE);
}
CASE(mipmap, errors) {
  const Context context;
  const auto shape = shape_of(16, 16, 0, kWord);
  CUmipmappedArray made = nullptr;
  CUarray level = nullptr;
  expect(CU(cuMipmappedArrayCreate, nullptr, &shape, 2), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuMipmappedArrayCreate, &made, nullptr, 2), CUDA_ERROR_INVALID_VALUE);
  const auto wrong = shape_of(16, 16, 0, kWord, 3);
  expect(CU(cuMipmappedArrayCreate, &made, &wrong, 2), CUDA_ERROR_INVALID_VALUE);
  const Mipmap mipmap(shape, 2);
  expect(CU(cuMipmappedArrayGetLevel, nullptr, mipmap, 0), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuMipmappedArrayGetLevel, &level, mipmap, 2), CUDA_ERROR_INVALID_VALUE);
  expect_one_of(CU(cuMipmappedArrayDestroy, nullptr), {CUDA_ERROR_INVALID_HANDLE, CUDA_ERROR_INVALID_VALUE});
}

}  // namespace
}  // namespace conformance
