// SPDX-License-Identifier: Apache-2.0
// The cases and how they are written: CASE(group, name) { ... } at namespace scope.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace conformance {

/// What a case asks of the process that runs it.
enum class Process {
  shared,         ///< leaves nothing behind: may run after others of its group
  own,            ///< poisons, blocks, or changes what belongs to the whole process
  uninitialised,  ///< own, and cuInit has not been called
};

struct Case {
  std::string name;  ///< "group.name"
  Process process = Process::shared;
  std::function<void()> body;

  std::string group() const { return name.substr(0, name.find('.')); }
};

/// Every case, sorted by name.
const std::vector<Case>& all_cases();
/// Null where there is none of this name.
const Case* find_case(const std::string& name);

/// Adds one case before main; families of cases loop over it.
bool add_case(std::string name, Process process, std::function<void()> body);

}  // namespace conformance

#define CONFORMANCE_CASE_OF(kind, group, name)                                                        \
  static void case_##group##_##name();                                                                \
  [[maybe_unused]] static const bool case_##group##_##name##_added =                                  \
      ::conformance::add_case(#group "." #name, ::conformance::Process::kind, case_##group##_##name); \
  static void case_##group##_##name()

#define CASE(group, name) CONFORMANCE_CASE_OF(shared, group, name)
#define OWN_PROCESS_CASE(group, name) CONFORMANCE_CASE_OF(own, group, name)
#define UNINITIALISED_CASE(group, name) CONFORMANCE_CASE_OF(uninitialised, group, name)
