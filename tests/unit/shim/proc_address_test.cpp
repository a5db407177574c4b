// Every answer of cuGetProcAddress that was measured on a 580 driver (tests/data), asked of our library.
#include <dlfcn.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

namespace {

using GetProcAddress = int (*)(const char*, void**, int, uint64_t, int*);
using GetProcAddressFirst = int (*)(const char*, void**, int, uint64_t);

void* library() {
  static void* const opened = dlopen(VGPU_SHIM_LIBRARY, RTLD_NOW | RTLD_LOCAL);
  return opened;
}

/// The measured driver's own version; versions were tried in steps of ten.
constexpr int kDriverVersion = 13000;

struct Fact {
  std::string base;
  int flag = 0;
  int from = 0;
  std::string answer;
};

std::vector<std::string> split(const std::string& line) {
  std::vector<std::string> fields;
  size_t begin = 0;
  for (size_t end = line.find('\t'); end != std::string::npos; end = line.find('\t', begin)) {
    fields.push_back(line.substr(begin, end - begin));
    begin = end + 1;
  }
  fields.push_back(line.substr(begin));
  return fields;
}

/// Rows "proc, base, flag N, from V, answer".
std::vector<Fact> read_facts() {
  std::vector<Fact> facts;
  std::ifstream file(VGPU_FACTS);
  for (std::string line; std::getline(file, line);) {
    const auto fields = split(line);
    if (fields.size() != 5 || fields[0] != "proc") continue;
    facts.push_back({fields[1], std::stoi(fields[2].substr(5)), std::stoi(fields[3].substr(5)), fields[4]});
  }
  return facts;
}

/// In the words of the facts.
std::string ask(GetProcAddress get, const Fact& fact, int version) {
  char untouched = 0;
  void* address = &untouched;
  int status = -1;
  const int result = get(fact.base.c_str(), &address, version, static_cast<uint64_t>(fact.flag), &status);
  if (result == 0 && address != nullptr && address != &untouched) {
    const std::string symbol = fact.answer.substr(0, fact.answer.find(' '));
    const bool same = dlsym(library(), symbol.c_str()) == address;
    return (same ? symbol : "another symbol") + " status=" + std::to_string(status);
  }
  const char* pointer = address == nullptr ? "null" : "untouched";
  return "r=" + std::to_string(result) + " status=" + std::to_string(status) + " ptr=" + pointer;
}

}  // namespace

TEST_CASE("cuGetProcAddress answers as measured, at the first and the last version of every row") {
  REQUIRE(library() != nullptr);
  const auto get = reinterpret_cast<GetProcAddress>(dlsym(library(), "cuGetProcAddress_v2"));
  REQUIRE(get != nullptr);
  const auto facts = read_facts();
  REQUIRE(facts.size() > 4500);
  for (size_t i = 0; i < facts.size(); ++i) {
    const Fact& fact = facts[i];
    INFO(fact.base << " flag " << fact.flag << " from " << fact.from);
    CHECK(ask(get, fact, fact.from) == fact.answer);
    const bool has_next = i + 1 < facts.size() && facts[i + 1].base == fact.base && facts[i + 1].flag == fact.flag;
    if (has_next) CHECK(ask(get, fact, std::min(facts[i + 1].from - 1, kDriverVersion)) == fact.answer);
  }
}

TEST_CASE("cuGetProcAddress refuses what makes no sense, and writes nothing") {
  const auto get = reinterpret_cast<GetProcAddress>(dlsym(library(), "cuGetProcAddress_v2"));
  void* address = &address;
  int status = -1;
  CHECK(get("cuInit", &address, 12000, 3, &status) == 1);
  CHECK(get(nullptr, &address, 12000, 0, &status) == 1);
  CHECK(get("cuInit", nullptr, 12000, 0, &status) == 1);
  CHECK(address == &address);
  CHECK(status == -1);
  CHECK(get("cuInit", &address, 12000, 0, nullptr) == 0);
  CHECK(address == dlsym(library(), "cuInit"));
}

TEST_CASE("the first version of cuGetProcAddress says in its result that there is no such function") {
  const auto get = reinterpret_cast<GetProcAddressFirst>(dlsym(library(), "cuGetProcAddress"));
  void* address = &address;
  CHECK(get("cuNoSuchFunction", &address, 12000, 0) == 500);
  CHECK(address == nullptr);
  CHECK(get("cuInit", &address, 12000, 0) == 0);
  CHECK(address == dlsym(library(), "cuInit"));
}
