// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/parts/cores.hpp"

#include <sched.h>

#include <fstream>
#include <string>
#include <vector>

namespace bench {
namespace {

/// Processors that are hardware threads of one core have the same answer.
std::string core_of(int processor) {
  std::ifstream file("/sys/devices/system/cpu/cpu" + std::to_string(processor) + "/topology/thread_siblings_list");
  std::string siblings;
  std::getline(file, siblings);
  return siblings.empty() ? std::to_string(processor) : siblings;
}

std::vector<int> allowed_processors() {
  cpu_set_t set;
  CPU_ZERO(&set);
  ::sched_getaffinity(0, sizeof set, &set);
  std::vector<int> processors;
  for (int i = 0; i < CPU_SETSIZE; ++i)
    if (CPU_ISSET(i, &set)) processors.push_back(i);
  return processors;
}

Cores choose() {
  const std::vector<int> processors = allowed_processors();
  if (processors.empty()) return {};
  const int first = processors.front();
  for (const int other : processors)
    if (core_of(other) != core_of(first)) return {first, other};
  return {first, processors.back()};
}

}  // namespace

const Cores& cores() {
  static const Cores chosen = choose();
  return chosen;
}

void pin_to(int processor) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(processor, &set);
  // Not allowed to: then the values spread more, and that is to be seen in them.
  static_cast<void>(::sched_setaffinity(0, sizeof set, &set));
}

}  // namespace bench
