// A line at the admin socket. What is accepted is one request with exactly what it needs; what is not is refused with a
// sentence, which can be sent back as JSON.
#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "broker/admin/request.hpp"
#include "tests/fuzz/input.hpp"

namespace {

using namespace vgpu::broker::admin;

bool is_printable(const std::string& text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c <= '~'; });
}

void check(const Request& request) {
  const bool needs_vm = request.verb == Verb::quarantine || request.verb == Verb::release;
  const bool may_have_vm = needs_vm || request.verb == Verb::kill;
  if (!request.vm.empty() && (!may_have_vm || request.vm.size() > 64 || !is_printable(request.vm))) std::abort();
  if (needs_vm && request.vm.empty()) std::abort();
  if (request.client != 0 && request.verb != Verb::kill) std::abort();
  if (request.verb == Verb::kill && request.vm.empty() == (request.client == 0)) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  vgpu::fuzz::Input input(data, size);
  const auto line = input.text();
  const auto request = parse_request(line);
  if (request) {
    if (line.size() > kLongestRequest) std::abort();
    check(request.value());
  } else if (request.error().text.empty() || nlohmann::json(request.error().text).dump().empty()) {
    std::abort();
  }
  return 0;
}
