#include "broker/config.hpp"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdio>
#include <string>

using namespace vgpu::broker;

namespace {

LoadedConfig load(const std::string& text, const Overrides& overrides = {}) {
  char path[] = "/tmp/vgpu-config-XXXXXX";
  const int fd = mkstemp(path);
  REQUIRE(write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  close(fd);
  auto loaded = load_config(path, true, overrides);
  unlink(path);
  return loaded;
}

}  // namespace

TEST_CASE("an absent default file means the built-in defaults") {
  const auto loaded = load_config("/nonexistent/broker.toml", false, {});
  CHECK(loaded.errors.empty());
  CHECK(loaded.config.socket == "/run/vgpu/mediator.sock");
  CHECK(loaded.config.driver == "auto");
  CHECK(load_config("/nonexistent/broker.toml", true, {}).errors.size() == 1);
}

TEST_CASE("the file stands over the defaults, the command line over both") {
  const std::string text = "[broker]\nsocket = \"/a\"\nsocket_mode = \"0600\"\n[client]\nwindow_size = \"2GiB\"\n";
  CHECK(load(text).config.socket == "/a");
  CHECK(load(text).config.socket_mode == 0600);
  CHECK(load(text).config.window_size == std::uint64_t{2} << 30);
  CHECK(load(text, {.socket = "/b"}).config.socket == "/b");
  CHECK(load(text, {.log_level = "loud"}).errors.size() == 1);
}

TEST_CASE("the log is text or JSON, on standard error or in a file with an absolute path") {
  const auto loaded = load("[broker]\nlog_format = \"json\"\nlog_file = \"/var/log/x\"\n");
  CHECK(loaded.errors.empty());
  CHECK(loaded.config.logging().format == vgpu::log::Format::json);
  CHECK(loaded.config.logging().file == "/var/log/x");
  CHECK(load("[broker]\nlog_file = \"\"\n").errors.empty());
  CHECK(load("[broker]\nlog_file = \"x.log\"\n").errors.size() == 1);
  CHECK(load("[broker]\nlog_format = \"xml\"\n").errors.size() == 1);
  CHECK(load("", {.log_format = "xml"}).errors.size() == 1);
  CHECK(load("", {.log_file = "x.log"}).errors.size() == 1);
}

TEST_CASE("sizes that a window cannot have are errors") {
  for (const char* size : {"", "GiB", "1", "5MiB", "7MiB", "-1GiB", "1.5GiB", "1 GiB", "1gib", "513GiB",
                           "18446744073709551615TiB", "99999999999999999999GiB"})
    CHECK(load("[client]\nwindow_size = \"" + std::string(size) + "\"\n").errors.size() == 1);
  for (const char* size : {"6MiB", "64MiB", "1GiB", "512GiB"})
    CHECK(load("[client]\nwindow_size = \"" + std::string(size) + "\"\n").errors.empty());
}

TEST_CASE("a mode is an octal number in quotes") {
  for (const char* mode : {"0o660", "\"0668\"", "\"\"", "\"-1\"", "\"1777\"", "\"0660 \""})
    CHECK(load("[broker]\nsocket_mode = " + std::string(mode) + "\n").errors.size() == 1);
}

TEST_CASE("a file that is no TOML is an error with its line, whatever stands there") {
  for (const char* text :
       {"[{", "[{]", "[[{", "[=", "{", "=", "[", "[]", "a.{ = 1", "a = {{", "a = [[", "'", "\"\"\"", "[a.", "a = "}) {
    const auto loaded = load("[broker]\n" + std::string(text));
    REQUIRE(loaded.errors.size() == 1);
    CHECK(loaded.errors[0].find(":2: ") != std::string::npos);
  }
}

TEST_CASE("characters beyond ASCII are refused, with their line") {
  for (const char* text : {"\xc3\xa9 = 1\n", "# \xc3\xa9\n", "socket = \xef\xb3\xbf\n", "[\xff]\n"}) {
    const auto loaded = load("[broker]\n" + std::string(text));
    REQUIRE(loaded.errors.size() == 1);
    CHECK(loaded.errors[0].find(":2: this file may only have ASCII") != std::string::npos);
  }
}

TEST_CASE("a VM says who it is and what it is given") {
  const auto loaded = load(
      "[broker]\nfield_socket = \"/tmp/f\"\nchroot_directory = \"/var/xen/qemu\"\nunknown_vms = \"allow\"\n"
      "[vm.a]\nuid = 1001\ndomid = 7\nvm_id = 3\npool = \"B\"\npriority = \"high\"\n"
      "[vm.b]\nidentity = \"claimed\"\nvm_id = 4\n");
  REQUIRE(loaded.errors.empty());
  CHECK(loaded.config.field_socket == "/tmp/f");
  CHECK(loaded.config.field_socket_mode == 0666);
  CHECK(loaded.config.chroot_directory == "/var/xen/qemu");
  CHECK(loaded.config.allows_unknown_vms);
  const auto &a = loaded.config.vms.at(0), &b = loaded.config.vms.at(1);
  CHECK((a.uid == 1001u && a.domid == 7u && a.vm_id == 3u && !a.is_claimed));
  CHECK((a.pool == "B" && a.priority == Priority::high));
  CHECK((!b.uid && !b.domid && b.vm_id == 4u && b.is_claimed));
  CHECK((b.pool == "A" && b.priority == Priority::medium));
}

TEST_CASE("nothing of the field's is on without a word for it") {
  const auto loaded = load("");
  CHECK(loaded.config.field_socket.empty());
  CHECK(loaded.config.chroot_directory.empty());
  CHECK_FALSE(loaded.config.allows_unknown_vms);
}

TEST_CASE("VMs that nothing tells apart are errors, with the line of the second") {
  const auto error = [](const std::string& a, const std::string& b) {
    const auto loaded =
        load("[broker]\nsocket = \"/m\"\nfield_socket = \"/f\"\n[vm.a]\n" + a + "\n[vm.b]\n\n" + b + "\n");
    return loaded.errors.size() == 1 ? loaded.errors[0] : std::to_string(loaded.errors.size()) + " errors";
  };
  using Catch::Contains;
  CHECK_THAT(error("uid = 5", "uid = 5"), Contains(":8: [vm.b] has the same uid as [vm.a]: 5"));
  CHECK_THAT(error("domid = 5", "domid = 5"), Contains(":8: [vm.b] has the same domid as [vm.a]: 5"));
  CHECK_THAT(error("vm_id = 5", "vm_id = 5"), Contains(":8: [vm.b] has the same vm_id as [vm.a]: 5"));
  CHECK_THAT(error("socket = \"/x\"", "socket = \"/x\""), Contains(":8: [vm.b] has the same socket as [vm.a]: /x"));
  // With a path that it has by default, the line is that of its section.
  CHECK_THAT(error("socket = \"/vm-b.sock\"", ""), Contains(":6: [vm.b] has the same socket as [vm.a]: /vm-b.sock"));
  CHECK_THAT(error("", "socket = \"/m\""), Contains(":8: [vm.b] has a socket of [broker]: /m"));
  CHECK_THAT(error("", "socket = \"/f\""), Contains(":8: [vm.b] has a socket of [broker]: /f"));
  CHECK_THAT(error("uid = 5", "domid = 5"), Contains("0 errors"));
}

TEST_CASE("values that cannot identify a VM are errors") {
  const auto error = [](const std::string& line) {
    const auto loaded = load("[vm.a]\n" + line + "\n");
    return loaded.errors.empty() ? std::string() : loaded.errors[0];
  };
  using Catch::Contains;
  for (const char* line : {"uid = -1", "uid = 4294967295", "uid = \"root\"", "domid = 0", "domid = 32752", "vm_id = 0",
                           "vm_id = 4294967296", "pool = \"\"", "pool = \"a b\"", "pool = 1", "priority = \"urgent\"",
                           "priority = 2", "identity = \"uid\""})
    CHECK_THAT(error(line), Contains(":2: "));
  CHECK_THAT(error("priority = 2"), Contains("priority must be \"low\", \"medium\" or \"high\""));
  CHECK_THAT(error("identity = \"claimed\""), Contains(":2: ") && Contains("needs the vm_id"));
  CHECK_THAT(error("identity = \"claimed\"\nvm_id = 1\nuid = 7"), Contains(":2: ") && Contains("known by its uid"));
  CHECK(load("[broker]\nunknown_vms = true\n").errors.size() == 1);
  CHECK(load("[broker]\nfield_socket = \"relative\"\n").errors.size() == 1);
  CHECK(load("[broker]\nchroot_directory = \"\"\n").errors.empty());
}
