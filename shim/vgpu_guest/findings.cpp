#include "shim/vgpu_guest/findings.hpp"

#include <algorithm>

#include "shim/vgpu_guest/options.hpp"

namespace vgpu::guest {
namespace {

using Outcome = Finding::Outcome;

bool has(const std::vector<Finding>& findings, Outcome outcome) {
  return std::any_of(findings.begin(), findings.end(),
                     [outcome](const Finding& finding) { return finding.outcome == outcome; });
}

const char* word_of(Outcome outcome) {
  if (outcome == Outcome::good) return "PASS";
  return outcome == Outcome::broken ? "FAIL" : "SKIP";
}

}  // namespace

Finding good(std::string what, std::string text) { return {std::move(what), Outcome::good, std::move(text), {}, {}}; }

Finding broken(std::string what, std::string text, std::string cause, std::string remedy) {
  return {std::move(what), Outcome::broken, std::move(text), std::move(cause), std::move(remedy)};
}

Finding skipped(std::string what, std::string text) {
  return {std::move(what), Outcome::skipped, std::move(text), {}, {}};
}

int exit_code_of(const std::vector<Finding>& findings) {
  if (has(findings, Outcome::broken)) return kBroken;
  return has(findings, Outcome::skipped) ? kNotAllLookedAt : kGood;
}

std::string to_text(const Finding& finding) {
  std::string text = std::string(word_of(finding.outcome)) + "  " + finding.what;
  text.append(finding.what.size() < 10 ? 10 - finding.what.size() : 1, ' ');
  text += finding.text + "\n";
  if (!finding.cause.empty()) text += "      cause:  " + finding.cause + "\n";
  if (!finding.remedy.empty()) text += "      remedy: " + finding.remedy + "\n";
  return text;
}

std::string to_json(const std::vector<Finding>& findings) {
  JsonText json;
  json.begin().add("good", exit_code_of(findings) == kGood).begin_list("findings");
  for (const Finding& finding : findings) {
    json.begin().add("what", finding.what).add("outcome", word_of(finding.outcome)).add("text", finding.text);
    if (!finding.cause.empty()) json.add("cause", finding.cause);
    if (!finding.remedy.empty()) json.add("remedy", finding.remedy);
    json.end();
  }
  return json.end_list().end().text() + "\n";
}

}  // namespace vgpu::guest
