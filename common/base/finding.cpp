#include "common/base/finding.hpp"

#include <algorithm>

namespace vgpu::base {
namespace {

using Outcome = Finding::Outcome;

bool has(const std::vector<Finding>& findings, Outcome outcome) {
  return std::any_of(findings.begin(), findings.end(),
                     [outcome](const Finding& finding) { return finding.outcome == outcome; });
}

}  // namespace

const char* word_of(Outcome outcome) {
  if (outcome == Outcome::good) return "PASS";
  return outcome == Outcome::broken ? "FAIL" : "SKIP";
}

Finding good(std::string what, std::string text) { return {std::move(what), Outcome::good, std::move(text), {}, {}}; }

Finding broken(std::string what, std::string text, std::string cause, std::string remedy) {
  return {std::move(what), Outcome::broken, std::move(text), std::move(cause), std::move(remedy)};
}

Finding skipped(std::string what, std::string text) {
  return {std::move(what), Outcome::skipped, std::move(text), {}, {}};
}

int exit_code_of(const std::vector<Finding>& findings) {
  if (has(findings, Outcome::broken)) return kSomethingBroken;
  return has(findings, Outcome::skipped) ? kNotAllSeen : kAllGood;
}

std::string to_text(const Finding& finding) {
  std::string text = std::string(word_of(finding.outcome)) + "  " + finding.what;
  text.append(finding.what.size() < 10 ? 10 - finding.what.size() : 1, ' ');
  text += finding.text + "\n";
  if (!finding.cause.empty()) text += "      cause:  " + finding.cause + "\n";
  if (!finding.remedy.empty()) text += "      remedy: " + finding.remedy + "\n";
  return text;
}

}  // namespace vgpu::base
