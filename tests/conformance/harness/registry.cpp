// SPDX-License-Identifier: Apache-2.0
#include "tests/conformance/harness/registry.hpp"

#include <algorithm>

namespace conformance {
namespace {

std::vector<Case>& cases() {
  static std::vector<Case> list;  // cases are added by initialisers of other files, in any order
  return list;
}

}  // namespace

bool add_case(std::string name, Process process, std::function<void()> body) {
  auto& list = cases();
  const auto place =
      std::lower_bound(list.begin(), list.end(), name, [](const Case& c, const std::string& n) { return c.name < n; });
  list.insert(place, Case{std::move(name), process, std::move(body)});
  return true;
}

const std::vector<Case>& all_cases() { return cases(); }

const Case* find_case(const std::string& name) {
  for (const Case& c : cases()) {
    if (c.name == name) return &c;
  }
  return nullptr;
}

}  // namespace conformance
