// Arrays of a client: what goes with what, what they are charged, and which copies fit.
#include <catch2/catch.hpp>

#include "common/api/array_shape.hpp"
#include "worker/objects/arrays.hpp"

using namespace vgpu::worker;
using namespace vgpu::cuda;
using vgpu::wire::Kind;
using vgpu::wire::make_handle;

namespace {

uint64_t array_handle(uint32_t index) { return make_handle(Kind::array, 1, index); }
uint64_t mipmap_handle(uint32_t index) { return make_handle(Kind::mipmap, 1, index); }

CUarray real(uintptr_t number) { return reinterpret_cast<CUarray>(number); }

}  // namespace

TEST_CASE("levels go with their mipmapped array") {
  Arrays all;
  all.mipmaps.bind(mipmap_handle(0), {reinterpret_cast<CUmipmappedArray>(7), 1, 100});
  all.arrays.bind(array_handle(0), {real(8), 1, mipmap_handle(0), 0, {}});
  all.arrays.bind(array_handle(1), {real(9), 1, 0, 50, {}});
  CUarray found = nullptr;
  CHECK(all.find(array_handle(0), found));
  CHECK(found == real(8));
  all.drop(mipmap_handle(0));
  CUmipmappedArray mipmap = nullptr;
  CHECK_FALSE(all.find(mipmap_handle(0), mipmap));
  CHECK_FALSE(all.find(array_handle(0), found));
  CHECK(all.find(array_handle(1), found));
}

TEST_CASE("a context's arrays end with it, and so does what they are charged") {
  Arrays all;
  all.mipmaps.bind(mipmap_handle(0), {nullptr, 1, 100});
  all.arrays.bind(array_handle(0), {nullptr, 1, 0, 50, {}});
  all.arrays.bind(array_handle(1), {nullptr, 2, 0, 7, {}});
  CHECK(all.forget_context(1) == 150);
  CHECK(all.forget_context(1) == 0);
  CHECK(all.forget_context(2) == 7);
}

TEST_CASE("numbers of objects belong to contexts") {
  ObjectNumbers numbers;
  numbers.add(1, 5);
  numbers.add(2, 5);
  CHECK(numbers.contains(1, 5));
  numbers.forget_context(1);
  CHECK_FALSE(numbers.contains(1, 5));
  CHECK(numbers.contains(2, 5));
  numbers.remove(2, 5);
  CHECK_FALSE(numbers.contains(2, 5));
}

TEST_CASE("boxes inside an array and beyond") {
  const CUDA_ARRAY3D_DESCRIPTOR shape{10, 5, 3, CU_AD_FORMAT_FLOAT, 2, 0};
  CHECK(contains_box(shape, 0, 0, 0, 80, 5, 3));
  CHECK(contains_box(shape, 72, 4, 2, 8, 1, 1));
  CHECK_FALSE(contains_box(shape, 8, 0, 0, 80, 5, 3));
  CHECK_FALSE(contains_box(shape, 0, 1, 0, 80, 5, 3));
  CHECK_FALSE(contains_box(shape, 0, 0, 1, 80, 5, 3));
  CHECK_FALSE(contains_box(shape, 4, 0, 0, 8, 1, 1));
  CHECK_FALSE(contains_box(shape, ~uint64_t{7}, 0, 0, 16, 1, 1));
  CHECK_FALSE(contains_box(shape, 0, ~uint64_t{0}, 0, 8, 2, 1));
  const CUDA_ARRAY3D_DESCRIPTOR line{10, 0, 0, CU_AD_FORMAT_UNSIGNED_INT8, 1, 0};
  CHECK(contains_box(line, 0, 0, 0, 10, 1, 1));
  CHECK_FALSE(contains_box(line, 0, 0, 0, 10, 2, 1));
}

TEST_CASE("bytes of arrays") {
  CHECK(array_bytes({10, 5, 3, CU_AD_FORMAT_FLOAT, 2, 0}) == 1200);
  CHECK(array_bytes({10, 0, 0, CU_AD_FORMAT_HALF, 1, 0}) == 20);
  CHECK(array_bytes({~size_t{0}, 5, 3, CU_AD_FORMAT_FLOAT, 2, 0}) == ~uint64_t{0});
}

TEST_CASE("levels of arrays") {
  const CUDA_ARRAY3D_DESCRIPTOR shape{64, 16, 0, CU_AD_FORMAT_FLOAT, 1, 0};
  CHECK(most_levels(shape) == 7);
  CHECK(level_of(shape, 5).Width == 2);
  CHECK(level_of(shape, 5).Height == 1);
  CHECK(level_of(shape, 5).Depth == 0);
  const CUDA_ARRAY3D_DESCRIPTOR layers{8, 8, 100, CU_AD_FORMAT_FLOAT, 1, CUDA_ARRAY3D_LAYERED};
  CHECK(most_levels(layers) == 4);
  CHECK(level_of(layers, 2).Depth == 100);
}
