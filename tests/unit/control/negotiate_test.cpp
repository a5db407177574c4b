#include "common/control/negotiate.hpp"

#include <catch2/catch.hpp>

using namespace vgpu::control;
using Catch::Contains;

TEST_CASE("a host serves guests of its own and the two previous minors") {
  const auto host = host_offer({1, 5}, 0b0110);
  for (std::uint16_t minor = 3; minor <= 5; ++minor) {
    const auto agreed = negotiate({{1, minor}, minor, 0b0011}, host);
    REQUIRE(agreed);
    CHECK(agreed->version == Version{1, minor});
    CHECK(agreed->features == 0b0010);
  }
  CHECK_FALSE(negotiate({{1, 2}, 2, 0}, host));
}

TEST_CASE("a newer guest that still speaks an older minor is served at the host's") {
  const auto agreed = negotiate({{1, 9}, 4, 0}, host_offer({1, 5}, 0));
  REQUIRE(agreed);
  CHECK(agreed->version == Version{1, 5});
}

TEST_CASE("without a common version both are named, and which side to update") {
  const auto host = host_offer({1, 5}, 0);
  const auto newer = negotiate({{1, 9}, 6, 0}, host);
  REQUIRE_FALSE(newer);
  CHECK_THAT(newer.error().text, Contains("1.6 to 1.9") && Contains("1.3 to 1.5") && Contains("update the host"));
  const auto older = negotiate({{1, 1}, 0, 0}, host);
  REQUIRE_FALSE(older);
  CHECK_THAT(older.error().text, Contains("1.0 to 1.1") && Contains("update the guest"));
  CHECK_FALSE(negotiate({{2, 5}, 5, 0}, host));
  CHECK_FALSE(negotiate({{0, 5}, 5, 0}, host));
}

TEST_CASE("a guest whose oldest minor lies above its newest speaks its newest, or nothing") {
  CHECK_FALSE(negotiate({{1, 3}, 60000, 0}, host_offer({1, 5}, 0)));
}

TEST_CASE("hosts of the first minors offer from zero") {
  CHECK(host_offer({1, 0}, 0).oldest_minor == 0);
  CHECK(host_offer({1, 2}, 0).oldest_minor == 0);
  CHECK(host_offer({1, 3}, 0).oldest_minor == 1);
}
