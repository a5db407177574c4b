#include "shim/client/object_table.hpp"

#include <catch2/catch.hpp>

using vgpu::shim::ObjectTable;
using namespace vgpu::wire;

TEST_CASE("only live handles are found") {
  static ObjectTable<int> storage;  // a table never ends
  ObjectTable<int>* const table = &storage;
  const uint64_t handle = make_handle(Kind::stream, 5, 12'345);
  CHECK(table->find(handle) == nullptr);
  table->insert(handle, 7);
  REQUIRE(table->find(handle) != nullptr);
  CHECK(*table->find(handle) == 7);
  CHECK(table->find(make_handle(Kind::stream, 6, 12'345)) == nullptr);
  CHECK(table->find(make_handle(Kind::event, 5, 12'345)) == nullptr);
  CHECK(table->find(0) == nullptr);
  CHECK(table->find(~uint64_t{0}) == nullptr);
  CHECK(table->remove(handle));
  CHECK_FALSE(table->remove(handle));
  CHECK(table->find(handle) == nullptr);
}

TEST_CASE("every live entry is visited once") {
  static ObjectTable<int> storage;  // a table never ends
  ObjectTable<int>* const table = &storage;
  for (uint32_t index = 0; index < 3000; ++index) table->insert(make_handle(Kind::event, 1, index), 1);
  for (uint32_t index = 0; index < 3000; index += 2) table->remove(make_handle(Kind::event, 1, index));
  int sum = 0;
  table->each([&](uint64_t handle, int value) {
    CHECK(index_of(handle) % 2 == 1);
    sum += value;
  });
  CHECK(sum == 1500);
}
