// What administrators are told and what is done for them, on a broker's parts without clients.
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <catch2/catch.hpp>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "broker/admin/office.hpp"

using namespace vgpu::broker;
using namespace vgpu::broker::admin;
using Catch::Contains;

namespace {

struct Folder {
  Folder() { REQUIRE(mkdtemp(path) != nullptr); }
  ~Folder() { std::filesystem::remove_all(path); }
  std::string operator/(const std::string& name) const { return std::string(path) + "/" + name; }
  char path[24] = "/tmp/vgpu-office-XXXXXX";
};

Config with_vm(const std::string& name) {
  Config config;
  config.vms.emplace_back().name = name;
  return config;
}

struct Scene {
  Json ask(const std::string& line) { return office.answer(*parse_request(line), {1, 0, {}}); }
  std::string refused(const std::string& line) {
    const auto answer = ask(line);
    CHECK(answer.at("ok") == false);
    return answer.at("error");
  }

  Folder folder;
  event::Loop loop{1};
  Config config = with_vm("web");
  Clients clients{loop, 3, folder / "s"};
  Vms vms{loop, config, clients};
  std::vector<std::string> reload_errors;
  Office office{{clients, vms, config, "/etc/vgpu/broker.toml",
                 [] {
                   return std::vector<SocketReport>{{"main", "/run/s", 0660, {}, {}, {}, {}}};
                 },
                 [this] { return reload_errors; }}};
};

}  // namespace

TEST_CASE("an idle broker says how it is") {
  Scene scene;
  const auto status = scene.ask(R"({"request": "status"})");
  CHECK(status.at("ok") == true);
  CHECK(status.at("broker").at("pid") == getpid());
  CHECK(status.at("clients").at("count") == 0);
  CHECK(status.at("processed").at("total") == 0);
  CHECK(scene.ask(R"({"request": "list", "what": "clients"})").at("clients").empty());
  CHECK(scene.ask(R"({"request": "list", "what": "gpus"})").at("gpus").empty());
  CHECK(scene.ask(R"({"request": "list", "what": "sockets"})").at("sockets").at(0).at("mode") == "0660");
  CHECK(scene.ask(R"({"request": "settings"})").at("settings").at("vm").at(0).at("name") == "web");
}

TEST_CASE("VMs are listed with what they have: configured ones, users, and names of before") {
  Scene scene;
  scene.clients.totals().add_records("uid-7", 5);
  scene.clients.totals().add_legacy("web");
  const auto vms = scene.ask(R"({"request": "list", "what": "vms"})").at("vms");
  REQUIRE(vms.size() == 2);
  CHECK(vms[0].at("vm") == "web");
  CHECK(vms[0].at("kind") == "device");
  CHECK(vms[0].at("link") == "down");
  CHECK(vms[0].at("processed").at("legacy_requests") == 1);
  CHECK(vms[1].at("kind") == "user");
  CHECK(vms[1].at("processed").at("total") == 5);
}

TEST_CASE("quarantine refuses newcomers, is written, and comes back with the next broker") {
  Scene scene;
  CHECK(scene.ask(R"({"request": "quarantine", "vm": "web"})").at("ok") == true);
  std::string refusal;
  CHECK_FALSE(scene.clients.admission().admit("web", {1, "channels"}, refusal));
  CHECK_THAT(refusal, Contains("vgpu-admin release web"));
  CHECK_THAT(scene.refused(R"({"request": "quarantine", "vm": "web"})"), Contains("already"));

  Clients next(scene.loop, 3, scene.folder / "s");
  next.restore_quarantine();
  CHECK(next.quarantined() == std::set<std::string>{"web"});
  CHECK(next.set_quarantined("web", false).not_written.empty());
  CHECK_FALSE(std::filesystem::exists(scene.folder / "s.quarantine"));
}

TEST_CASE("a quarantine that cannot be written is set all the same, and said to be weak") {
  Scene scene;
  std::filesystem::create_directory(scene.folder / "s.quarantine.new");
  const auto answer = scene.ask(R"({"request": "quarantine", "vm": "web"})");
  CHECK(answer.at("ok") == true);
  CHECK_THAT(answer.at("warning").get<std::string>(), Contains("will not know") && Contains("s.quarantine"));
  CHECK(scene.clients.quarantined().contains("web"));
}

TEST_CASE("a quarantine file that others could write is not believed") {
  Scene scene;
  REQUIRE(QuarantineFile(scene.folder / "s.quarantine").write({"web"}));
  std::filesystem::permissions(scene.folder / "s.quarantine", std::filesystem::perms(0666));
  CHECK_THAT(QuarantineFile(scene.folder / "s.quarantine").read().error().text, Contains("not believed"));
  scene.clients.restore_quarantine();
  CHECK(scene.clients.quarantined().empty());
}

TEST_CASE("names that are no VM's are refused, so that a slip does not look like success") {
  Scene scene;
  CHECK_THAT(scene.refused(R"({"request": "quarantine", "vm": "wbe"})"), Contains("no VM wbe") && Contains("list vms"));
  CHECK_THAT(scene.refused(R"({"request": "kill", "vm": "wbe"})"), Contains("no VM wbe"));
  CHECK_THAT(scene.refused(R"({"request": "kill", "client": 9})"), Contains("no client 9"));
  CHECK_THAT(scene.refused(R"({"request": "release", "vm": "web"})"), Contains("not in quarantine"));
  CHECK(scene.ask(R"({"request": "quarantine", "vm": "uid-4242"})").at("ok") == true);
}

TEST_CASE("a configuration with errors is refused with all of them") {
  Scene scene;
  CHECK(scene.ask(R"({"request": "reload"})").at("ok") == true);
  scene.reload_errors = {"broker.toml:3: socket must be a string"};
  const auto answer = scene.ask(R"({"request": "reload"})");
  CHECK(answer.at("ok") == false);
  CHECK(answer.at("errors").size() == 1);
}

TEST_CASE("root, the broker's user and members of the group may administer") {
  const Authority authority{1000, 50};
  CHECK(authority.allows({1, 0, {}}));
  CHECK(authority.allows({1, 1000, {}}));
  CHECK(authority.allows({1, 7, {8, 50}}));
  CHECK_FALSE(authority.allows({1, 7, {8}}));
  CHECK_FALSE(Authority{1000, {}}.allows({1, 7, {8, 50}}));
}

TEST_CASE("counts bear any number that a worker says") {
  Totals totals;
  totals.add_records("a", ~std::uint64_t{0});
  totals.add_records("a", 7);
  totals.add_legacy("b");
  const auto sum = sum_of(totals.per_vm());
  CHECK(sum.records == ~std::uint64_t{0});
  CHECK(sum.legacy_requests == 1);
}
