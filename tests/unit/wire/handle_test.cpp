#include <catch2/catch.hpp>

#include "common/wire/handle.hpp"

using namespace vgpu::wire;

TEST_CASE("a handle's parts come back") {
  for (unsigned kind = 1; kind < kKinds; ++kind) {
    const uint64_t handle = make_handle(static_cast<Kind>(kind), kMaxGeneration, kMaxIndex);
    CHECK(kind_of(handle) == static_cast<Kind>(kind));
    CHECK(generation_of(handle) == kMaxGeneration);
    CHECK(index_of(handle) == kMaxIndex);
  }
}

TEST_CASE("special streams are no handles") {
  for (const uint64_t number : {uint64_t{0}, uint64_t{1}, uint64_t{2}}) CHECK(kind_of(number) == Kind::none);
}

TEST_CASE("numbers of no kind") {
  CHECK(kind_of(~uint64_t{0}) == Kind::none);
  CHECK(kind_of(uint64_t{kKinds} << 44) == Kind::none);
}
