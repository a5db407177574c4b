// Who somebody is that came through a door.
#include "broker/doors/identity.hpp"

#include <catch2/catch.hpp>

#include "broker/doors/chroot_doors.hpp"

using namespace vgpu::broker;
using namespace vgpu::broker::doors;
using Catch::Contains;
using Kind = Entrance::Kind;

namespace {

VmSettings make_vm(const char* name) {
  VmSettings vm;
  vm.name = name;
  return vm;
}

/// by-uid 1001, by-domid 7, by-label 3 (claimed), with-both: uid 1005 and label 5.
Config make_config() {
  Config config;
  for (const char* name : {"by-uid", "by-domid", "by-label", "with-both"}) config.vms.push_back(make_vm(name));
  config.vms[0].uid = 1001;
  config.vms[1].domid = 7;
  config.vms[2].vm_id = 3;
  config.vms[2].is_claimed = true;
  config.vms[3].uid = 1005;
  config.vms[3].vm_id = 5;
  return config;
}

const Config kConfig = make_config();
const Entrance kMain{Kind::main, "/run/m", {}, 0, 0};
const Entrance kField{Kind::field, "/tmp/f", {}, 0, 0};

Entrance chroot(std::uint32_t domid) { return {Kind::chroot, "/x/s", {}, domid, 65535 + domid}; }
Entrance door_of(const char* vm) { return {Kind::vm, "/run/vm", vm, 0, 0}; }

std::string who(const Entrance& entrance, uid_t uid) {
  const auto identity = identify(kConfig, entrance, uid);
  return identity ? identity->vm : identity.error().text;
}

std::string stub(const Entrance& entrance, uid_t uid, std::uint32_t label, const LabelsInUse& in_use = {},
                 const Config& config = kConfig) {
  const auto identity = identify(config, entrance, uid);
  REQUIRE(identity);
  const auto result = identify_stub(config, *identity, {label, 'A', 1}, in_use);
  return result ? result->vm : result.error().text;
}

Config allowing() {
  auto config = kConfig;
  config.allows_unknown_vms = true;
  return config;
}

}  // namespace

TEST_CASE("on a door that many share the uid says who it is") {
  for (const auto& shared : {kMain, kField}) {
    CHECK(who(shared, 1001) == "by-uid");
    CHECK(who(shared, 1000) == "uid-1000");
    CHECK(who(shared, 0) == "uid-0");
  }
}

TEST_CASE("a VM's own door says who it is, whoever comes") {
  CHECK(who(door_of("by-domid"), 0) == "by-domid");
  CHECK(who(door_of("by-domid"), 1001) == "by-domid");
}

TEST_CASE("a chroot's door lets its owner in alone, as the domain's VM") {
  CHECK(who(chroot(7), 65542) == "by-domid");
  CHECK(who(chroot(8), 65543) == "uid-65543");
  CHECK_THAT(who(chroot(7), 65543), Contains("uid 65543 is not the owner of /x/s (uid 65542)"));
  CHECK_THAT(who(chroot(7), 0), Contains("uid 0 is not the owner"));
}

TEST_CASE("a stub that the kernel identifies needs no label, but must not contradict") {
  CHECK(stub(kMain, 1001, 0) == "by-uid");
  CHECK(stub(kMain, 1001, 99) == "by-uid");  // nobody's
  CHECK(stub(kMain, 1005, 5) == "with-both");
  CHECK(stub(kMain, 1005, 0) == "with-both");
  CHECK(stub(chroot(7), 65542, 12) == "by-domid");
  CHECK_THAT(stub(kMain, 1005, 6), Contains("vm_id=6 contradicts [vm.with-both], which has vm_id = 5"));
  CHECK_THAT(stub(kMain, 1001, 5), Contains("vm_id=5 is that of [vm.with-both], but it is VM by-uid"));
  CHECK_THAT(stub(chroot(7), 65542, 3), Contains("is that of [vm.by-label], but it is VM by-domid"));
}

TEST_CASE("only a VM with identity = \"claimed\" is what a label says") {
  CHECK(stub(kMain, 1000, 3) == "by-label");
  CHECK(stub(kField, 0, 3) == "by-label");
  CHECK(stub(door_of("by-label"), 1000, 3) == "by-label");
  CHECK(stub(door_of("by-label"), 1000, 0) == "by-label");
  CHECK(stub(chroot(8), 65543, 3) == "by-label");
  CHECK_THAT(stub(kMain, 1000, 5), Contains("[vm.with-both], which is not known by its label: this is uid-1000"));
}

TEST_CASE("a VM without an entry is refused, or allowed as what its user is") {
  CHECK_THAT(stub(kMain, 1000, 0), Contains("no [vm.NAME]") && Contains("is uid-1000") && Contains("unknown_vms"));
  CHECK_THAT(stub(chroot(8), 65543, 8), Contains("is uid-65543"));
  const auto config = allowing();
  CHECK(stub(kMain, 1000, 0, {}, config) == "uid-1000");
  CHECK(stub(chroot(8), 65543, 8, {}, config) == "uid-65543");
  // Allowed or not: what is somebody's stays somebody's.
  CHECK_THAT(stub(kMain, 1000, 5, {}, config), Contains("is that of [vm.with-both]"));
}

TEST_CASE("a label that another VM's stub has is refused by its name") {
  const LabelsInUse in_use{{9, "uid-1000"}, {3, "by-label"}};
  CHECK_THAT(stub(kMain, 1002, 9, in_use, allowing()), Contains("vm_id=9 is claimed already, by VM uid-1000"));
  CHECK_THAT(stub(kMain, 1001, 9, in_use), Contains("claimed already"));
  // Its own again: the VM says whether it has a stub.
  CHECK(stub(kMain, 1000, 9, in_use, allowing()) == "uid-1000");
  CHECK(stub(kMain, 1000, 3, in_use) == "by-label");
  // No label is nobody's.
  CHECK(stub(kMain, 1001, 0, {{0, "uid-1000"}}) == "by-uid");
}

TEST_CASE("names of roots") {
  CHECK(domid_of("root-1") == 1);
  CHECK(domid_of("root-32751") == 32751);
  for (const char* name : {"root-", "root-0", "root-01", "root-32752", "root-4294967297", "root--1", "root-1x",
                           "root-+1", "root- 1", "Root-1", "xroot-1", "root", ""})
    CHECK(domid_of(name) == 0);
}

TEST_CASE("whoever has no VM is no client where everybody can knock") {
  CHECK(identify(kConfig, kField, 1009)->no_client.find("are served on ") != std::string::npos);
  CHECK(identify(kConfig, kMain, 1009)->no_client.empty());
  CHECK(identify(kConfig, kField, 1001)->no_client.empty());
  CHECK(identify(kConfig, kField, 0)->no_client.empty());
  auto open = make_config();
  open.allows_unknown_vms = true;
  CHECK(identify(open, kField, 1009)->no_client.empty());
}
