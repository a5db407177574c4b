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
