#include <catch2/catch.hpp>

#include "broker/admin/request.hpp"

using namespace vgpu::broker::admin;
using Catch::Contains;

TEST_CASE("requests are taken as they are meant") {
  CHECK(parse_request(R"({"request": "status"})")->verb == Verb::status);
  CHECK(parse_request(R"({"request": "settings"})")->verb == Verb::settings);
  CHECK(parse_request(R"({"request": "reload"})")->verb == Verb::reload);
  CHECK(parse_request(R"({"request": "list", "what": "gpus"})")->subject == Subject::gpus);
  CHECK(parse_request(R"({"request": "kill", "client": 7})")->client == 7);
  const auto kill = parse_request(R"({"vm": "web", "request": "kill"})");
  REQUIRE(kill);
  CHECK(kill->vm == "web");
  CHECK(kill->client == 0);
  CHECK(parse_request(R"({"request": "quarantine", "vm": "uid-1000"})")->vm == "uid-1000");
  CHECK(parse_request(R"({"request": "release", "vm": "web"})")->verb == Verb::release);
}

TEST_CASE("what is wrong with a request is named") {
  struct Case {
    const char* line;
    const char* part;
  };
  const auto one = GENERATE(
      Case{"", "not one JSON object"}, Case{"{", "not one JSON object"}, Case{"[]", "not one JSON object"},
      Case{"{} {}", "not one JSON object"}, Case{"\"status\"", "not one JSON object"},
      Case{"{\"request\": \"status\"}\xff", "not one JSON object"}, Case{"{}", "\"request\" must be one of status"},
      Case{R"({"request": 7})", "must be one of"}, Case{R"({"request": "stop"})", "must be one of"},
      Case{R"({"request": "status", "vm": "web"})", "does not have"},
      Case{R"({"request": "list"})", "must be one of vms"},
      Case{R"({"request": "list", "what": "all"})", "must be one of vms"}, Case{R"({"request": "kill"})", "either"},
      Case{R"({"request": "kill", "client": 1, "vm": "web"})", "either"},
      Case{R"({"request": "kill", "client": 0})", "number"}, Case{R"({"request": "kill", "client": -1})", "number"},
      Case{R"({"request": "kill", "client": 1.5})", "number"}, Case{R"({"request": "kill", "client": "1"})", "number"},
      Case{R"({"request": "quarantine"})", "missing"}, Case{R"({"request": "release", "vm": ""})", "name"},
      Case{R"({"request": "quarantine", "vm": "a b"})", "name"},
      Case{R"({"request": "quarantine", "vm": "\u00e9"})", "name"});
  const auto request = parse_request(one.line);
  REQUIRE_FALSE(request);
  CHECK_THAT(request.error().text, Contains(one.part));
}

TEST_CASE("requests are bounded, however deep and long") {
  CHECK_THAT(parse_request(std::string(kLongestRequest + 1, ' ')).error().text, Contains("4096"));
  CHECK_FALSE(parse_request(std::string(kLongestRequest, '[')));
  const auto long_name = R"({"request": "quarantine", "vm": ")" + std::string(65, 'a') + "\"}";
  CHECK_THAT(parse_request(long_name).error().text, Contains("name"));
}
