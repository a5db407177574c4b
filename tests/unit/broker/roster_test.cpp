#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "broker/restart/roster.hpp"

using namespace vgpu::broker::restart;
using Catch::Contains;

namespace {

struct Folder {
  Folder() { REQUIRE(mkdtemp(path) != nullptr); }
  ~Folder() { std::filesystem::remove_all(path); }
  std::string file() const { return std::string(path) + "/s.roster"; }
  char path[24] = "/tmp/vgpu-roster-XXXXXX";
};

const Entry kFirst{7, 1000, {11, 111}, {12, 112}, 1u << 30};
const Entry kSecond{9, 0, {21, 211}, {22, 212}, std::uint64_t{16} << 30};

}  // namespace

TEST_CASE("a roster comes back as it was written") {
  const Folder folder;
  Roster roster(folder.file());
  roster.add(kFirst, 8);
  roster.add(kSecond, 10);
  auto read = Roster(folder.file()).read();
  REQUIRE(read);
  CHECK(read->next_id == 10);
  CHECK(read->entries == std::vector<Entry>{kFirst, kSecond});
  roster.remove(kFirst.id);
  read = Roster(folder.file()).read();
  REQUIRE(read);
  CHECK(read->entries == std::vector<Entry>{kSecond});
}

TEST_CASE("what workers said and what was processed comes back too") {
  const Folder folder;
  Roster roster(folder.file());
  roster.totals().add_records("uid-1000", 5);
  roster.totals().add_legacy("web");
  roster.add(kFirst, 8);
  const vgpu::broker::vm::WorkerFacts facts{13000, 1, "GPU", "/usr/lib/driver.so"};
  roster.set_facts(kFirst.id, facts);
  const auto read = Roster(folder.file()).read();
  REQUIRE(read);
  CHECK(read->entries.front().facts == facts);
  CHECK(read->totals.per_vm() == roster.totals().per_vm());
}

TEST_CASE("no roster means no predecessor") {
  const Folder folder;
  const auto read = Roster(folder.file()).read();
  REQUIRE(read);
  CHECK(read->next_id == 1);
  CHECK(read->entries.empty());
}

TEST_CASE("a roster that only its owner may write is the only one believed") {
  const Folder folder;
  Roster roster(folder.file());
  roster.add(kFirst, 8);
  SECTION("mode") {
    chmod(folder.file().c_str(), 0602);
    CHECK_THAT(roster.read().error().text, Contains("only this user can write"));
  }
  SECTION("a link") {
    const auto link = folder.file() + ".link";
    REQUIRE(symlink(folder.file().c_str(), link.c_str()) == 0);
    CHECK_FALSE(Roster(link).read());
  }
  SECTION("a folder") { CHECK_FALSE(Roster(folder.path).read()); }
}

TEST_CASE("a direct client of a configured VM stays that VM's") {
  auto entry = kFirst;
  entry.vm = "render";
  const auto read = from_text(to_text(8, {{entry.id, entry}, {kSecond.id, kSecond}}));
  REQUIRE(read);
  CHECK(read->entries == std::vector<Entry>{entry, kSecond});
  CHECK(read->entries[0].vm_name() == "render");
  CHECK(read->entries[1].vm_name() == "uid-0");
}

TEST_CASE("damaged rosters are refused with a reason") {
  const auto text =
      GENERATE(as<std::string>(), "", "{", "[]", "{}", R"({"vgpu_roster": 2, "next_id": 1, "clients": []})",
               R"({"vgpu_roster": 1, "next_id": "x", "clients": []})",
               R"({"vgpu_roster": 1, "next_id": 1, "clients": [{"id": 1}]})");
  const auto read = from_text(text);
  REQUIRE_FALSE(read);
  CHECK_FALSE(read.error().text.empty());
}

TEST_CASE("a process is told from one that later has its pid") {
  const auto self = vgpu::base::identify(getpid());
  CHECK(self.started != 0);
  CHECK(vgpu::base::open_process(self));
  CHECK(vgpu::base::open_process({self.pid, self.started + 1}).error().code == ESRCH);
  CHECK_FALSE(vgpu::base::open_process({0x7ffffff0, 1}));
}
