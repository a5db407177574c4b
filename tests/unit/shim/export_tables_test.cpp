// The private tables that NVIDIA's libraries cannot do without are there, with the shape they expect; others are
// refused.
#include <dlfcn.h>

#include <catch2/catch.hpp>
#include <cstdint>

namespace {

struct Id {
  uint8_t bytes[16];
};
using GetExportTable = int (*)(const void**, const Id*);

GetExportTable get_export_table() {
  void* library = dlopen(VGPU_SHIM_LIBRARY, RTLD_NOW | RTLD_LOCAL);
  return library != nullptr ? reinterpret_cast<GetExportTable>(dlsym(library, "cuGetExportTable")) : nullptr;
}

constexpr Id kCudart = {
    {0x6b, 0xd5, 0xfb, 0x6c, 0x5b, 0xf4, 0xe7, 0x4a, 0x89, 0x87, 0xd9, 0x39, 0x12, 0xfd, 0x9d, 0xf9}};
constexpr Id kHooks = {
    {0xa0, 0x94, 0x79, 0x8c, 0x2e, 0x74, 0x2e, 0x74, 0x93, 0xf2, 0x08, 0x00, 0x20, 0x0c, 0x0a, 0x66}};
constexpr Id kStorage = {
    {0xc6, 0x93, 0x33, 0x6e, 0x11, 0x21, 0xdf, 0x11, 0xa8, 0xc3, 0x68, 0xf3, 0x55, 0xd8, 0x95, 0x93}};
constexpr Id kIntegrity = {
    {0xd4, 0x08, 0x20, 0x55, 0xbd, 0xe6, 0x70, 0x4b, 0x8d, 0x34, 0xba, 0x12, 0x3c, 0x66, 0xe1, 0xf2}};
constexpr Id kToolsModule = {
    {0x6e, 0x16, 0x3f, 0xbe, 0xb9, 0x58, 0x44, 0x4d, 0x83, 0x5c, 0xe1, 0x82, 0xaf, 0xf1, 0x99, 0x1e}};
constexpr Id kStranger = {{1, 2, 3}};

}  // namespace

TEST_CASE("an unknown table is refused with a null pointer") {
  const auto get = get_export_table();
  REQUIRE(get != nullptr);
  const void* table = &table;
  CHECK(get(&table, &kStranger) == 1);
  CHECK(table == nullptr);
}

TEST_CASE("a table begins with its size in bytes") {
  const auto get = get_export_table();
  const void* table = nullptr;
  REQUIRE(get(&table, &kCudart) == 0);
  CHECK(static_cast<const uintptr_t*>(table)[0] == 13 * sizeof(void*));
}

TEST_CASE("no profiler has subscribed to the runtime") {
  const auto get = get_export_table();
  const void* table = nullptr;
  REQUIRE(get(&table, &kHooks) == 0);
  using Hooks = void (*)(void**, size_t*);
  for (const unsigned slot : {2u, 6u}) {
    void* words = nullptr;
    size_t count = 0;
    reinterpret_cast<Hooks>(static_cast<const uintptr_t*>(table)[slot])(&words, &count);
    REQUIRE(words != nullptr);
    for (size_t i = 0; i < count; ++i) REQUIRE(static_cast<const uint32_t*>(words)[i] == 0);
  }
}

TEST_CASE("context-local storage needs a context") {
  const auto get = get_export_table();
  const void* table = nullptr;
  REQUIRE(get(&table, &kStorage) == 0);
  const auto* slots = static_cast<const uintptr_t*>(table);
  using Get = int (*)(void**, void*, void*);
  void* value = nullptr;
  CHECK(reinterpret_cast<Get>(slots[2])(&value, nullptr, &value) == 201);
  CHECK(slots[3] == 0);
}

TEST_CASE("the integrity check has fixed answers for versions that end in 0 and 1") {
  const auto get = get_export_table();
  const void* table = nullptr;
  REQUIRE(get(&table, &kIntegrity) == 0);
  using Check = int (*)(uint32_t, uint64_t, uint64_t*);
  const auto check = reinterpret_cast<Check>(static_cast<const uintptr_t*>(table)[1]);
  uint64_t result[2] = {};
  CHECK(check(13000, 1, result) == 0);
  CHECK(result[0] == 0x3341181c03cb675c);
  CHECK(check(13001, 1, result) == 0);
  CHECK(result[0] == 0x1841181c03cb675c);
}

// How it visits: tests/conformance/cases/export_table_functions.cpp, which needs a device.
TEST_CASE("the visit of a module's functions answers a number, not an error") {
  const auto get = get_export_table();
  const void* table = nullptr;
  REQUIRE(get(&table, &kToolsModule) == 0);
  const auto* slots = static_cast<const uintptr_t*>(table);
  REQUIRE(slots[0] > 7 * sizeof(void*));
  using Visit = uint64_t (*)(void*, void*, void (*)(void*, void*), void*);
  unsigned visited = 0;
  const auto count = [](void* user, void*) { ++*static_cast<unsigned*>(user); };
  CHECK(reinterpret_cast<Visit>(slots[7])(nullptr, nullptr, count, &visited) == 0);
  CHECK(visited == 0);
}
