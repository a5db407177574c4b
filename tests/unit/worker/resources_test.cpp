#include "worker/objects/resources.hpp"

#include <catch2/catch.hpp>

using namespace vgpu::worker;

namespace {

CUdevResource of_size(unsigned units) {
  CUdevResource resource = {};
  resource.sm.smCount = units;
  return resource;
}

}  // namespace

TEST_CASE("resources have numbers that follow each other") {
  Resources resources;
  const uint64_t first = resources.keep({of_size(1), of_size(2)});
  const uint64_t next = resources.keep({of_size(3)});
  CHECK(next == first + 2);
  REQUIRE(resources.find(first + 1) != nullptr);
  CHECK(resources.find(first + 1)->sm.smCount == 2);
  CHECK(resources.find(0) == nullptr);
  CHECK(resources.find(next + 1) == nullptr);
  CHECK(resources.find(~uint64_t{0}) == nullptr);
}

TEST_CASE("beyond the limit the oldest resources are forgotten") {
  Resources resources;
  const uint64_t first = resources.keep({of_size(1)});
  for (size_t i = 0; i < kMostResources; ++i) resources.keep({of_size(2)});
  CHECK(resources.find(first) == nullptr);
  CHECK(resources.find(first + 1) != nullptr);
}

TEST_CASE("one list of resources has one description") {
  Resources resources;
  const auto made = reinterpret_cast<CUdevResourceDesc>(uintptr_t{0x10});
  CHECK(resources.described({1, 2}) == 0);
  const uint64_t number = resources.describe({1, 2}, made);
  CHECK(resources.described({1, 2}) == number);
  CHECK(resources.described({2, 1}) == 0);
  CHECK(resources.description(number) == made);
  CHECK(resources.description(0) == nullptr);
  CHECK(resources.description(number + 1) == nullptr);
  for (uint64_t i = 0; resources.may_describe(); ++i) resources.describe({7, i}, made);
  CHECK(resources.describe({8}, made) == 0);
}
