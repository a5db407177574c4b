#include "broker/admission.hpp"

#include <catch2/catch.hpp>
#include <vector>

using Catch::Contains;
using vgpu::broker::Admission;

TEST_CASE("places are counted in all and of each user, and given back") {
  Admission admission(3, 2);
  std::string refusal;
  std::vector<Admission::Ticket> held;
  const auto take = [&](uid_t uid) {
    auto ticket = admission.admit(uid, refusal);
    if (ticket) held.push_back(std::move(*ticket));
    return ticket.has_value();
  };
  CHECK(take(1));
  CHECK(take(1));
  CHECK_FALSE(take(1));
  CHECK_THAT(refusal, Contains("user 1 already has 2 clients") && Contains("max_clients_per_uid"));
  CHECK(take(2));
  CHECK_FALSE(take(3));
  CHECK_THAT(refusal, Contains("all 3 places") && Contains("max_clients "));
  CHECK(admission.count() == 3);
  held.clear();
  CHECK(admission.count() == 0);
  CHECK(take(1));
}

TEST_CASE("a moved ticket gives its place back once") {
  Admission admission(1, 1);
  std::string refusal;
  {
    auto first = admission.admit(7, refusal);
    const Admission::Ticket second(std::move(*first));
    CHECK(admission.count() == 1);
  }
  CHECK(admission.count() == 0);
}
