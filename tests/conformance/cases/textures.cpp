// SPDX-License-Identifier: Apache-2.0
// Texture and surface objects, and what kernels get through them.
#include <array>
#include <cstring>

#include "tests/conformance/fixtures/arrays.hpp"
#include "tests/conformance/harness/registry.hpp"

namespace conformance {
namespace {

using Quad = std::array<float, 4>;
using IntegerQuad = std::array<uint32_t, 4>;

/// What one launch of a fetching kernel stored.
template <typename Channels, typename... Arguments>
Channels fetch(const Module& module, const char* kernel, CUtexObject texture, Arguments... place) {
  const DeviceMemory out(sizeof(Channels));
  launch(module.function(kernel), {}, {}, nullptr, texture, place..., out.at());
  const auto bytes = out.read();
  Channels channels;
  std::memcpy(channels.data(), bytes.data(), sizeof channels);
  return channels;
}

/// An array of floats in which element (x, y, z) is 100 z + 10 y + x.
std::vector<float> numbers(size_t width, size_t height, size_t depth = 1) {
  std::vector<float> values;
  for (size_t z = 0; z < depth; ++z)
    for (size_t y = 0; y < height; ++y)
      for (size_t x = 0; x < width; ++x) values.push_back(float(100 * z + 10 * y + x));
  return values;
}

CASE(texture, elements_of_a_line) {
  const Context context;
  const Module module(kTextureKernels);
  const Array array(shape_of(64, 0, 0, CU_AD_FORMAT_FLOAT));
  array.write(bytes_of(numbers(64, 1)));
  const Texture texture(resource_of(array), plain_texture());
  for (const float x : {0.0F, 1.0F, 63.0F})
    expect_equal(fetch<Quad>(module, "fetch_line", texture, x + 0.5F)[0], x, "the element");
}
CASE(texture, elements_of_memory) {
  const Context context;
  const Module module(kTextureKernels);
  const DeviceMemory memory(64 * 4);
  memory.write(bytes_of(numbers(64, 1)));
  CUDA_RESOURCE_DESC resource = {};
  resource.resType = CU_RESOURCE_TYPE_LINEAR;
  resource.res.linear = {memory.at(), CU_AD_FORMAT_FLOAT, 1, memory.size()};
  const Texture texture(resource, plain_texture());
  for (const uint32_t x : {0U, 17U, 63U})
    expect_equal(fetch<Quad>(module, "fetch_1d", texture, x)[0], float(x), "the element");
  expect_equal(fetch<Quad>(module, "fetch_1d", texture, 64U)[0], 0.0F, "what is outside");
}
CASE(texture, rows_of_memory) {
  const Context context;
  const Module module(kTextureKernels);
  const DeviceMemory memory(512 * 8);
  for (size_t y = 0; y < 8; ++y) {
    std::vector<float> row;
    for (size_t x = 0; x < 16; ++x) row.push_back(float(10 * y + x));
    memory.write(bytes_of(row), y * 512);
  }
  CUDA_RESOURCE_DESC resource = {};
  resource.resType = CU_RESOURCE_TYPE_PITCH2D;
  resource.res.pitch2D = {memory.at(), CU_AD_FORMAT_FLOAT, 1, 16, 8, 512};
  const Texture texture(resource, plain_texture());
  expect_equal(fetch<Quad>(module, "fetch_2d", texture, 3.5F, 4.5F)[0], 43.0F, "the element");
  expect_equal(fetch<Quad>(module, "fetch_2d", texture, 15.5F, 7.5F)[0], 85.0F, "the last element");
}
CASE(texture, nearest_element) {
  const Context context;
  const Module module(kTextureKernels);
  const Array array(shape_of(8, 4, 0, CU_AD_FORMAT_FLOAT));
  array.write(bytes_of(numbers(8, 4)));
  const Texture texture(resource_of(array), plain_texture());
  expect_equal(fetch<Quad>(module, "fetch_2d", texture, 2.25F, 3.75F)[0], 32.0F, "the element");
  expect_equal(fetch<Quad>(module, "fetch_2d", texture, -5.0F, 1.5F)[0], 10.0F, "what is cut off on the left");
  expect_equal(fetch<Quad>(module, "fetch_2d", texture, 100.0F, 100.0F)[0], 37.0F, "what is cut off on the right");
}
CASE(texture, between_elements) {
  const Context context;
  const Module module(kTextureKernels);
  const Array array(shape_of(8, 4, 0, CU_AD_FORMAT_FLOAT));
  array.write(bytes_of(numbers(8, 4)));
  const Texture texture(resource_of(array), plain_texture(0, CU_TR_ADDRESS_MODE_CLAMP, CU_TR_FILTER_MODE_LINEAR));
  expect_equal(fetch<Quad>(module, "fetch_2d", texture, 2.5F, 1.5F)[0], 12.0F, "at an element");
  expect_equal(fetch<Quad>(module, "fetch_2d", texture, 3.0F, 1.5F)[0], 12.5F, "between two");
  expect_equal(fetch<Quad>(module, "fetch_2d", texture, 3.0F, 2.0F)[0], 17.5F, "between four");
  expect_equal(fetch<Quad>(module, "fetch_2d", texture, 2.75F, 1.5F)[0], 12.25F, "a quarter further");
}
CASE(texture, normalized_coordinates) {
  const Context context;
  const Module module(kTextureKernels);
  const Array array(shape_of(8, 4, 0, CU_AD_FORMAT_FLOAT));
  array.write(bytes_of(numbers(8, 4)));
  const auto at = [&](CUaddress_mode mode, float x) {
    const Texture texture(resource_of(array), plain_texture(CU_TRSF_NORMALIZED_COORDINATES, mode));
    return fetch<Quad>(module, "fetch_2d", texture, x, 0.0F)[0];
  };
  const float element = 1.0F / 8;
  expect_equal(at(CU_TR_ADDRESS_MODE_CLAMP, 2.5F * element), 2.0F, "inside");
  expect_equal(at(CU_TR_ADDRESS_MODE_CLAMP, 9.5F * element), 7.0F, "cut off");
  expect_equal(at(CU_TR_ADDRESS_MODE_WRAP, 9.5F * element), 1.0F, "from the beginning again");
  expect_equal(at(CU_TR_ADDRESS_MODE_WRAP, -0.5F * element), 7.0F, "from the end again");
  expect_equal(at(CU_TR_ADDRESS_MODE_MIRROR, 9.5F * element), 6.0F, "mirrored");
  expect_equal(at(CU_TR_ADDRESS_MODE_BORDER, 9.5F * element), 0.0F, "the border");
}
CASE(texture, border_colour) {
  const Context context;
  const Module module(kTextureKernels);
  const Array array(shape_of(8, 4, 0, CU_AD_FORMAT_FLOAT, 4));
  array.write(std::vector<uint8_t>(array.bytes(), 0));
  auto how = plain_texture(0, CU_TR_ADDRESS_MODE_BORDER);
  how.borderColor[0] = 0.25F, how.borderColor[3] = 0.75F;
  const Texture texture(resource_of(array), how);
  const Quad outside = fetch<Quad>(module, "fetch_2d", texture, 20.0F, 1.0F);
  expect_equal(outside[0], 0.25F, "the first channel");
  expect_equal(outside[3], 0.75F, "the last channel");
}
CASE(texture, channels) {
  const Context context;
  const Module module(kTextureKernels);
  const Array array(shape_of(8, 4, 0, CU_AD_FORMAT_FLOAT, 4));
  std::vector<float> values;
  for (int i = 0; i < 8 * 4 * 4; ++i) values.push_back(float(i));
  array.write(bytes_of(values));
  const Texture texture(resource_of(array), plain_texture());
  const Quad quad = fetch<Quad>(module, "fetch_2d", texture, 2.5F, 1.5F);
  for (unsigned i = 0; i < 4; ++i) expect_equal(quad[i], float(40 + i), "the channel");
}
CASE(texture, small_integers_as_parts_of_one) {
  const Context context;
  const Module module(kTextureKernels);
  const Array array(shape_of(8, 4, 0, CU_AD_FORMAT_UNSIGNED_INT8, 4));
  std::vector<uint8_t> values(array.bytes(), 0);
  values[0] = 255, values[1] = 51, values[2] = 0, values[3] = 102;
  array.write(values);
  const Texture texture(resource_of(array), plain_texture());
  const Quad quad = fetch<Quad>(module, "fetch_2d", texture, 0.5F, 0.5F);
  expect_equal(quad[0], 1.0F, "the largest");
  require(quad[1] > 0.1999F && quad[1] < 0.2001F, "51 is a fifth");
  expect_equal(quad[2], 0.0F, "the smallest");
}
CASE(texture, integers) {
  const Context context;
  const Module module(kTextureKernels);
  const Array array(shape_of(8, 4, 0, CU_AD_FORMAT_UNSIGNED_INT16, 2));
  std::vector<uint16_t> values(8 * 4 * 2, 0);
  values[(2 * 8 + 3) * 2] = 40'000, values[(2 * 8 + 3) * 2 + 1] = 7;
  array.write(bytes_of(values));
  const Texture texture(resource_of(array), plain_texture(CU_TRSF_READ_AS_INTEGER));
  const auto quad = fetch<IntegerQuad>(module, "fetch_2d_integer", texture, 3.5F, 2.5F);
  expect_equal(quad[0], 40'000U, "the first channel");
  expect_equal(quad[1], 7U, "the second channel");
}
CASE(texture, halves) {
  const Context context;
  const Module module(kTextureKernels);
  const Array array(shape_of(8, 4, 0, CU_AD_FORMAT_HALF));
  std::vector<uint16_t> values(8 * 4, 0);
  values[9] = 0x3e00;  // 1.5
  array.write(bytes_of(values));
  const Texture texture(resource_of(array), plain_texture());
  expect_equal(fetch<Quad>(module, "fetch_2d", texture, 1.5F, 1.5F)[0], 1.5F, "the element");
}
CASE(texture, boxes) {
  const Context context;
  const Module module(kTextureKernels);
  const Array array(shape_of(8, 4, 3, CU_AD_FORMAT_FLOAT));
  array.write(bytes_of(numbers(8, 4, 3)));
  const Texture nearest(resource_of(array), plain_texture());
  expect_equal(fetch<Quad>(module, "fetch_3d", nearest, 5.5F, 2.5F, 1.5F)[0], 125.0F, "the element");
  const Texture linear(resource_of(array), plain_texture(0, CU_TR_ADDRESS_MODE_CLAMP, CU_TR_FILTER_MODE_LINEAR));
  expect_equal(fetch<Quad>(module, "fetch_3d", linear, 5.5F, 2.5F, 2.0F)[0], 175.0F, "between two slices");
}
CASE(texture, layers) {
  const Context context;
  const Module module(kTextureKernels);
  const Array array(shape_of(8, 4, 3, CU_AD_FORMAT_FLOAT, 1, CUDA_ARRAY3D_LAYERED));
  array.write(bytes_of(numbers(8, 4, 3)));
  const Texture texture(resource_of(array), plain_texture());
  expect_equal(fetch<Quad>(module, "fetch_layer", texture, 2U, 5.5F, 1.5F)[0], 215.0F, "the element");
}
CASE(texture, levels) {
  const Context context;
  const Module module(kTextureKernels);
  const auto shape = shape_of(16, 16, 0, CU_AD_FORMAT_FLOAT);
  CUmipmappedArray mipmap = nullptr;
  expect_ok(CU(cuMipmappedArrayCreate, &mipmap, &shape, 3));
  for (unsigned level = 0; level < 3; ++level) {
    const size_t side = 16U >> level;
    const auto bytes = bytes_of(std::vector<float>(side * side, float(level + 1)));
    CUarray array = nullptr;
    expect_ok(CU(cuMipmappedArrayGetLevel, &array, mipmap, level));
    const auto copy = copy_into(array, bytes.data(), side * 4, side, 1);
    expect_ok(CU(cuMemcpy3D_v2, &copy));
  }
  CUDA_RESOURCE_DESC resource = {};
  resource.resType = CU_RESOURCE_TYPE_MIPMAPPED_ARRAY;
  resource.res.mipmap = mipmap;
  auto how = plain_texture(CU_TRSF_NORMALIZED_COORDINATES);
  how.maxMipmapLevelClamp = 2;
  {
    const Texture texture(resource, how);
    for (unsigned level = 0; level < 3; ++level)
      expect_equal(fetch<Quad>(module, "fetch_level", texture, 0.5F, 0.5F, float(level))[0], float(level + 1),
                   "what the level holds");
  }
  expect_ok(CU(cuMipmappedArrayDestroy, mipmap));
}
CASE(texture, descriptions) {
  const Context context;
  const Array array(shape_of(8, 4, 0, CU_AD_FORMAT_FLOAT));
  const Texture texture(resource_of(array), plain_texture(CU_TRSF_NORMALIZED_COORDINATES, CU_TR_ADDRESS_MODE_WRAP,
                                                          CU_TR_FILTER_MODE_LINEAR));
  CUDA_RESOURCE_DESC resource = {};
  CUDA_TEXTURE_DESC how = {};
  expect_ok(CU(cuTexObjectGetResourceDesc, &resource, texture));
  expect_equal(resource.resType, unsigned{CU_RESOURCE_TYPE_ARRAY}, "the kind of resource");
  require(resource.res.array == array, "the array is the same");
  expect_ok(CU(cuTexObjectGetTextureDesc, &how, texture));
  expect_equal(how.addressMode[0], unsigned{CU_TR_ADDRESS_MODE_WRAP}, "the address mode");
  expect_equal(how.filterMode, unsigned{CU_TR_FILTER_MODE_LINEAR}, "the filter mode");
  expect_equal(how.flags, unsigned{CU_TRSF_NORMALIZED_COORDINATES}, "the flags");
}
CASE(texture, errors) {
  const Context context;
  const Array array(shape_of(8, 4, 0, CU_AD_FORMAT_FLOAT));
  const DeviceMemory memory(4096);
  const auto how = plain_texture();
  auto resource = resource_of(array);
  CUtexObject object = 0;
  const auto create = [&] { return CU(cuTexObjectCreate, &object, &resource, &how, nullptr); };
  expect(CU(cuTexObjectCreate, nullptr, &resource, &how, nullptr), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuTexObjectCreate, &object, nullptr, &how, nullptr), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuTexObjectCreate, &object, &resource, nullptr, nullptr), CUDA_ERROR_INVALID_VALUE);
  resource.resType = 9;
  expect(create(), CUDA_ERROR_INVALID_VALUE);
  resource = {};
  resource.resType = CU_RESOURCE_TYPE_LINEAR;
  resource.res.linear = {memory.at(4), CU_AD_FORMAT_FLOAT, 1, 1024};
  expect(create(), CUDA_ERROR_INVALID_VALUE);
  resource = {};
  resource.resType = CU_RESOURCE_TYPE_PITCH2D;
  resource.res.pitch2D = {memory.at(), CU_AD_FORMAT_FLOAT, 1, 16, 8, 60};
  expect(create(), CUDA_ERROR_INVALID_VALUE);
}
CASE(texture, width_of_plain_memory) {
  const Context context;
  size_t width = 0;
  expect_ok(CU(cuDeviceGetTexture1DLinearMaxWidth, &width, CU_AD_FORMAT_FLOAT, 1, context.device()));
  require(width >= 1 << 20, "a million elements fit");
  expect(CU(cuDeviceGetTexture1DLinearMaxWidth, nullptr, CU_AD_FORMAT_FLOAT, 1, context.device()),
         CUDA_ERROR_INVALID_VALUE);
}

CUDA_ARRAY3D_DESCRIPTOR canvas(size_t width, size_t height, size_t depth = 0, unsigned channels = 1) {
  return shape_of(width, height, depth, CU_AD_FORMAT_UNSIGNED_INT32, channels, CUDA_ARRAY3D_SURFACE_LDST);
}

CASE(surface, from_one_to_another) {
  const Context context;
  const Module module(kTextureKernels);
  const Array from(canvas(32, 8)), to(canvas(32, 8));
  std::vector<uint32_t> words(32 * 8);
  for (uint32_t i = 0; i < words.size(); ++i) words[i] = i * 3;
  from.write(bytes_of(words));
  const Surface source(from), target(to);
  launch(module.function("add_rows"), {8}, {32}, nullptr, CUsurfObject(source), CUsurfObject(target));
  for (auto& word : words) ++word;
  expect_same(to.read(), bytes_of(words));
}
CASE(surface, boxes) {
  const Context context;
  const Module module(kTextureKernels);
  const Array array(canvas(16, 4, 3));
  const Surface surface(array);
  launch(module.function("number_box"), {4, 3}, {16}, nullptr, CUsurfObject(surface));
  std::vector<uint32_t> wanted;
  for (uint32_t z = 0; z < 3; ++z)
    for (uint32_t y = 0; y < 4; ++y)
      for (uint32_t x = 0; x < 16; ++x) wanted.push_back(x + 100 * y + 10'000 * z);
  expect_same(array.read(), bytes_of(wanted));
}
CASE(surface, four_words_at_a_time) {
  const Context context;
  const Module module(kTextureKernels);
  const Array from(canvas(32, 0, 0, 4)), to(canvas(32, 0, 0, 4));
  std::vector<uint32_t> words(32 * 4), turned(32 * 4);
  for (uint32_t i = 0; i < words.size(); ++i) words[i] = i;
  for (uint32_t i = 0; i < words.size(); ++i) turned[i] = words[i / 4 * 4 + 3 - i % 4];
  from.write(bytes_of(words));
  const Surface source(from), target(to);
  launch(module.function("copy_quads"), {}, {32}, nullptr, CUsurfObject(source), CUsurfObject(target));
  expect_same(to.read(), bytes_of(turned));
}
CASE(surface, zero_outside) {
  const Context context;
  const Module module(kTextureKernels);
  const Array array(canvas(32, 0));
  array.write(std::vector<uint8_t>(array.bytes(), 0xff));
  const Surface surface(array);
  const DeviceMemory out(4);
  out.write_word(5);
  launch(module.function("load_outside"), {}, {}, nullptr, CUsurfObject(surface), out.at());
  expect_equal(out.word(), 0U, "the word");
}
CASE(surface, then_a_texture) {
  const Context context;
  const Module module(kTextureKernels);
  const Array array(canvas(16, 4, 3));
  const Surface surface(array);
  launch(module.function("number_box"), {4, 3}, {16}, nullptr, CUsurfObject(surface));
  const Texture texture(resource_of(array), plain_texture());
  const auto quad = fetch<Quad>(module, "fetch_3d", texture, 5.5F, 2.5F, 1.5F);
  uint32_t bits = 0;
  std::memcpy(&bits, quad.data(), 4);
  expect_equal(bits, 10'205U, "the word");
}
CASE(surface, description) {
  const Context context;
  const Array array(canvas(16, 4));
  const Surface surface(array);
  CUDA_RESOURCE_DESC resource = {};
  expect_ok(CU(cuSurfObjectGetResourceDesc, &resource, surface));
  expect_equal(resource.resType, unsigned{CU_RESOURCE_TYPE_ARRAY}, "the kind of resource");
  require(resource.res.array == array, "the array is the same");
}
/// Such an array must not be written to by kernels, but the driver makes the object.
CASE(surface, of_an_array_not_made_for_it) {
  const Context context;
  const Array plain(shape_of(16, 4, 0, CU_AD_FORMAT_UNSIGNED_INT32));
  CUsurfObject object = 0;
  const auto resource = resource_of(plain);
  if (expect_one_of(CU(cuSurfObjectCreate, &object, &resource), {CUDA_SUCCESS, CUDA_ERROR_INVALID_VALUE}) ==
      CUDA_SUCCESS)
    expect_ok(CU(cuSurfObjectDestroy, object));
}
CASE(surface, errors) {
  const Context context;
  CUsurfObject object = 0;
  CUDA_RESOURCE_DESC resource = {};
  resource.resType = CU_RESOURCE_TYPE_LINEAR;
  expect(CU(cuSurfObjectCreate, &object, &resource), CUDA_ERROR_INVALID_VALUE);
}

}  // namespace
}  // namespace conformance
