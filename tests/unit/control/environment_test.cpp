#include "common/control/environment.hpp"

#include <catch2/catch.hpp>
#include <cstring>

using namespace vgpu::control;

namespace {

Hello hello_with(const std::string& bytes) {
  Hello hello;
  std::copy(bytes.begin(), bytes.end(), hello.environment.begin());
  hello.environment_size = static_cast<std::uint32_t>(bytes.size());
  return hello;
}

}  // namespace

TEST_CASE("what is allowed travels, the rest does not") {
  const char* environment[] = {"PATH=/bin",
                               "CUDA_VISIBLE_DEVICES=1,0",
                               "CUDA_INJECTION64_PATH=/x.so",
                               "CUDA_CACHE_PATH=/root",
                               "CUDA_MODULE_LOADING=",
                               nullptr};
  Hello hello;
  REQUIRE(pack_environment(environment, hello));
  const auto entries = unpack_environment(hello);
  REQUIRE(entries);
  CHECK(*entries == std::vector<std::string>{"CUDA_VISIBLE_DEVICES=1,0", "CUDA_MODULE_LOADING="});
  CHECK(pack_environment(nullptr, hello));
  CHECK(hello.environment_size == 0);
}

TEST_CASE("nothing that names host files, libraries or clocks is on the list") {
  for (const char* name : {"CUDA_INJECTION64_PATH", "CUDA_CACHE_PATH", "CUDA_COREDUMP_FILE", "CUDA_LOG_FILE",
                           "CUDA_MPS_PIPE_DIRECTORY", "CUDA_AUTO_BOOST", "CUDA_LAUNCH_BLOCKING", "LD_PRELOAD", ""})
    CHECK_FALSE(is_allowed_environment(name));
  for (const auto name : allowed_environment()) CHECK(name.substr(0, 5) == "CUDA_");
}

TEST_CASE("a value that does not fit is an error, not a loss") {
  const auto entry = "CUDA_VISIBLE_DEVICES=" + std::string(kMaxEnvironmentValue + 1, '0');
  const char* environment[] = {entry.c_str(), nullptr};
  Hello hello;
  CHECK_FALSE(pack_environment(environment, hello));
}

TEST_CASE("a hostile environment is refused") {
  using namespace std::string_literals;
  for (const auto& bytes : {"CUDA_VISIBLE_DEVICES=0"s, "CUDA_VISIBLE_DEVICES\0"s, "LD_PRELOAD=/x\0"s, "\0"s, "=\0"s,
                            "CUDA_VISIBLE_DEVICES=0\0CUDA_VISIBLE_DEVICES=1\0"s, "CUDA_VISIBLE_DEVICES=\n\0"s,
                            "CUDA_VISIBLE_DEVICES=\x80\0"s, "CUDA_VISIBLE_DEVICESX=1\0"s})
    CHECK_FALSE(unpack_environment(hello_with(bytes)));
  Hello hello;
  hello.environment_size = sizeof hello.environment + 1;
  CHECK_FALSE(unpack_environment(hello));
}
