// What workers offer to the others of their VM, and to nobody else.
#include "broker/vm/shares.hpp"

#include <fcntl.h>

#include <catch2/catch.hpp>
#include <cstring>

using namespace vgpu;
using broker::vm::Shares;

namespace {

control::ShareToken token(uint32_t number) {
  control::ShareToken made{};
  std::memcpy(made.data(), &number, sizeof number);
  return made;
}

Shares::Offer offer(uint64_t client, bool with_descriptor = false) {
  Shares::Offer made{client, control::ShareKind::memory, {}, {}};
  if (with_descriptor) made.descriptor = base::UniqueFd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  return made;
}

}  // namespace

TEST_CASE("an offer is found in its VM only") {
  Shares shares;
  REQUIRE(shares.offer("alpha", token(1), offer(7)));
  REQUIRE(shares.find("alpha", token(1)) != nullptr);
  CHECK(shares.find("alpha", token(1))->client == 7);
  CHECK(shares.find("beta", token(1)) == nullptr);
  CHECK(shares.find("alpha", token(2)) == nullptr);
}

TEST_CASE("a token that is taken cannot be taken over") {
  Shares shares;
  REQUIRE(shares.offer("alpha", token(1), offer(7)));
  CHECK_FALSE(shares.offer("alpha", token(1), offer(8)));
  CHECK(shares.find("alpha", token(1))->client == 7);
  CHECK(shares.offer("beta", token(1), offer(8)));  // another VM's world
}

TEST_CASE("offers go with the worker that made them") {
  Shares shares;
  REQUIRE(shares.offer("alpha", token(1), offer(7, true)));
  REQUIRE(shares.offer("alpha", token(2), offer(8)));
  shares.forget("alpha", 7);
  CHECK(shares.find("alpha", token(1)) == nullptr);
  CHECK(shares.count("alpha") == 1);
  shares.forget("beta", 7);
  shares.forget("alpha", 8);
  CHECK(shares.count("alpha") == 0);
}

TEST_CASE("a VM has so many offers and descriptors, and another VM does not feel it") {
  Shares shares;
  for (uint32_t i = 0; i < Shares::kMostDescriptors; ++i) REQUIRE(shares.offer("alpha", token(i), offer(7, true)));
  CHECK_FALSE(shares.offer("alpha", token(1'000'000), offer(7, true)));
  CHECK(shares.offer("beta", token(1), offer(9, true)));
  for (auto i = static_cast<uint32_t>(Shares::kMostDescriptors); i < Shares::kMostOffers; ++i)
    REQUIRE(shares.offer("alpha", token(i), offer(7)));
  CHECK_FALSE(shares.offer("alpha", token(1'000'000), offer(7)));
  shares.forget("alpha", 7);
  CHECK(shares.offer("alpha", token(1'000'000), offer(7, true)));
}
