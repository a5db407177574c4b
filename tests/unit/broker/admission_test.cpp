#include "broker/admission.hpp"

#include <catch2/catch.hpp>
#include <vector>

using Catch::Contains;
using vgpu::broker::Admission;

TEST_CASE("places are counted in all and of each VM, and given back") {
  Admission admission(3);
  constexpr Admission::Quota kQuota{2, "max_clients_per_uid"};
  std::string refusal;
  std::vector<Admission::Ticket> held;
  const auto take = [&](const char* vm) {
    auto ticket = admission.admit(vm, kQuota, refusal);
    if (ticket) held.push_back(std::move(*ticket));
    return ticket.has_value();
  };
  CHECK(take("uid-1"));
  CHECK(take("uid-1"));
  CHECK_FALSE(take("uid-1"));
  CHECK_THAT(refusal, Contains("uid-1 already has 2 clients") && Contains("max_clients_per_uid"));
  CHECK(take("uid-2"));
  CHECK_FALSE(take("uid-3"));
  CHECK_THAT(refusal, Contains("all 3 places") && Contains("max_clients "));
  CHECK(admission.count() == 3);
  held.clear();
  CHECK(admission.count() == 0);
  CHECK(take("uid-1"));
}

TEST_CASE("a moved ticket gives its place back once") {
  Admission admission(1);
  std::string refusal;
  {
    auto first = admission.admit("seven", {1, "channels"}, refusal);
    const Admission::Ticket second(std::move(*first));
    CHECK(admission.count() == 1);
  }
  CHECK(admission.count() == 0);
}

TEST_CASE("a VM in quarantine gets no place until it is released") {
  Admission admission(3);
  std::string refusal;
  admission.set_quarantined("seven", true);
  CHECK_FALSE(admission.admit("seven", {2, "channels"}, refusal));
  CHECK_THAT(refusal, Contains("seven is in quarantine"));
  CHECK(admission.admit("eight", {2, "channels"}, refusal));
  admission.set_quarantined("seven", false);
  CHECK(admission.admit("seven", {2, "channels"}, refusal));
}
