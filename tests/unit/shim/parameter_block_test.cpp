#include "shim/client/parameter_block.hpp"

#include <catch2/catch.hpp>
#include <cstring>

using namespace vgpu::cuda;
using vgpu::shim::Parameter;
using vgpu::shim::ParameterBlock;

TEST_CASE("parameters lie at their offsets, with zeros between") {
  uint8_t first = 0x11;
  uint64_t second = 0x2222222222222222;
  void* parameters[] = {&first, &second};
  ParameterBlock block;
  REQUIRE(block.pack({Parameter{0, 1}, Parameter{8, 8}}, 16, parameters, nullptr) == CUDA_SUCCESS);
  const uint8_t expected[] = {0x11, 0, 0, 0, 0, 0, 0, 0, 0x22, 0x22, 0x22, 0x22, 0x22, 0x22, 0x22, 0x22};
  REQUIRE(block.bytes().size() == sizeof expected);
  CHECK(std::memcmp(block.bytes().data(), expected, sizeof expected) == 0);
}

TEST_CASE("a block larger than the common case is packed as well") {
  std::vector<uint8_t> large(ParameterBlock::kMost, 0x5a);
  void* parameters[] = {large.data()};
  ParameterBlock block;
  REQUIRE(block.pack({Parameter{0, ParameterBlock::kMost}}, ParameterBlock::kMost, parameters, nullptr) ==
          CUDA_SUCCESS);
  CHECK(std::memcmp(block.bytes().data(), large.data(), large.size()) == 0);
}

TEST_CASE("a packed block is taken as it is") {
  uint8_t packed[24] = {1, 2, 3};
  size_t size = sizeof packed;
  void* extra[] = {reinterpret_cast<void*>(1), packed, reinterpret_cast<void*>(2), &size, nullptr};
  ParameterBlock block;
  REQUIRE(block.pack({Parameter{0, 24}}, 24, nullptr, extra) == CUDA_SUCCESS);
  CHECK(block.bytes().data() == packed);
  CHECK(block.bytes().size() == sizeof packed);
}

TEST_CASE("arguments that make no sense are refused") {
  uint32_t value = 0;
  void* parameters[] = {&value};
  size_t size = 4;
  void* extra[] = {reinterpret_cast<void*>(1), &value, reinterpret_cast<void*>(2), &size, nullptr};
  const std::vector<Parameter> layout = {Parameter{0, 4}};
  ParameterBlock block;
  CHECK(block.pack(layout, 4, parameters, extra) == CUDA_ERROR_INVALID_VALUE);
  CHECK(block.pack(layout, 4, nullptr, nullptr) == CUDA_ERROR_INVALID_VALUE);
  size = ParameterBlock::kMost + 1;
  CHECK(block.pack(layout, 4, nullptr, extra) == CUDA_ERROR_INVALID_VALUE);
  void* unknown[] = {reinterpret_cast<void*>(7), &value, nullptr};
  CHECK(block.pack(layout, 4, nullptr, unknown) == CUDA_ERROR_INVALID_VALUE);
  CHECK(block.pack({}, 0, nullptr, nullptr) == CUDA_SUCCESS);
  CHECK(block.bytes().empty());
}
