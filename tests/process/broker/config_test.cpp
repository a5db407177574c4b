// Command line and configuration file.
#include <catch2/catch.hpp>
#include <fstream>

#include "tests/process/broker/harness.hpp"

using namespace vgpu::test;
using Catch::Contains;

namespace {

struct Outcome {
  int code;
  std::string output;
};

Outcome run(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), broker_path());
  Process process(arguments);
  const int code = process.wait();
  return {code, process.output()};
}

Outcome check_config(const std::string& text) {
  TemporaryFolder folder;
  std::ofstream(folder / "b.toml") << text;
  return run({"--check-config", "--config", folder / "b.toml"});
}

}  // namespace

TEST_CASE("--help and --version end with 0, a wrong option with 64") {
  const auto help = run({"--help"});
  CHECK(help.code == 0);
  CHECK_THAT(help.output, Contains("--check-config") && Contains("--socket") && Contains("/etc/vgpu/broker.toml"));
  CHECK(run({"--version"}).code == 0);
  CHECK_THAT(run({"--version"}).output, Contains("vgpu-broker 0."));
  CHECK(run({"--nonsense"}).code == 64);
}

TEST_CASE("a good configuration is good, with all its keys") {
  const auto result = check_config(
      "[broker]\nsocket = \"/tmp/s\"\nsocket_mode = \"0666\"\nsocket_group = \"users\"\nworker = \"/x/vgpu-worker\"\n"
      "log_level = \"debug\"\nmax_clients = 10\nmax_clients_per_uid = 5\nkill_timeout_ms = 1000\n"
      "[gpu]\ndriver = \"nvidia\"\n[client]\nwindow_size = \"1GiB\"\nhello_timeout_ms = 100\n");
  CHECK(result.code == 0);
  CHECK_THAT(result.output, Contains("good"));
  CHECK(check_config("").code == 0);
}

TEST_CASE("every error of a configuration is told with its line") {
  const auto result = check_config(
      "[broker]\n"
      "socket = \"relative\"\n"
      "socket_mode = 660\n"
      "colour = \"red\"\n"
      "max_clients = -1\n"
      "max_clients_per_uid = \"many\"\n"
      "[gpu]\n"
      "driver = \"cuda\"\n"
      "[client]\n"
      "window_size = \"17KiB\"\n"
      "hello_timeout_ms = 0\n"
      "[paint]\n"
      "x = 1\n");
  CHECK(result.code == 1);
  for (const char* line :
       {"b.toml:2: socket must be an absolute path", "b.toml:3: socket_mode must be an octal number",
        "b.toml:4: unknown key colour in [broker]", "b.toml:5: max_clients must be from 1",
        "b.toml:6: max_clients_per_uid must be an integer", "b.toml:8: driver must be",
        "b.toml:10: window_size must be", "b.toml:11: hello_timeout_ms must be", "b.toml:12: unknown section [paint]"})
    CHECK_THAT(result.output, Contains(line));
}

TEST_CASE("broken TOML is told with its line; so is a file that is not there") {
  const auto broken = check_config("[broker]\nsocket = \n");
  CHECK(broken.code == 1);
  CHECK_THAT(broken.output, Contains("b.toml:2: "));
  const auto missing = run({"--check-config", "--config", "/nonexistent/broker.toml"});
  CHECK(missing.code == 1);
  CHECK_THAT(missing.output, Contains("/nonexistent/broker.toml"));
  CHECK_THAT(run({"--check-config", "--driver", "cuda"}).output, Contains("--driver must be"));
}

TEST_CASE("a broker that cannot start says why in one sentence") {
  const auto no_worker = run({"--socket", "/tmp/unused", "--worker", "/nonexistent/vgpu-worker"});
  CHECK(no_worker.code == 1);
  CHECK_THAT(no_worker.output, Contains("/nonexistent/vgpu-worker is not an executable file"));
  const auto no_folder = run({"--socket", "/nonexistent/folder/s", "--worker", fake_worker_path()});
  CHECK(no_folder.code == 1);
  CHECK_THAT(no_folder.output, Contains("/nonexistent/folder/s"));
}
