// What a doctor looked at, in order, and what came of it, for people. (As JSON each program writes it by its own
// means.)
#pragma once

#include <string>
#include <vector>

namespace vgpu::base {

struct Finding {
  enum class Outcome { good, broken, skipped };
  std::string what;  // one word: "device", "link"
  Outcome outcome = Outcome::good;
  std::string text;    // what was seen
  std::string cause;   // if broken (or worth a remark): why
  std::string remedy;  // and what to do
};

Finding good(std::string what, std::string text);
Finding broken(std::string what, std::string text, std::string cause, std::string remedy);
Finding skipped(std::string what, std::string text);

/// Exit codes of those who show findings.
inline constexpr int kAllGood = 0;
inline constexpr int kSomethingBroken = 1;
inline constexpr int kNotAllSeen = 2;  // what was looked at is good; the rest was skipped
int exit_code_of(const std::vector<Finding>& findings);

/// "PASS", "FAIL", "SKIP"
const char* word_of(Finding::Outcome outcome);
std::string to_text(const Finding& finding);

}  // namespace vgpu::base
