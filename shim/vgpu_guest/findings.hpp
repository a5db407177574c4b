// What was looked at, in order, and what came of it: for people and as JSON.
#pragma once

#include <string>
#include <vector>

#include "shim/vgpu_guest/json_text.hpp"

namespace vgpu::guest {

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

/// kBroken, kNotAllLookedAt or kGood.
int exit_code_of(const std::vector<Finding>& findings);
std::string to_text(const Finding& finding);
std::string to_json(const std::vector<Finding>& findings);

}  // namespace vgpu::guest
