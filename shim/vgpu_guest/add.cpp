#include "shim/vgpu_guest/add.hpp"

#include <cerrno>
#include <cstdio>

#include "shim/vgpu_guest/json_text.hpp"
#include "shim/vgpu_guest/legacy_page.hpp"

namespace vgpu::guest {
namespace {

using Kind = LegacyVerdict::Kind;

}  // namespace

std::string sum_text(const LegacyVerdict& verdict) {
  if (verdict.kind != Kind::computed) return {};
  return "[RESPONSE] Received: " + std::to_string(verdict.result) + "\n" + verdict.equation() + "\n";
}

std::string failure_text(const LegacyVerdict& verdict) {
  if (verdict.kind == Kind::computed) return {};
  const auto line = verdict.kind == Kind::answered ? verdict.text() : "[ERROR] " + verdict.text();
  return line + "\n      cause:  " + verdict.cause() + "\n      remedy: " + verdict.remedy() + "\n";
}

std::string sum_json(const LegacyVerdict& verdict) {
  JsonText json;
  json.begin().add("good", verdict.kind == Kind::computed).add("left", verdict.left).add("right", verdict.right);
  if (verdict.kind == Kind::computed) return json.add("result", verdict.result).end().text() + "\n";
  if (verdict.kind == Kind::answered) json.add("code", verdict.error).add("name", legacy_error_name(verdict.error));
  return json.add("text", verdict.text()).add("cause", verdict.cause()).add("remedy", verdict.remedy()).end().text() +
         "\n";
}

int show_sum(const Options& options) {
  auto page = open_legacy_page(options);
  if (!page) {
    const bool is_forbidden = page.error().code == EACCES;
    std::fprintf(stderr, "vgpu-guest: %s\nvgpu-guest: %s\n", page.error().text.c_str(),
                 is_forbidden ? "the device's registers are root's: run this as root" : "run vgpu-guest doctor");
    return kBroken;
  }
  const auto verdict = add_on_host(page->registers(), options.left, options.right);
  if (options.json) {
    std::fputs(sum_json(verdict).c_str(), stdout);
  } else {
    std::fputs(sum_text(verdict).c_str(), stdout);
    std::fputs(failure_text(verdict).c_str(), stderr);
  }
  return verdict.kind == Kind::computed ? kGood : kBroken;
}

}  // namespace vgpu::guest
