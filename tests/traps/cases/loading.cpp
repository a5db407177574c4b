// SPDX-License-Identifier: Apache-2.0
// Programs that open and close the library again and again.
#include <dirent.h>
#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "tests/conformance/harness/registry.hpp"
#include "tests/traps/support/act.hpp"
#include "tests/traps/support/crew.hpp"

namespace traps {
namespace {

int entries_of(const char* folder) {
  DIR* open = opendir(folder);
  int count = 0;
  while (open != nullptr && readdir(open) != nullptr) ++count;
  if (open != nullptr) closedir(open);
  return count;
}

struct Holdings {
  int descriptors = entries_of("/proc/self/fd");
  int threads = entries_of("/proc/self/task");
  int mappings = count_mappings();

  static int count_mappings() {
    std::ifstream file("/proc/self/maps");
    int count = 0;
    for (std::string line; std::getline(file, line);) ++count;
    return count;
  }
};

template <typename Prototype>
Prototype* find(void* library, const char* name) {
  return reinterpret_cast<Prototype*>(dlsym(library, name));
}

/// How far a program goes between opening and closing.
bool use(void* library, const std::string& how) {
  const auto version = find<proto::cuDriverGetVersion>(library, "cuDriverGetVersion");
  const auto init = find<proto::cuInit>(library, "cuInit");
  if (version == nullptr || init == nullptr) return false;
  if (how == "open") return true;
  int number = 0;
  if (version(&number) != CUDA_SUCCESS || number < 12000) return false;
  if (how == "ask") return true;
  if (init(0) != CUDA_SUCCESS) return false;
  if (how == "initialise") return true;
  const auto retain = find<proto::cuDevicePrimaryCtxRetain>(library, "cuDevicePrimaryCtxRetain");
  const auto set = find<proto::cuCtxSetCurrent>(library, "cuCtxSetCurrent");
  const auto release = find<proto::cuDevicePrimaryCtxRelease_v2>(library, "cuDevicePrimaryCtxRelease_v2");
  const auto synchronise = find<proto::cuCtxSynchronize>(library, "cuCtxSynchronize");
  CUcontext context = nullptr;
  return retain(&context, 0) == CUDA_SUCCESS && set(context) == CUDA_SUCCESS && synchronise() == CUDA_SUCCESS &&
         set(nullptr) == CUDA_SUCCESS && release(0) == CUDA_SUCCESS;
}

/// Opens, uses and closes; the first rounds may leave caches behind, the others nothing. Words: how to use it, rounds.
ACT(opens_and_closes) {
  const int rounds = std::atoi(words[1].c_str());
  Holdings early;
  for (int round = 0; round < rounds; ++round) {
    void* library = dlopen(libcuda.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr || !use(library, words[0]) || dlclose(library) != 0) {
      std::fprintf(stderr, "round %d failed\n", round);
      return 1;
    }
    if (round == rounds / 10) early = Holdings();
  }
  const Holdings late;
  const bool grew =
      late.descriptors > early.descriptors || late.threads > early.threads || late.mappings > early.mappings + 2;
  if (grew)
    std::fprintf(
        stderr, "after round %d and at the end: %d and %d descriptors, %d and %d threads, %d and %d mappings\n",
        rounds / 10, early.descriptors, late.descriptors, early.threads, late.threads, early.mappings, late.mappings);
  return grew ? 1 : 0;
}

void opens_and_closes(const char* how, const char* rounds) {
  Player("opens_and_closes", {how, rounds}).expect_quiet_end();
}

UNINITIALISED_CASE(loading, opened_and_closed_a_hundred_times) { opens_and_closes("open", "100"); }
UNINITIALISED_CASE(loading, asked_for_its_version_each_time) { opens_and_closes("ask", "100"); }
UNINITIALISED_CASE(loading, initialised_each_time) { opens_and_closes("initialise", "100"); }
UNINITIALISED_CASE(loading, with_a_context_each_time) { opens_and_closes("context", "10"); }

}  // namespace
}  // namespace traps
