#include <catch2/catch.hpp>

#include <vector>

#include "broker/vgpu_admin/options.hpp"

using namespace vgpu::admin;
using Catch::Contains;

namespace {

Options parse(std::vector<std::string> words) {
  words.insert(words.begin(), "vgpu-admin");
  std::vector<char*> arguments;
  for (auto& word : words) arguments.push_back(word.data());
  return parse_options(static_cast<int>(arguments.size()), arguments.data());
}

}  // namespace

TEST_CASE("commands and their arguments") {
  CHECK(parse({"status"}).command == Command::status);
  CHECK(parse({"list", "gpus", "--json"}).what == "gpus");
  CHECK(parse({"list", "gpus", "--json"}).json);
  CHECK(parse({"kill", "7"}).client == 7);
  CHECK(parse({"kill", "--vm", "web"}).vm == "web");
  CHECK(parse({"quarantine", "web", "--socket", "/run/x"}).socket == "/run/x");
  CHECK(parse({"release", "web"}).command == Command::release);
  CHECK(parse({"doctor", "--as-uid", "1000"}).as_uid == 1000u);
  CHECK(parse({"doctor", "web"}).vm == "web");
  CHECK(parse({"support-bundle", "--output", "/tmp/b"}).output == "/tmp/b");
}

TEST_CASE("wrong usage is told from help") {
  CHECK(parse({}).exit_code == 64);
  CHECK(parse({"list"}).exit_code == 64);
  CHECK(parse({"list", "all"}).exit_code == 64);
  CHECK(parse({"kill"}).exit_code == 64);
  CHECK(parse({"kill", "0"}).exit_code == 64);
  CHECK(parse({"kill", "7", "--vm", "web"}).exit_code == 64);
  CHECK(parse({"quarantine"}).exit_code == 64);
  CHECK(parse({"completion", "fish"}).exit_code == 64);
  CHECK(parse({"--help"}).exit_code == 0);
  CHECK(parse({"--version"}).exit_code == 0);
}

TEST_CASE("completion knows every command and option") {
  const auto script = parse({"completion", "bash"}).completion;
  for (const auto* word : {"status", "list", "kill", "quarantine", "release", "reload", "doctor", "support-bundle",
                           "completion", "--as-uid", "--output", "--json", "--socket", "complete -F"})
    CHECK_THAT(script, Contains(word));
}
